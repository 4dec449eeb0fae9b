"""What is removed for its age, and what never is: against a real ledger and a lake in a folder."""

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner

from tickvault.cli import root
from tickvault.core.batch import Batch, LoadResult
from tickvault.core.package import Package, Purpose, Reject
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.engines.storage import FolderStorage, open_storage
from tickvault.lake import Lake
from tickvault.ledger import Ledger, Run
from tickvault.ledger.builds import Build
from tickvault.market.streams import CRYPTO_BINANCE as STREAM
from tickvault.operations import retention
from tickvault.operations.orphans import Cleaning, Scope
from tickvault.operations.retention import Retention, preview
from tickvault.runs.entry import run_job

NOW = datetime.now(UTC)
SLOT = Slot.of(NOW)
TABLES = (
    *("runs", "packages", "loads", "rejects", "builds", "models", "publication", "alert_history", "cursors"),
    *("load_totals", "deliveries", "backlog", "schemas"),
)
KINDS = ("runs", "models", "builds", "publications", "alerts", "rejects", "logs", "changes", "orphans")


@pytest.fixture
def settings(make_settings: Callable[..., Settings], postgres_settings: dict[str, str], tmp_path: Path) -> Settings:
    return make_settings(lake_path=tmp_path / "lake", **postgres_settings)


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    with Ledger.open(settings) as opened:
        for table in TABLES:
            opened._db.run(f"DELETE FROM data_platform.{table}")
        yield opened


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return Lake(open_storage(settings))


def variables(settings: Settings) -> dict[str, str]:
    """The environment of a process of these settings."""
    names = ("lake_path", "postgres_host", "postgres_port", "postgres_db", "postgres_user", "tickvault_home")
    return dict(os.environ) | {name.upper(): str(getattr(settings, name)) for name in names}


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def run_of(ledger: Ledger, job: str, days: float, status: str = "complete", attempts: int = 1) -> str:
    """Note a run that began, and unless it is running ended, some days ago."""
    run = ledger.runs.start(job, Slot.of(ago(days)), None)
    ended = None if status == "running" else ago(days)
    sql = (
        "UPDATE data_platform.runs SET started_at = %s, finished_at = %s, status = %s, attempts = %s WHERE run_id = %s"
    )
    ledger._db.run(sql, ago(days), ended, status, attempts, run.run_id)
    return run.run_id


def build_of(ledger: Ledger, name: str, days: float, selection: str = "", status: str = "green") -> None:
    """Note a build of some days ago, with two nodes."""
    run = Run("run", "dbt-trino", Slot.of(ago(days)), "new", 1)
    ledger._db.run(
        """INSERT INTO data_platform.builds (build_id, run_id, target, slot, selection, inputs, status, started_at)
        VALUES (%s, 'run', 'dev-trino', %s, %s, %s, %s, %s)""",
        *(name, run.slot.time, selection, f"inputs of {name}", status, ago(days)),
    )
    columns = [["a", "b"], ["model"] * 2, ["success"] * 2, [1.0, 2.0], [1, 2], [None] * 2]
    ledger.builds.note_nodes("dev-trino", Build(name, run, ""), columns)
    ledger._db.run("UPDATE data_platform.models SET noted_at = %s WHERE build_id = %s", ago(days), name)


def published(ledger: Ledger, mart: str, generation: str, days: float, *, confirmed: bool = True) -> None:
    ledger.publications.note("dev-trino", mart, generation, SLOT, "run")
    if confirmed:
        ledger.publications.confirm("dev-trino", mart, generation)
    sql = "UPDATE data_platform.publication SET recorded_at = %s WHERE mart = %s AND generation = %s"
    ledger._db.run(sql, ago(days), mart, generation)


def alert_of(ledger: Ledger, name: str, days: float, status: str = "resolved") -> None:
    ledger._db.run(
        """INSERT INTO data_platform.alert_history (alert_id, name, severity, status, summary, started_at, ended_at)
        VALUES (%s, %s, 'warning', %s, '', %s, %s)""",
        *(name, name, status, ago(days), None if status == "firing" else ago(days)),
    )


