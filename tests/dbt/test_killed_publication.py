"""Killed while it publishes, and run again: readers see one generation or the next, and the end is the same."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
import pytest
from warehouse import Postgres, Snowflake, Trino, Warehouse

from tickvault.core import faults
from tickvault.core.errors import ConfigError, TableLockedError
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.engines.postgres.connection import Connection as PostgresConnection
from tickvault.engines.snowflake.session import Connection
from tickvault.engines.trino import TrinoSession
from tickvault.ledger import Ledger
from tickvault.local.engines import postgres_environment
from tickvault.local.postgres import create_reader
from tickvault.local.snowflake.process import Emulator
from tickvault.query.read import read
from tickvault.warehouse import publication
from tickvault.warehouse.postgres_publication import PostgresShelf
from tickvault.warehouse.publication import Generation, Mart, Shelf, Stamp, publish
from tickvault.warehouse.snowflake_publication import SnowflakeShelf
from tickvault.warehouse.target import target
from tickvault.warehouse.trino_publication import TrinoShelf

MARTS = [Mart("first_mart", "build_marts"), Mart("second_mart", "build_marts")]
SLOT = Slot.parse("20261120T130000Z")
POINTS = {"after_freeze": [1, 1], "after_note": [2, 2], "after_show": [4, 3]}
"""Where publication is killed, and what readers see then: the value that each mart had before, or the next."""


@dataclass
class Window:
    """Two marts that dbt could have built, and what readers see of them."""

    warehouse: Warehouse
    shelf: Callable[[], AbstractContextManager[Shelf]]

    def build(self, value: int) -> None:
        for mart in MARTS:
            self.warehouse.replace(f"{mart.aside}.{mart.name}", f"SELECT {value} AS id")

    def publish(self, build: str) -> list[Mart]:
        with self.shelf() as shelf:
            return publish(shelf, MARTS, Stamp(SLOT, f"run-{build}", build))

    def killed_at(self, point: str, build: str) -> None:
        """Publish in a process of its own that ends at this point."""
        child = os.fork()
        if child == 0:
            faults.arm(point)
            try:
                self.publish(build)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 137

    def seen(self) -> list[int]:
        return [self.warehouse.query(f"SELECT id FROM marts.{mart.name}")[0][0] for mart in MARTS]


def _check(window: Window) -> None:
    window.build(1)
    assert window.publish("build0") == MARTS
    assert window.seen() == [1, 1]
    for number, (point, seen) in enumerate(POINTS.items(), start=2):
        window.build(number)
        window.killed_at(point, f"killed{number}")
        assert window.seen() == seen, "what was shown stays until the next generation stands in its place"
        assert window.publish(f"again{number}") == MARTS
        assert window.seen() == [number, number]
        assert window.publish(f"idle{number}") == [], "it is confirmed, so nothing is left to do"


def test_killed_in_the_emulator(emulator: Emulator, make_settings: Callable[..., Settings]) -> None:
    database = f"KILLED_{datetime.now(UTC):%H%M%S%f}"
    warehouse = Snowflake(emulator.environment(), database)
    warehouse.query("CREATE SCHEMA BUILD_MARTS")
    settings = make_settings(**{k.lower(): v for k, v in warehouse.environment().items()})

    @contextmanager
    def shelf() -> Iterator[Shelf]:
        with closing(Connection(settings)) as connection:
            yield SnowflakeShelf(connection, settings)

    _check(Window(warehouse, shelf))
    generations = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'GENERATIONS'"
    # The first mart keeps three: nobody can say whether the one noted by the killed build was ever shown.
    assert warehouse.query(generations)[0][0] == 3 + 2, "clones that a kill left behind are gone"


def test_what_was_published_long_ago_costs_nothing(emulator: Emulator, make_settings: Callable[..., Settings]) -> None:
    database = f"AGED_{datetime.now(UTC):%H%M%S%f}"
    warehouse = Snowflake(emulator.environment(), database)
    settings = make_settings(**{k.lower(): v for k, v in warehouse.environment().items()})
    notes = f"{database}.DATA_PLATFORM.PUBLICATION"
    with closing(Connection(settings)) as connection:
        shelf = SnowflakeShelf(connection, settings)
        shelf.prepare(["marts"])
        for mart in MARTS:
            warehouse.query(
                f"INSERT INTO {notes} SELECT '{mart.name}', 'G' || LPAD(CAST(n AS VARCHAR), 4, '0'), 's', 'r',"
                f" DATEADD('day', -n, CURRENT_TIMESTAMP()::TIMESTAMP_NTZ), TRUE FROM (SELECT UNNEST(RANGE(1, 300)) n)"
            )
        history = shelf.history()
        assert [g.name for g in history["first_mart"]] == [f"G{n:04d}" for n in range(1, 51)]
        assert set(history) == {mart.name for mart in MARTS}
        shelf.clear(MARTS[0], ["G0001", "G0200"])
        left = warehouse.query(f"SELECT GENERATION FROM {notes} WHERE MART = 'first_mart' ORDER BY 1")
        assert [name for (name,) in left] == [f"G{n:04d}" for n in (*range(1, 90), 200)]
        assert warehouse.query(f"SELECT COUNT(*) FROM {notes} WHERE MART = 'second_mart'")[0][0] == 299
        forever = settings.model_copy(update={"retention_publication_days": 0})
        SnowflakeShelf(connection, forever).clear(MARTS[1], ["G0001"])
        assert warehouse.query(f"SELECT COUNT(*) FROM {notes} WHERE MART = 'second_mart'")[0][0] == 299


def test_what_readers_had_is_kept() -> None:
    known = [
        Generation("noted2", False),
        Generation("noted1", False),
        Generation("shown", True),
        Generation("old", True),
    ]
    assert publication._retained("new", known) == ["new", "noted2", "noted1", "shown"]
    assert publication._retained("noted2", known) == ["noted2", "noted1", "shown"]
    assert publication._retained("new", known[2:]) == ["new", "shown"]
    assert publication._retained("new", []) == ["new"]


@dataclass
class Own:
    """A database of one's own in PostgreSQL, with what publishes in it."""

    warehouse: Postgres
    settings: Settings

    @contextmanager
    def shelf(self) -> Iterator[PostgresShelf]:
        with PostgresConnection.open(self.settings) as connection, Ledger.open(self.settings) as ledger:
            yield PostgresShelf(connection, self.settings, ledger, target("dev-postgres"))

    def show(self, mart: Mart, columns: str) -> None:
        """Build a mart and publish it."""
        self.warehouse.replace(f"{mart.aside}.{mart.name}", f"SELECT {columns}")
        with self.shelf() as shelf:
            publish(shelf, [mart], Stamp(SLOT, "run", f"{time.time_ns():x}"[-12:]))


