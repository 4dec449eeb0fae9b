"""The command line: helps, suggestions, one sentence per error, JSON for machines."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner

from tickvault.cli import COMMANDS, root
from tickvault.core.package import Outcome, OutcomeStatus
from tickvault.core.slot import Slot
from tickvault.engines.storage import FolderStorage
from tickvault.lake import Lake

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_helps_and_keeps_its_promise_of_one_line(name):
    shown = CliRunner().invoke(root, [name, "--help"])
    assert shown.exit_code == 0, shown.output
    assert len(shown.output.splitlines()) > 5
    assert COMMANDS[name].endswith(".")


def helps(command, path=()):
    """Yield the words and the help text of a command and of all below it."""
    yield path, CliRunner().invoke(root, [*path, "--help"]).output
    for name, sub in getattr(command, "commands", {}).items():
        yield from helps(sub, (*path, name))


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_stand_one_to_a_line(name):
    for path, shown in helps(root.get_command(None, name), (name,)):
        assert "\\b" not in shown, path
        assert "\b" not in shown, path
        lines = [line.strip() for line in shown.splitlines()]
        examples = lines[lines.index("Examples:") + 1 :] if "Examples:" in lines else []
        examples = examples[: examples.index("")] if examples else []
        assert all(line.startswith(f"tickvault {name}") for line in examples), path
        assert ("Examples:" in shown) == bool(examples), path


def test_the_list_of_commands_needs_no_heavy_import():
    code = "import sys; from tickvault.cli import root; root(['--help'], standalone_mode=False)"
    code += "; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].strip("[]").replace("'", "").split(", "))
    assert not loaded & {"pyarrow", "pydantic", "requests", "prefect", "snowflake.connector", "boto3", "dbt"}


@pytest.mark.parametrize("source", ["binance", "coingecko", "faker_market"])
def test_extract_and_load_never_import_what_they_do_not_need(source):
    code = (
        "import sys; from tickvault.transfer import catalog, extraction, loading; import tickvault.runs.entry;"
        "catalog.source(sys.argv[1]); catalog.sink('postgres'); print(sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, source], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.strip().strip("[]").replace("'", "").split(", "))
    # Not pandas: Arrow's dataset module imports it wherever it is installed, which in the thin images it is not.
    assert not loaded & {"snowflake.connector", "prefect", "yfinance", "dbt", "fakesnow", "faker"}


@pytest.mark.parametrize(
    "command", [["status"], ["latest"], ["query", "select 1"], ["sql", "-c", "select 1"], ["metric", "revenue"]]
)
def test_a_question_imports_no_more_than_its_engine_needs(command):
    code = (
        "import contextlib, sys; from tickvault.cli import root; from tickvault.core.errors import PlatformError\n"
        "with contextlib.suppress(PlatformError): root(sys.argv[1:], standalone_mode=False)\n"
        "print(sorted(sys.modules))"
    )
    nowhere = os.environ | {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, check=True, env=nowhere
    )
    loaded = set(done.stdout.splitlines()[-1].strip("[]").replace("'", "").split(", "))
    assert "psycopg" in loaded
    assert not loaded & {"pyarrow", "numpy", "requests", "prefect", "snowflake.connector", "boto3", "dbt"}


def test_using_local_engines_imports_no_client_of_the_market():
    code = "import sys; from tickvault.local import nearby, simulator; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'requests'" not in done.stdout and "'pyarrow'" not in done.stdout


def test_an_unknown_command_suggests_the_nearest():
    shown = CliRunner().invoke(root, ["extrct"])
    assert shown.exit_code == 2
    assert "Did you mean 'extract'?" in shown.output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["extract", "binanse"], 78, "did you mean 'binance'"),
        (["load", "oracle"], 78, "there are: postgres, snowflake"),
        (["load", "postgres", "--flow", "prices-crypto"], 78, "did you mean 'prices-crypto-pipeline'"),
        (["extract", "binance", "--slot", "yesterday"], 2, "20261120T130000Z"),
        (["status"], 75, "does not answer"),
        (["lake", "ls"], 78, "LAKE_PATH"),
    ],
)
def test_an_error_is_one_sentence_and_its_exit_code(arguments, code, said, tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("POSTGRES", "MINIO", "LAKE", "TICKVAULT"))}
    environment |= {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": "1", "COLUMNS": "200"}
    command = [sys.executable, "-m", "tickvault", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_dry_run_says_where_it_would_read_and_reads_nothing(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAKE_PATH", str(tmp_path / "lake"))
    shown = CliRunner().invoke(root, ["extract", "binance", "--slot", "20261120T130000Z", "--dry-run"])
    assert shown.exit_code == 0
    assert "raw-data/crypto/binance/bars/dt=2026-11-20/20261120T130000Z/r0/" in shown.output
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_knows_the_slot_of_its_environment_and_what_is_sealed(monkeypatch, tmp_path):
    from tickvault.core.batch import Batch
    from tickvault.market.streams import BARS_BINANCE, CRYPTO_BINANCE

    lake, slot = Lake(FolderStorage(tmp_path / "lake" / "tickvault")), Slot.parse("20261117T130000Z")
    for stream, status in ((CRYPTO_BINANCE, OutcomeStatus.FAILED), (BARS_BINANCE, OutcomeStatus.OK)):
        empty = pa.RecordBatch.from_pylist([], stream.schema)
        lake.land("binance", stream, [Batch(stream, empty, None, (Outcome("BTC", status),))], slot, "run")
    monkeypatch.setenv("LAKE_PATH", str(tmp_path / "lake"))
    monkeypatch.setenv("TICKVAULT_SLOT", slot.id)
    prices, bars = CliRunner().invoke(root, ["extract", "binance", "--dry-run"]).output.splitlines()
    assert "from binance only BTC" in prices
    assert f"{slot}/r1/" in prices
    assert f"would read nothing of raw_cryptobars: slot {slot} is complete" in bars
    forced = CliRunner().invoke(root, ["extract", "binance", "--dry-run", "--force"]).output
    assert "nothing" not in forced
    assert "only" not in forced


def test_settings_are_shown_for_machines_without_their_secrets(monkeypatch):
    monkeypatch.setenv("POSTGRES_PASSWORD", "hunter2")
    shown = CliRunner().invoke(root, ["settings", "--json"])
    rows = {row["setting"]: row for row in json.loads(shown.output)}
    assert rows["POSTGRES_PASSWORD"] == {
        "setting": "POSTGRES_PASSWORD",
        "value": "***",
        "set": "set",
        "meaning": "Password of POSTGRES_USER",
    }
    assert "hunter2" not in shown.output


def test_the_readme_names_only_commands_there_are():
    import re

    text = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"tickvault (?:local )?([a-z][a-z-]+)(?= |`|$)", text, flags=re.MULTILINE))
    named -= {"charts", "up", "down", "env"}  # the last three are words of local itself
    assert named <= set(COMMANDS), f"no such command: {named - set(COMMANDS)}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--days", "0"], "0 is not in the range 1<=x<=36600"),
        (["--days", "-1"], "-1 is not in the range"),
        (["--slot", "2126-11-20"], "lies outside 2000 to 2099"),
        (["--slot", "1999-11-20"], "lies outside 2000 to 2099"),
    ],
)
def test_an_extract_that_cannot_be_meant_is_refused_with_a_sentence(monkeypatch, tmp_path, arguments, said):
    monkeypatch.setenv("LAKE_PATH", str(tmp_path / "lake"))
    done = CliRunner().invoke(root, ["extract", "binance", "--dry-run", *arguments])
    assert done.exit_code != 0
    assert said in f"{done.output}{done.exception}"
    assert not (tmp_path / "lake").exists()


def test_an_ascii_terminal_is_no_error(tmp_path):
    """What it has no letter for is shown escaped, of tables, sentences and errors alike."""
    Lake(FolderStorage(tmp_path))
    variables = {"PYTHONIOENCODING": "ascii", "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment = {**os.environ, **variables, "HOME": str(tmp_path), "MINIO_BUCKET": "ключ"}
    command = [sys.executable, "-c", "from tickvault.cli import main; main()"]
    for words, code in ((["settings"], 0), (["settings", "--json"], 0), (["lake", "--help"], 0), (["run", "ключ"], 78)):
        done = subprocess.run([*command, *words], cwd=tmp_path, env=environment, capture_output=True, check=False)
        assert done.returncode == code, done.stderr.decode()
        assert b"Traceback" not in done.stderr


def test_a_traceback_of_a_bug_holds_no_secret(tmp_path):
    code = "from tickvault import cli; cli.root.main = lambda **_: 1 / int('hunter2-x'); cli.main()"
    told = "from tickvault.core.settings import Settings; Settings.load(postgres_password='hunter2-x'); "
    done = subprocess.run([sys.executable, "-c", told + code], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"ValueError" in done.stderr
    assert b"'***'" in done.stderr
    assert b"hunter2-x'\n" not in done.stderr