def landed(ledger: Ledger, lake: Lake, days: float, *, replays: tuple[str, ...] = ()) -> Package:
    """Land an empty package of a slot some days ago, with a reject unless it replays one, and load it."""
    rejects = () if replays else (Reject("BTC", "price", "is missing", {}),)
    batch = Batch(STREAM, pa.RecordBatch.from_pylist([], STREAM.schema), None, (), rejects)
    slot, revision = Slot.of(ago(days)), 1 if replays else 0
    package = lake.land("binance", STREAM, [batch], slot, "run", revision, Purpose(replays=replays))
    ledger.packages.register(STREAM, package, rejects)
    ledger.loads.mirror("postgres", package, LoadResult(), "run")
    for table, column in (("packages", "registered_at"), ("rejects", "created_at")):
        sql = f"UPDATE data_platform.{table} SET {column} = %s WHERE package_id = %s"
        ledger._db.run(sql, ago(days), package.id)
    return package


def replaced(ledger: Ledger, name: str, days: float) -> None:
    """Note in a change table a state that was replaced some days ago."""
    ledger._db.run("CREATE TABLE IF NOT EXISTS public.raw_states_changes (id text, replaced_at timestamptz)")
    ledger._db.run("INSERT INTO public.raw_states_changes VALUES (%s, %s)", name, ago(days))


def aged(lake: Lake, key: str, days: float) -> str:
    """Write an object some days ago."""
    lake.storage.put_if_absent(key, b"left")
    os.utime(Path(lake.storage.root) / key, (ago(days).timestamp(),) * 2)
    return key


def log_of(lake: Lake, job: str, slot_days: float, days: float) -> str:
    return aged(lake, f"logs/{job}/{Slot.of(ago(slot_days)).id}/run-1.jsonl", days)


def folder_of(days: float) -> str:
    slot = Slot.of(ago(days))
    return f"{STREAM.lake_path}/dt={slot.date}/{slot.id}"


def state(ledger: Ledger, lake: Lake) -> dict[str, object]:
    """Everything there is, but what the job's own run leaves."""
    rows = {}
    for table in TABLES:
        other = " WHERE job <> 'retention'" if table == "runs" else ""
        rows[table] = Counter(ledger._db.rows(f"SELECT t::text FROM data_platform.{table} t{other}"))
    return rows | {"lake": [k for k in lake.storage.keys("") if not k.startswith("logs/retention/")]}


def names(ledger: Ledger, table: str, column: str) -> set[str]:
    return {name for (name,) in ledger._db.rows(f"SELECT {column} FROM data_platform.{table}")}


@pytest.fixture
def history(ledger: Ledger, lake: Lake) -> dict[str, set[str]]:
    """Of each kind something that is due, something young, and something that is never removed; returns what stays."""
    old, young = run_of(ledger, "extract-old", 401), run_of(ledger, "extract-young", 399)
    running = run_of(ledger, "extract-running", 500, "running")
    build_of(ledger, "old", 401)
    build_of(ledger, "old red", 402, status="red")
    build_of(ledger, "young", 399)
    build_of(ledger, "newest of a part", 900, "raw_news+", "red")
    build_of(ledger, "fresh", 1)
    published(ledger, "mart", "old", 300)
    published(ledger, "mart", "held", 200)
    published(ledger, "mart", "not shown", 150, confirmed=False)
    published(ledger, "mart", "shown", 100)
    published(ledger, "still", "shown", 800)
    published(ledger, "busy", "young", 89)
    published(ledger, "busy", "younger", 88)
    published(ledger, "busy", "youngest", 87)
    for name, days, status in (("old", 401, "expired"), ("young", 399, "resolved"), ("firing", 900, "firing")):
        alert_of(ledger, name, days, status)
    open_, replayed, lately = (landed(ledger, lake, days) for days in (900, 801, 800))
    landed(ledger, lake, 401, replays=(replayed.id,))
    landed(ledger, lake, 399, replays=(lately.id,))
    logs = {log_of(lake, "extract-a", 89, 89), log_of(lake, "extract-b", 300, 1)}
    log_of(lake, "extract-a", 91, 91)
    log_of(lake, "extract-b", 301, 100)
    orphans = {aged(lake, f"{folder_of(6)}/r0/young-00000.parquet", 6)}
    aged(lake, f"{folder_of(8)}/r0/old-00000.parquet", 8)
    assert {old} | orphans
    ledger._db.run("DROP TABLE IF EXISTS public.raw_states_changes")
    replaced(ledger, "old", 401)
    replaced(ledger, "young", 399)
    return {
        "runs": {young, running}, "builds": {"young", "newest of a part", "fresh"}, "models": {"fresh"},
        "publication": {"mart held", "mart not shown", "mart shown", "still shown", "busy young", "busy younger",
                        "busy youngest"},
        "alert_history": {"young", "firing"}, "rejects": {open_.id, lately.id}, "logs": logs, "orphans": orphans,
        "changes": {"young"},
    }  # fmt: skip