@pytest.fixture
def own(postgres_uri: str, make_settings: Callable[..., Settings]) -> Own:
    warehouse = Postgres.fresh(postgres_uri, f"shelf_{time.time_ns()}")
    reader = create_reader(warehouse.postgres)
    warehouse.query("CREATE SCHEMA build_marts")
    fields = {k.lower(): v for k, v in warehouse.environment().items()}
    return Own(warehouse, make_settings(**fields, postgres_reader_user=reader, lock_wait_seconds=6))


def test_killed_in_postgres(own: Own) -> None:
    _check(Window(own.warehouse, own.shelf))
    generations = "SELECT count(*) FROM pg_tables WHERE schemaname = 'generations'"
    assert own.warehouse.query(generations)[0][0] == 3 + 2, "copies that a kill left behind are gone"


def test_who_only_reads_sees_what_is_published(own: Own) -> None:
    own.show(MARTS[0], "1 AS id")
    _, rows = read(own.settings, "postgres", "SELECT id FROM marts.first_mart", 9)
    assert rows == [(1,)]
    for hidden in ("build_marts.first_mart", f"generations.{own.warehouse.generations('first_mart')[0]}"):
        with pytest.raises(ConfigError, match="permission denied"):
            read(own.settings, "postgres", f"SELECT id FROM {hidden}", 9)


