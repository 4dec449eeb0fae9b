"""Which requests for a build start one: by the sets of loads that builds saw, whatever their times say."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tickvault.core.errors import GateFailedError, TerminalError
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.ledger import Ledger, Run
from tickvault.ledger.builds import Build
from tickvault.warehouse import build as build_module
from tickvault.warehouse.dbt import Dbt, NodeResult, variables
from tickvault.warehouse.journal import Journal, digest
from tickvault.warehouse.target import target

ROOT = Path(__file__).parents[2]
PROJECT, SEEDS = ROOT / "dbt", ROOT / "seeds"
SLOT = Slot.parse("20261120T130000Z")
RUN = Run("run", "dbt-trino", SLOT, "new", 1)


@pytest.fixture
def ledger(make_settings: Callable[..., Settings], postgres_settings: dict[str, str]) -> Iterator[Ledger]:
    with Ledger.open(make_settings(**postgres_settings)) as opened:
        for table in ("loads", "load_totals", "builds", "models", "stream_offsets", "runs"):
            opened._db.rows(f"DELETE FROM data_platform.{table} RETURNING 1")
        yield opened


@pytest.fixture
def journal(ledger: Ledger) -> Journal:
    return Journal(ledger, target("dev-trino"))


def load(ledger: Ledger, package: str, *, sink: str = "postgres", at: str = "now()") -> None:
    ledger._db.rows(
        f"""INSERT INTO data_platform.loads (package_id, sink, source, stream, slot, run_id, loaded_at)
        VALUES (%s, %s, 's', 't', now(), 'r', {at}) RETURNING 1""",
        package,
        sink,
    )


def build(journal: Journal, name: str, selection: str = "", *, green: bool = True) -> str:
    inputs = journal.inputs(PROJECT, SEEDS)
    made = Build(name, RUN, inputs)
    journal.start(made, selection)
    journal.finish(made, green=green)
    return inputs


def covered(journal: Journal, selection: str = "") -> bool:
    return journal.covering(journal.inputs(PROJECT, SEEDS), selection) is not None


def test_a_build_covers_the_loads_it_saw(ledger: Ledger, journal: Journal) -> None:
    assert not covered(journal)
    load(ledger, "a")
    build(journal, "1")
    assert covered(journal)
    load(ledger, "other-target", sink="snowflake")
    assert covered(journal)
    # Began, and is dated, before the build; committed after it.
    load(ledger, "late", at="now() - interval '1 hour'")
    assert not covered(journal)


def test_a_build_waits_for_what_is_arriving(
    ledger: Ledger, journal: Journal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(build_module, "_PAUSE_SECONDS", 0.6)
    caplog.set_level(logging.INFO)
    assert not build_module._settle(journal, 60)
    runs = [
        ledger.runs.start(job, SLOT, None) for job in ("extract-binance", "load-postgres-batch", "load-snowflake-batch")
    ]
    assert journal.arriving() == ["extract-binance", "load-postgres-batch"], "the other target's loads do not matter"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(build_module._settle, Journal(ledger, target("dev-trino")), 60)
        while "waiting up to 60 s for extract-binance, load-postgres-batch" not in caplog.text:
            assert not waiting.done()
        for run in runs:
            ledger.runs.finish(run, "complete", 0, {}, {})
        assert waiting.result(300)
    assert journal.arriving() == []
    ledger._db.rows(
        "UPDATE data_platform.runs SET status = 'running', started_at = now() - interval '1 hour' RETURNING 1"
    )
    assert journal.arriving() == [], "one that was killed long ago is not waited for"


def test_streamed_rows_are_loads_too(ledger: Ledger, journal: Journal) -> None:
    build(journal, "1")
    ledger._db.rows(
        "INSERT INTO data_platform.stream_offsets (sink, topic, partition, next_offset) "
        "VALUES ('postgres', 'trades', 0, 5) RETURNING 1"
    )
    assert not covered(journal)


def test_a_red_build_covers_nothing_and_a_part_only_itself(ledger: Ledger, journal: Journal) -> None:
    load(ledger, "a")
    build(journal, "1", green=False)
    assert not covered(journal)
    build(journal, "2", "raw_news+")
    assert covered(journal, "raw_news+")
    assert not covered(journal)
    assert not covered(journal, "raw_cryptobars+")
    build(journal, "3")
    assert covered(journal) and covered(journal, "raw_cryptobars+")


def test_a_project_that_is_rolled_back_is_built_again(journal: Journal, tmp_path: Path) -> None:
    def inputs(version: str) -> str:
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "models/a.sql").write_text(version)
        return journal.inputs(tmp_path, SEEDS)

    for name, version in (("1", "old"), ("2", "new")):
        made = Build(name, RUN, inputs(version))
        journal.start(made, "")
        journal.finish(made, green=True)
    assert journal.covering(inputs("new"), "")
    assert journal.covering(inputs("old"), "") is None


def node(name: str, kind: str, status: str) -> NodeResult:
    return NodeResult(name, kind, "build_marts", f"a.b.{name}", status, 0.1, 2 if kind == "test" else None, None)


def test_a_skipped_node_is_never_passed_over() -> None:
    skipped = node("fct_x", "model", "skipped")
    with pytest.raises(GateFailedError):
        build_module._judge([node("unique_x", "test", "fail"), skipped])
    with pytest.raises(TerminalError, match=r"skipped 1 node.*fct_x"):
        build_module._judge([node("unique_x", "test", "pass"), skipped])
    build_module._judge([node("fct_y", "model", "success"), node("unique_x", "test", "warn")])


def test_a_test_that_passes_when_run_again_has_failed(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [
        [node("unique_x", "test", "fail"), node("fct_x", "model", "skipped")],
        [NodeResult("unique_x", "test", "quarantine", "a.q.unique_x", "pass", 0.1, 0, None)],
    ]
    monkeypatch.setattr(Dbt, "_nodes", lambda *_: answers.pop(0))
    tested, _ = Dbt(make_settings(), target("dev-trino")).build((), "digest")
    assert (tested.status, tested.relation, tested.rows) == ("fail", "a.q.unique_x", 2)


def test_a_part_is_published_only_while_nothing_failed_since_the_last_whole_build(journal: Journal) -> None:
    assert journal.may_publish("")
    assert not journal.may_publish("raw_news+")
    build(journal, "1")
    assert journal.may_publish("raw_news+")
    build(journal, "2", "raw_news+")
    assert journal.may_publish("raw_news+")
    build(journal, "3", "raw_cryptobars+", green=False)
    assert not journal.may_publish("raw_news+")
    build(journal, "4", "raw_cryptobars+")
    assert not journal.may_publish("raw_news+")
    assert journal.may_publish("")
    build(journal, "5")
    assert journal.may_publish("raw_news+")


def test_a_build_that_was_killed_counts_as_failed(ledger: Ledger, journal: Journal) -> None:
    journal.start(Build("killed", RUN, journal.inputs(PROJECT, SEEDS)), "")
    build(journal, "next")
    statuses = ledger._db.rows("SELECT build_id, status FROM data_platform.builds ORDER BY started_at")
    assert statuses == [("killed", "red"), ("next", "green")]


def test_how_old_the_newest_load_is(ledger: Ledger, journal: Journal) -> None:
    assert journal.hours_without_load() == 0
    load(ledger, "other-target", sink="snowflake")
    load(ledger, "old", at="now() - interval '50 hours'")
    assert journal.hours_without_load() == pytest.approx(50, abs=0.1)
    assert f"freshness_hours: {build_module.STALE_HOURS}" in (PROJECT / "dbt_project.yml").read_text(encoding="utf-8")


def test_every_node_is_noted(ledger: Ledger, journal: Journal) -> None:
    made = Build("1", RUN, "x")
    journal.start(made, "")
    nodes = [
        NodeResult("fct_x", "model", "build_marts", "a.b.c", "success", 1.5, 7, None, stored=True),
        NodeResult("not_null_x", "test", "quarantine", "a.q.n", "fail", 0.1, 2, "Got 2 results"),
    ]
    journal.note(made, nodes)
    rows = ledger._db.rows("SELECT node, kind, status, seconds, rows, message FROM data_platform.models ORDER BY node")
    assert rows == [
        ("fct_x", "model", "success", 1.5, 7, None),
        ("not_null_x", "test", "fail", 0.1, 2, "Got 2 results"),
    ]


def test_a_changed_project_is_built_again(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    model = tmp_path / "models/a.sql"
    model.write_text("select 1")
    before = digest(tmp_path, SEEDS)
    assert digest(tmp_path, SEEDS) == before
    model.write_text("select 2")
    assert digest(tmp_path, SEEDS) != before


def test_without_a_load_dbt_and_the_driver_are_not_even_imported(
    ledger: Ledger, journal: Journal, postgres_settings: dict[str, str], tmp_path: Path
) -> None:
    load(ledger, "old", at="now() - interval '50 hours'")
    build(journal, "1")
    # Nothing listens there: a connection would fail.
    variables = {name.upper(): value for name, value in postgres_settings.items()} | {
        "TRINO_HOST": "127.0.0.1", "TRINO_PORT": "1", "DBT_PROJECT_DIR": str(PROJECT), "SEEDS_PATH": str(SEEDS),
        "TICKVAULT_HOME": str(tmp_path), "LAKE_PATH": str(tmp_path / "lake"),
    }  # fmt: skip
    script = (
        "import atexit, sys; from tickvault.cli import main\n"
        "atexit.register(lambda: print('imported', {'dbt', 'trino', 'snowflake'} & set(sys.modules)))\n"
        f"sys.argv = ['tickvault', 'dbt', 'build', '--target', 'dev-trino', '--slot', '{SLOT.id}']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "imported set()" in done.stdout
    assert "dbt was not started" in done.stderr
    assert "the newest load into postgres is 50 hours old" in done.stderr


def test_dbt_gets_every_setting_it_reads(make_settings: Callable[..., Settings]) -> None:
    """Every variable of the profile and the sources comes from the settings, in one place."""
    import re

    files = [PROJECT / "profiles.yml", PROJECT / "dbt_project.yml", *(PROJECT / "sources").rglob("*.yml")]
    read = {n for file in files for n in re.findall(r"env_var\('(\w+)'", file.read_text(encoding="utf-8"))}
    assert read - {"DBT_TARGET"} == set(variables(make_settings()))
