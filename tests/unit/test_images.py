"""Images: a tag is a hash of what the image is made from, and nothing else."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "images"))
import recipes  # noqa: E402 - the images' recipes are not in a package


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