def kept(ledger: Ledger, lake: Lake) -> dict[str, set[str]]:
    keys = set(lake.storage.keys(""))
    orphans = {k for k in keys if k.startswith("raw-data") and Path(k).name.startswith(("young", "old"))}
    return {
        "runs": {r for r, j in ledger._db.rows("SELECT run_id, job FROM data_platform.runs") if j != "retention"},
        "builds": names(ledger, "builds", "build_id"), "models": names(ledger, "models", "build_id"),
        "publication": names(ledger, "publication", "mart || ' ' || generation"),
        "alert_history": names(ledger, "alert_history", "name"), "rejects": names(ledger, "rejects", "package_id"),
        "logs": {k for k in keys if k.startswith("logs/") and not k.startswith("logs/retention/")}, "orphans": orphans,
        "changes": {name for (name,) in ledger._db.rows("SELECT id FROM public.raw_states_changes")},
    }  # fmt: skip


def test_each_kind_is_removed_by_its_age_and_what_is_needed_stays(settings, ledger, lake, history):
    before = {table: state(ledger, lake)[table] for table in ("packages", "loads", "cursors", "load_totals", "schemas")}
    sealed = {k for k in lake.storage.keys(STREAM.lake_path) if k.endswith("/manifest.json")}
    facts: list[dict[str, object]] = []
    assert run_job(Retention(), settings, SLOT, facts.append) == 0
    assert kept(ledger, lake) == history
    # Of models the young build's are 399 days old, and those of a part as old as the part.
    expected = {"runs": 1, "models": 8, "builds": 2, "publications": 1, "alerts": 1, "rejects": 1, "logs": 2}
    assert facts[0]["pruned"] == expected | {"orphans": 1, "changes": 1}
    assert "removed 1 runs of 400 days and older" in facts[0]["notes"]
    assert {table: state(ledger, lake)[table] for table in before} == before
    assert {k for k in lake.storage.keys(STREAM.lake_path) if k.endswith("/manifest.json")} == sealed
    (row,) = ledger._db.rows(
        "SELECT status, outcome -> 'pruned' ->> 'logs' FROM data_platform.runs WHERE job = 'retention'"
    )
    assert row == ("complete", "2")


def test_a_dry_run_says_what_is_due_and_changes_nothing(settings, ledger, lake, history, monkeypatch):
    before = state(ledger, lake)
    for name, value in variables(settings).items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(root, ["retention", "--dry-run", "--json"])
    assert done.exit_code == 0, done.output
    due = {row["what"]: row["due"] for row in json.loads(done.stdout)}
    assert due == {
        "runs": 1,
        "models": 8,
        "builds": 2,
        "publications": 1,
        "alerts": 1,
        "rejects": 1,
        "logs": 2,
        "changes": 1,
        "orphans": 1,
    }
    assert state(ledger, lake) == before
    assert ledger._db.rows("SELECT 1 FROM data_platform.runs WHERE job = 'retention'") == []


