"""A build that is killed in the middle of an insert: the next one makes the vault that one never killed makes.

Whatever an engine does with a statement whose client is gone, no row of it stands beside those of the next build.
"""

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import raw_data
from warehouse import Dbt, Postgres, Snowflake, Trino, Warehouse, read

from tickvault.core.errors import SinkUnavailableError
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.ledger import Ledger
from tickvault.ledger.builds import Build
from tickvault.local.engines import postgres_environment
from tickvault.local.snowflake.process import Emulator
from tickvault.warehouse import detached
from tickvault.warehouse.journal import Journal
from tickvault.warehouse.target import target

TABLES = ("hub_customer", "link_customer_transaction", "sat_customer_profile")
BUILD = ("run", "--vars", "{lookback_hours: 24000}", "--select", *(f"+{table}" for table in TABLES))
LATER = "customer_id LIKE '%1%'"
"""Rows that come after the first build, of these tables:"""
LOADED = ("raw_customers", "raw_transactions_personal", "raw_transactions_corporate")
GATE = 7_301


@pytest.fixture(scope="module")
def some() -> raw_data.Tables:
    return raw_data.generate(11, transactions=300, days=20, customers=40, companies=5, symbols=3)


class Case:
    """A warehouse with a first build, and rows that have come since."""

    def __init__(self, warehouse: Warehouse, dbt: Dbt, raw: raw_data.Tables) -> None:
        self.warehouse, self.dbt = warehouse, dbt
        warehouse.load(raw)
        names = dict.fromkeys(map(self._raw, LOADED))
        for name in names:
            warehouse.query(f"CREATE TABLE {name}_later AS SELECT * FROM {name} WHERE {LATER}")
            warehouse.query(f"DELETE FROM {name} WHERE {LATER}")
        dbt.run(*BUILD)
        self.first = self.vault()
        for name in names:
            warehouse.query(f"INSERT INTO {name} SELECT * FROM {name}_later")

    def _raw(self, table: str) -> str:
        if self.warehouse.target != "dev-snowflake":
            return table
        return "RAW.RAW_TRANSACTIONS" if "transactions" in table else f"RAW.{table}"

    def vault(self) -> dict[str, list[str]]:
        """Return the rows of the vault's tables, in an order of their own."""
        return {table: sorted(map(repr, read(self.warehouse, f"vault.{table}"))) for table in TABLES}

    @contextmanager
    def building(self, kill: Callable[[], None] | None = None) -> Iterator[int]:
        """Build in a process of its own, which ``kill`` prepares, and give its number."""
        child = os.fork()
        if child == 0:
            try:
                if kill:
                    kill()
                self.dbt.run(*BUILD)
            finally:
                os._exit(1)
        yield child


def expected(case: Case) -> dict[str, list[str]]:
    """Build undisturbed."""
    case.dbt.run(*BUILD)
    found = case.vault()
    assert all(len(found[table]) > len(case.first[table]) for table in TABLES), "each table gets rows"
    return found