def test_columns_come_and_go_with_the_views_and_the_rights_on_them(own: Own) -> None:
    mart, run = MARTS[0], own.warehouse.query
    own.show(mart, "1 AS id, 'x' AS name, 2 AS gone")
    run("CREATE SCHEMA analysis; CREATE VIEW analysis.ids AS SELECT id FROM marts.first_mart")
    run("CREATE VIEW analysis.twice AS SELECT 2 * id AS twice FROM analysis.ids")
    run("CREATE VIEW analysis.lost AS SELECT gone FROM marts.first_mart")
    run("GRANT USAGE ON SCHEMA analysis TO tickvault_reader; GRANT SELECT ON analysis.twice TO tickvault_reader")
    run("GRANT SELECT ON marts.first_mart TO pg_monitor")
    own.show(mart, "1 AS id, 'x' AS name, 2 AS gone, 3 AS added")
    assert run("SELECT added FROM marts.first_mart") == [(3,)]
    own.show(mart, "'y' AS name, 21 AS id")
    assert run("SELECT * FROM marts.first_mart") == [("y", 21)]
    assert read(own.settings, "postgres", "SELECT twice FROM analysis.twice", 9)[1] == [(42,)]
    assert run("SELECT has_table_privilege('pg_monitor', 'marts.first_mart', 'select')") == [(True,)]
    assert run("SELECT to_regclass('analysis.lost')") == [(None,)], "it asked for a column that there is no more"


def test_a_reader_who_stays_holds_up_no_other(own: Own) -> None:
    own.show(MARTS[0], "1 AS id")
    with psycopg.connect(own.warehouse.postgres) as staying:
        staying.execute("SELECT id FROM marts.first_mart")  # and leaves the transaction open, as a notebook does
        with ThreadPoolExecutor() as pool:
            publishing = pool.submit(own.show, MARTS[0], "2 AS id")
            waits = []
            while not publishing.done():
                begun = time.monotonic()
                assert own.warehouse.query("SELECT id FROM marts.first_mart") == [(1,)]
                waits.append(time.monotonic() - begun)
                time.sleep(0.05)
        with pytest.raises(TableLockedError, match="lock timeout"):
            publishing.result()
        assert max(waits) < 5, "who asks meanwhile waits for one attempt at most"
    own.show(MARTS[0], "2 AS id")
    assert own.warehouse.query("SELECT id FROM marts.first_mart") == [(2,)]


def test_a_killed_publication_shows_nothing_later(own: Own) -> None:
    """Killed while it waits at the server for a reader: the statement is not carried out when the reader has gone."""
    own.show(MARTS[0], "1 AS id")
    with psycopg.connect(own.warehouse.postgres) as staying:
        staying.execute("SELECT id FROM marts.first_mart")
        child = os.fork()
        if child == 0:
            try:
                own.show(MARTS[0], "2 AS id")
            finally:
                os._exit(1)
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while own.warehouse.query(waiting) == [(0,)]:
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    time.sleep(3)
    assert own.warehouse.query("SELECT id FROM marts.first_mart") == [(1,)]
    own.show(MARTS[0], "3 AS id")
    assert own.warehouse.query("SELECT id FROM marts.first_mart") == [(3,)]


@pytest.mark.engine("trino")
def test_killed_on_trino(trino: Trino, make_settings: Callable[..., Settings]) -> None:
    trino.reset()
    trino.built = None
    trino.query("CREATE SCHEMA IF NOT EXISTS lake.build_marts")
    variables = trino.environment() | postgres_environment(trino.postgres)
    settings = make_settings(**{k.lower(): v for k, v in variables.items()})

    @contextmanager
    def shelf() -> Iterator[Shelf]:
        properties = TrinoShelf.session_properties(settings)
        with TrinoSession(settings, properties) as session, Ledger.open(settings) as ledger:
            yield TrinoShelf(session, settings, ledger, target("dev-trino"))

    _check(Window(trino, shelf))