@pytest.mark.parametrize(
    ("builds", "gone"),
    [
        ([], False),
        ([("trino", 3, "green", "")], True),
        ([("trino", 3, "red", "")], False),
        ([("trino", 3, "green", "raw_news+")], False),
        ([("trino", 500, "green", "")], False),
        ([("trino", 500, "green", ""), ("trino", 3, "green", "")], True),
        ([("trino", 3, "green", ""), ("postgres", 500, "green", "")], False),
        ([("trino", 3, "green", ""), ("postgres", 3, "green", "")], True),
    ],
)
def test_a_state_goes_only_when_every_target_has_taken_it_in(settings, ledger, builds, gone):
    ledger._db.run("DROP TABLE IF EXISTS public.raw_states_changes")
    replaced(ledger, "old", 401)
    for number, (engine, days, status, selection) in enumerate(builds):
        build_of(ledger, f"{number}", days, selection, status)
        sql = "UPDATE data_platform.builds SET target = %s WHERE build_id = %s"
        ledger._db.run(sql, f"dev-{engine}", f"{number}")
    (kind,) = (kind for kind in retention.kinds(settings, ledger) if kind.name == "changes")
    assert kind.due(NOW) == sum(kind.batches(NOW)) == gone


def test_zero_days_keep_for_ever(settings, ledger, lake, history):
    forever = settings.model_copy(update=dict.fromkeys((f"retention_{n}_days" for n in _SETTINGS), 0))
    before = state(ledger, lake)
    assert run_job(Retention(), forever, SLOT) == 0
    assert state(ledger, lake) == before
    assert {due for _, _, due in preview(forever)} == {0}


_SETTINGS = ("run", "log", "build", "model", "publication", "alert", "reject", "change", "orphan")


def test_every_setting_is_used(settings, ledger):
    used = {
        days
        for _, days, _ in preview(
            settings.model_copy(update={f"retention_{n}_days": 10_000 + i for i, n in enumerate(_SETTINGS)})
        )
    }
    assert used == {10_000 + i for i in range(len(_SETTINGS))}
    assert {name for name in Settings.model_fields if name.startswith("retention_")} == {
        f"retention_{n}_days" for n in _SETTINGS
    }
    assert tuple(kind.name for kind in retention.kinds(settings, ledger)) == KINDS


def test_no_batch_is_larger_than_the_limit(settings, ledger, lake, monkeypatch):
    for n in range(10):
        run_of(ledger, f"extract-{n}", 500 + n)
        log_of(lake, "extract-a", 500 + n, 500 + n)
        aged(lake, f"{folder_of(10)}/r0/old-{n:05d}.parquet", 10)
    monkeypatch.setattr(retention, "BATCH", 4)
    for kind in retention.kinds(settings, ledger):
        assert list(kind.batches(NOW)) == ([4, 4, 2] if kind.name in {"runs", "logs", "orphans"} else []), kind.name


def test_a_run_that_is_killed_after_any_batch_is_gone_on_with(settings, ledger, lake, history):
    environment = variables(settings) | {"TICKVAULT_SLOT": SLOT.id, "FAULT_AT": "after_prune"}
    codes = []
    while not codes or codes[-1] == 137:
        assert len(codes) <= len(KINDS)
        command = [sys.executable, "-m", "tickvault", "retention"]
        codes.append(subprocess.run(command, env=environment, capture_output=True, check=False).returncode)
    assert codes == [137] * len(KINDS) + [0], "each was killed after its first batch"
    assert kept(ledger, lake) == history
    assert run_job(Retention(), settings, Slot.of(NOW + timedelta(days=1))) == 0
    assert kept(ledger, lake) == history


def test_one_kind_that_fails_does_not_stop_the_others(settings, ledger, lake, history, monkeypatch):
    broken = settings.model_copy(update={"lake_path": None})
    assert run_job(Retention(), broken, SLOT) == 78
    found = kept(ledger, lake)
    assert {name: found[name] for name in ("runs", "builds", "rejects")} == {
        name: history[name] for name in ("runs", "builds", "rejects")
    }