def test_killed_within_an_insert_on_postgres(
    postgres_uri: str, some: raw_data.Tables, tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    """The insert is held at its first row, its client is killed, and it goes on with nobody there."""
    undisturbed = Case(*_postgres(postgres_uri, "never_killed", tmp_path), some)
    wanted = expected(undisturbed)
    case = Case(*_postgres(postgres_uri, "killed", tmp_path), some)
    settings = make_settings(**{k.lower(): v for k, v in postgres_environment(case.warehouse.postgres).items()})
    case.warehouse.query(
        f"CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM"
        f" pg_advisory_xact_lock({GATE}); RETURN NEW; END $$"
    )
    waiting = f"SELECT count(*) FROM pg_locks WHERE objid = {GATE} AND locktype = 'advisory' AND NOT granted"
    for number, table in enumerate(TABLES):
        before = case.vault()[table]  # a build that was killed at another table may have filled this one
        if before == wanted[table]:
            continue
        case.warehouse.query(f"CREATE TRIGGER held BEFORE INSERT ON vault.{table} EXECUTE FUNCTION wait()")
        with psycopg.connect(case.warehouse.postgres, autocommit=True) as gate, case.building() as child:
            gate.execute(f"SELECT pg_advisory_lock({GATE})")
            _until(lambda: case.warehouse.query(waiting)[0][0] == 1)
            os.kill(child, 9)
            os.waitpid(child, 0)
            time.sleep(0.5)
            assert case.warehouse.query(waiting)[0][0] == 1, "it goes on though its client is gone"
            if number == 0:
                assert len(detached.end(settings, target("dev-postgres"), 10)) == 1
                assert case.warehouse.query(waiting)[0][0] == 0
                assert detached.end(settings, target("dev-postgres"), 0) == []
        _until(lambda: case.warehouse.query(waiting)[0][0] == 0)
        case.warehouse.query(f"DROP TRIGGER held ON vault.{table}")
        assert case.vault()[table] == before, "what was cut off is undone"
    case.dbt.run(*BUILD)
    assert case.vault() == wanted


def _postgres(server: str, database: str, folder: Path) -> tuple[Postgres, Dbt]:
    warehouse = Postgres.fresh(server, f"{database}_{time.time_ns()}")
    return warehouse, Dbt(warehouse, folder / database)


def test_killed_within_an_insert_in_the_emulator(emulator: Emulator, some: raw_data.Tables, tmp_path: Path) -> None:
    """The client ends right after it has sent the insert, and the next build begins at once."""
    stamp = f"{datetime.now(UTC):%H%M%S%f}"
    undisturbed = Snowflake(emulator.environment(), f"WHOLE_{stamp}")
    wanted = expected(Case(undisturbed, Dbt(undisturbed, tmp_path / "whole"), some))
    warehouse = Snowflake(emulator.environment(), f"KILLED_{stamp}")
    case = Case(warehouse, Dbt(warehouse, tmp_path / "killed"), some)
    for table in TABLES:
        with case.building(lambda table=table: _end_after_sending(table)) as child:  # type: ignore[misc]
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 137
    case.dbt.run(*BUILD)
    assert case.vault() == wanted


def _end_after_sending(table: str) -> None:
    from snowflake.connector.cursor import SnowflakeCursor

    execute = SnowflakeCursor.execute

    def patched(self: Any, command: str, *args: Any, **kwargs: Any) -> Any:
        if "insert into" in command and f"vault.{table} " in command.replace('"', "").lower():
            threading.Timer(0.01, os._exit, [137]).start()
        return execute(self, command, *args, **kwargs)

    SnowflakeCursor.execute = patched  # type: ignore[method-assign]


LONG = "SELECT COUNT(*) FROM (SELECT UNNEST(RANGE(1000000)) a) x, (SELECT UNNEST(RANGE({})) b) y"


def test_the_emulator_ends_a_statement_with_its_client(emulator: Emulator) -> None:
    """The statement would go on for half a minute, at the speed of the one before, and then have its row."""
    warehouse = Snowflake(emulator.environment(), f"GONE_{datetime.now(UTC):%H%M%S%f}")
    warehouse.query("CREATE TABLE RAW.T (i INT)")
    began = time.monotonic()
    warehouse.query(LONG.format(300))
    seconds = time.monotonic() - began
    child = _client(
        f"""
        import snowflake.connector
        c = snowflake.connector.connect(account="fakesnow", user="x", password="y", host="{emulator.host}",
            port={emulator.port}, protocol="http", database="{warehouse.database}")
        k = c.cursor()
        print("ready", flush=True)
        k.execute("INSERT INTO RAW.T {LONG.format(int(300 * 30 / seconds))}")
        """
    )
    time.sleep(1)
    child.kill()
    child.wait()
    _until_idle(psutil.Process(emulator.pid))
    assert warehouse.query("SELECT COUNT(*) FROM RAW.T") == [(0,)]


def _client(code: str) -> "subprocess.Popen[str]":
    """Start a client, and wait until it says that it is ready."""
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def _comment(name: str) -> str:
    """Return what dbt writes before a statement."""
    said = {"app": "dbt", "dbt_version": "1.11.16", "profile_name": "tickvault", "target_name": name, "node_id": "m.x"}
    return f"/* {json.dumps(said)} */"


def test_only_what_is_of_the_target_is_ended(postgres_uri: str, make_settings: Callable[..., Settings]) -> None:
    warehouse = Postgres.fresh(postgres_uri, f"ended_{time.time_ns()}")
    settings = make_settings(**{k.lower(): v for k, v in postgres_environment(warehouse.postgres).items()})
    warehouse.query("CREATE TABLE t (i int)")
    clients = [
        _client(
            f"""
            import psycopg
            c = psycopg.connect({warehouse.postgres!r}, autocommit=True)
            print("ready", flush=True)
            c.execute('''{said} insert into t select 1 from pg_sleep({seconds})''')
            """
        )
        for said, seconds in ((_comment("dev-postgres"), 600), (_comment("dev-other"), 2), ("/* by hand */", 2))
    ]
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%insert into t%' AND state = 'active'"
    _until(lambda: warehouse.query(running)[0][0] == 3)
    clients[0].kill()
    assert len(detached.end(settings, target("dev-postgres"), 10)) == 1
    for client in clients:
        client.wait()
    assert warehouse.query("SELECT count(*) FROM t") == [(2,)]


@pytest.mark.engine("trino")
def test_a_detached_statement_is_ended_on_trino(trino: Trino, make_settings: Callable[..., Settings]) -> None:
    trino.query("CREATE SCHEMA IF NOT EXISTS lake.vault")
    trino.query("CREATE TABLE lake.vault.detached (i bigint)")
    settings = make_settings(**{k.lower(): v for k, v in trino.environment().items()})
    numbers = "SELECT n FROM UNNEST(sequence(1, 10000)) t (n)"
    child = _client(
        f"""
        import trino
        c = trino.dbapi.connect(host="{trino.host}", port={trino.port}, user="{settings.trino_user}", catalog="lake")
        print("ready", flush=True)
        c.cursor().execute('''{_comment("dev-trino")} INSERT INTO lake.vault.detached
            SELECT count(*) FROM ({numbers}) a, ({numbers}) b, ({numbers}) c''')
        """
    )
    sql = "SELECT count(*) FROM system.runtime.queries WHERE state = 'RUNNING' AND query LIKE '%lake.vault.det' || '%'"
    _until(lambda: trino.query(sql)[0][0] >= 2)  # this one is another
    child.kill()
    child.wait()
    assert len(detached.end(settings, target("dev-trino"), 60)) == 1
    assert trino.query("SELECT count(*) FROM lake.vault.detached") == [(0,)]
    trino.query("DROP TABLE lake.vault.detached")


def test_what_does_not_end_stops_the_next_build(
    monkeypatch: pytest.MonkeyPatch, make_settings: Callable[..., Settings]
) -> None:
    class Stubborn:
        def __init__(self, *_: object) -> None:
            self.asked = 0

        def cancel(self) -> list[str]:
            self.asked += 1
            return ["01b2"]

        def close(self) -> None: ...

    monkeypatch.setattr(detached, "_Engine", Stubborn)
    with pytest.raises(SinkUnavailableError, match="still run: 01b2"):
        detached.end(make_settings(), target("dev-snowflake"), 0)


def test_only_after_a_build_without_a_good_end_is_there_something_to_look_for(
    make_settings: Callable[..., Settings], postgres_settings: dict[str, str]
) -> None:
    with Ledger.open(make_settings(**postgres_settings)) as ledger:
        journal = Journal(ledger, target("dev-snowflake"))
        assert not journal.interrupted()
        run = ledger.runs.start("dbt-snowflake", Slot.of(datetime.now(UTC)), None)
        for name, green, left in (("one", True, False), ("two", None, True), ("three", False, True)):
            build = Build(name, run, "inputs")
            journal.start(build, "")
            if green is not None:
                journal.finish(build, green=green)
            assert journal.interrupted() is left


def _until(true: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.1)


def _until_idle(process: psutil.Process) -> None:
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        before = sum(process.cpu_times()[:2])
        time.sleep(1)
        if sum(process.cpu_times()[:2]) - before < 0.1:
            return
    pytest.fail("it never comes to rest")
