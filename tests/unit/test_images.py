"""Images: a tag is a hash of what the image is made from, and nothing else."""

import importlib.util
import json
import shlex
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "images"))
import build  # noqa: E402 - the images' recipes are not in a package
import recipes  # noqa: E402


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small checkout with two sources and one sink."""
    files = {
        "images/Dockerfile": "FROM x",
        "images/images.toml": '[extras]\nextract-heavy = "big"\ndbt = "dbt"\n[stages]\ndbt = "dbt"\n',
        "pyproject.toml": "[project.optional-dependencies]\nbig = []\ndbt = []\n",
        "uv.lock": "",
        "jobs/tickvault/sources/light.py": "",
        "jobs/tickvault/sources/heavy.py": "",
        "jobs/tickvault/sources/_private.py": "",
        "jobs/tickvault/sinks/well.py": "",
        "dbt/models/one.sql": "select 1",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(recipes, "ROOT", tmp_path)
    return tmp_path


def _tags() -> dict[str, str]:
    return {name: recipe.tag for name, recipe in recipes.recipes().items()}


def test_names_follow_the_modules(checkout: Path) -> None:
    made = recipes.recipes()
    assert set(made) == {"extract-light", "extract-heavy", "load-well", "dbt"}
    assert made["extract-light"] == made["load-well"]
    assert [(made[name].stage, made[name].extra) for name in ("extract-light", "extract-heavy", "dbt")] == [
        ("base", ""),
        ("extra", "big"),
        ("dbt", "dbt"),
    ]


def test_a_change_of_the_content_changes_the_tag_and_nothing_else_does(checkout: Path) -> None:
    before = _tags()
    (checkout / "README.md").write_text("more", encoding="utf-8")
    (checkout / "jobs/tickvault/sources/light.pyc").write_bytes(b"compiled")
    (checkout / "dbt/target").mkdir()
    (checkout / "dbt/target/manifest.json").write_text("{}", encoding="utf-8")
    assert _tags() == before

    (checkout / "dbt/models/one.sql").write_text("select 2", encoding="utf-8")
    changed = _tags()
    assert {name for name in before if changed[name] != before[name]} == {"dbt"}

    (checkout / "jobs/tickvault/sources/light.py").write_text("x = 1", encoding="utf-8")
    assert not {name for name, tag in _tags().items() if tag == changed[name]}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [('flows = "none"', "the extra 'none'"), ('extract-gone = "big"', "extract-gone has no module")],
)
def test_a_wrong_list_is_refused(checkout: Path, line: str, sentence: str) -> None:
    listed = checkout / "images/images.toml"
    listed.write_text(listed.read_text(encoding="utf-8").replace("[extras]", f"[extras]\n{line}"), encoding="utf-8")
    with pytest.raises(ValueError, match=sentence):
        recipes.recipes()


def test_this_checkout_has_recipes_for_every_source_and_sink() -> None:
    names = set(recipes.recipes())
    assert {"extract-binance", "extract-yfinance-stock", "load-postgres", "load-snowflake", "dbt", "flows"} <= names


def _published() -> list[str]:
    """The arguments with which the workflow publishes the images."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = [step.get("run", "") for step in workflow["jobs"]["publish"]["steps"]]
    (line,) = [line for run in steps for line in run.splitlines() if "images/build.py" in line]
    return shlex.split(line.partition("images/build.py")[2])


def test_the_workflow_publishes_every_image_where_the_charts_look_for_it() -> None:
    options = build.parse(_published())
    assert (options.tag, options.platform) == ("${GITHUB_REF_NAME#v}", "linux/amd64,linux/arm64")
    assert options.push == "ghcr.io/${GITHUB_REPOSITORY}"

    commands = build.push_commands("ghcr.io/Tickvault/tickvault", "0.2.0", options.platform)
    pushed = {word for command in commands for word in command if word.startswith("ghcr.io/")}
    assert pushed == {f"ghcr.io/tickvault/tickvault/{name}:0.2.0" for name in recipes.recipes()}
    for command in commands:
        assert command[:6] == ["docker", "buildx", "build", "--push", "--platform", options.platform]
        assert command[-1] == "."


@pytest.mark.parametrize("line", ["--push ghcr.io/a/b", "--tag 1", "--platform linux/arm64", "0.2.0"])
def test_half_a_command_line_is_refused(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        build.parse(line.split())
    assert "build.py: error" in capsys.readouterr().err


def test_what_is_built_here_stands_in_for_what_is_published() -> None:
    made = recipes.recipes()
    values = json.loads(build.values(made))
    assert values["jobs"]["image"] == {"registry": "", "repository": "tickvault"}
    assert values["jobs"]["imageTags"]["extract-binance"] == made["extract-binance"].tag
    server = values["prefect"]["image"]
    assert (server["repository"], server["tag"]) == ("tickvault/flows", made["flows"].tag)
    simulator = values["marketSimulator"]["image"]
    assert simulator == {"registry": "", "repository": "tickvault/simulator", "tag": made["simulator"].tag}


def test_a_release_writes_its_version_into_every_chart(tmp_path: Path) -> None:
    for chart in (ROOT / "charts").glob("*/Chart.yaml"):
        (tmp_path / chart.parent.name).mkdir()
        (tmp_path / chart.parent.name / "Chart.yaml").write_bytes(chart.read_bytes())
    spec = importlib.util.spec_from_file_location("chart_version", ROOT / "charts/version.py")
    assert spec
    assert spec.loader
    version = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(version)
    version.main(tmp_path, "0.2.0-rc.1")

    charts = {file.parent.name: yaml.safe_load(file.read_text()) for file in tmp_path.glob("*/Chart.yaml")}
    assert {chart["version"] for chart in charts.values()} == {"0.2.0-rc.1"}
    named = {d["version"] for chart in charts.values() for d in chart.get("dependencies", [])}
    assert named == {"0.2.0-rc.1"}
    ours = {"tickvault", "jobs", "alert-receiver", "snowflake-emulator", "market-simulator"}
    assert {name for name, chart in charts.items() if chart.get("appVersion") == "0.2.0-rc.1"} == ours
    with pytest.raises(SystemExit, match="a version is like"):
        version.main(tmp_path, "v2")