@pytest.mark.parametrize("seed", range(8))
def test_builds_are_judged_alike_before_and_after(ledger, seed):
    chance = random.Random(seed)
    selections = ("", "raw_news+", "raw_cryptobars+")
    for n in range(40):
        days = 1000 - 20 * n + chance.random()
        build_of(ledger, f"b{n}", days, chance.choice(selections), chance.choice(("green", "green", "red")))

    def judged() -> list[object]:
        latest = [
            ledger.builds.covering("dev-trino", f"inputs of b{n}", s) for n in range(40) for s in (*selections, "other")
        ]
        return [*latest, ledger.builds.green_since_whole("dev-trino"), ledger.builds.last_green()]

    before = judged()
    while ledger.builds.prune_nodes(ago(250), 7):
        pass
    while ledger.builds.prune(ago(250), 3):
        pass
    assert judged() == before
    assert len(ledger._db.rows("SELECT 1 FROM data_platform.builds")) < 40


_PRUNES = """
from datetime import UTC, datetime, timedelta
from tickvault.core.settings import Settings
from tickvault.ledger import Ledger
with Ledger.open(Settings.load(_env_file=None)) as ledger:
    print("asks", flush=True)
    print(ledger.runs.prune(datetime.now(UTC) - timedelta(days=400), 10))
"""


def test_a_run_that_begins_again_meanwhile_stays(ledger, settings):
    run_id = run_of(ledger, "extract-a", 500)
    slot = Slot.of(ledger._db.one("SELECT slot FROM data_platform.runs WHERE run_id = %s", run_id)[0])
    with Ledger.open(settings) as other, other._db.transaction():
        assert other.runs.start("extract-a", slot, None).run_id == run_id
        child = subprocess.Popen(
            [sys.executable, "-c", _PRUNES], env=variables(settings), stdout=subprocess.PIPE, text=True
        )
        assert child.stdout and child.stdout.readline() == "asks\n"
        time.sleep(1)
    assert child.communicate()[0] == "0\n"
    assert names(ledger, "runs", "run_id") == {run_id}


def test_orphans_of_an_old_slot_are_found_by_what_the_ledger_knows(settings, ledger, lake):
    package = landed(ledger, lake, 700)
    untold = aged(lake, f"{folder_of(600)}/r0/dead-00000.parquet", 600)
    killed = aged(lake, f"{folder_of(700)}/r1/dead-00000.parquet", 20)
    lost = aged(lake, f"{folder_of(700)}/r0/loser-00000.parquet", 20)
    scope = Scope(ago(7), ago(35))

    def found() -> list[str]:
        return [f if isinstance(f, str) else f.id for f in Cleaning(lake, ledger, scope).findings()]

    assert found() == []
    run_id = run_of(ledger, "extract-binance", 700, "complete", attempts=2)
    assert found() == [], "its second attempt was long ago"
    ledger._db.run("UPDATE data_platform.runs SET started_at = %s WHERE run_id = %s", ago(20), run_id)
    assert found() == [lost, killed]
    scope = Scope(ago(7), None)
    assert found() == [lost, killed, untold]
    assert lake.sealed(STREAM, package.slot)


def test_a_killed_replay_leaves_no_orphans(settings, ledger, lake):
    landed(ledger, lake, 700)
    killed = aged(lake, f"{folder_of(700)}/r1/dead-00000.parquet", 20)
    assert list(Cleaning(lake, ledger, Scope(ago(7), ago(35))).findings()) == []
    run_of(ledger, "replay-rejects", 20, "interrupted")
    assert list(Cleaning(lake, ledger, Scope(ago(7), ago(35))).findings()) == [killed]


def test_a_package_the_ledger_lost_is_registered_and_manifests_are_not_read_for_nothing(
    settings, ledger, lake, monkeypatch
):
    packages = [landed(ledger, lake, days) for days in (3, 2, 1)]
    read: list[str] = []
    get = FolderStorage.get
    monkeypatch.setattr(FolderStorage, "get", lambda self, key: (read.append(key), get(self, key))[1])
    assert run_job(Retention(), settings, SLOT) == 0
    assert [key for key in read if key.endswith("manifest.json")] == []
    ledger._db.run("DELETE FROM data_platform.packages WHERE package_id = %s", packages[1].id)
    assert run_job(Retention(), settings, SLOT) == 0
    assert {key for key in read if key.endswith("manifest.json")} == {packages[1].manifest_key}
    assert names(ledger, "packages", "package_id") == {p.id for p in packages}
