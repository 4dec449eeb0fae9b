"""Killed while it publishes, and run again: readers see one generation or the next, and the end is the same."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from warehouse import Snowflake, Trino, Warehouse

from tickvault.core import faults
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.engines.snowflake.session import Connection
from tickvault.engines.trino import TrinoSession
from tickvault.ledger import Ledger
from tickvault.local.engines import postgres_environment
from tickvault.local.snowflake.process import Emulator
from tickvault.warehouse import publication
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
            self.warehouse.query(f"CREATE OR REPLACE TABLE {mart.aside}.{mart.name} AS SELECT {value} AS id")

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
