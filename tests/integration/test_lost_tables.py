"""A table that lost what the ledger says was loaded: it is said, not green, and one command loads it again."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from tickvault.core.batch import Batch
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.engines.snowflake.session import Connection
from tickvault.engines.snowflake.tables import Names
from tickvault.engines.storage import open_storage
from tickvault.lake import Lake
from tickvault.ledger import Ledger
from tickvault.market.streams import BARS_BINANCE, CRYPTO_COINGECKO
from tickvault.runs.entry import run_job
from tickvault.transfer.loading import Loading

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class Place:
    """One target, and a hand that does to its tables what no loader does."""

    def __init__(self, settings: Settings, sink: str) -> None:
        self.settings, self.sink = settings, sink
        self.lake = Lake(open_storage(settings))

    def table(self, stream=BARS_BINANCE) -> str:
        return f"public.{stream.name}" if self.sink == "postgres" else Names.of(self.settings).table(stream)

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        if self.sink == "snowflake":
            with closing(Connection(self.settings)) as connection:
                return [tuple(row) for row in connection.run(statement)]
        with psycopg.connect(self.settings.postgres_dsn(), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def count(self) -> int:
        return int(self.run(f"SELECT COUNT(*) FROM {self.table()}")[0][0])

    def land(self, day: int, count: int = 9, stream=BARS_BINANCE, close: int = 2, seen: int = 0) -> None:
        """Land a day's rows, as they were read so many hours after noon."""
        at = NOON + day * DAY + seen * timedelta(hours=1)
        prices = {"open": 1, "high": 9, "low": 1, "close": close} if stream == BARS_BINANCE else {"price": 1}
        rows = [
            {"symbol": f"C{n}", "source": "binance", "date": at.date(), "base_currency": f"C{n}", "observed_at": at}
            | {"quote_currency": "USD"} | {name: Decimal(value) for name, value in prices.items()}
            for n in range(count)
        ]  # fmt: skip
        kept = [{name: row[name] for name in stream.schema.names if name in row} for row in rows]
        batch = Batch(stream, pa.RecordBatch.from_pylist(kept, schema=stream.schema))
        package = self.lake.land("binance", stream, [batch], Slot.of(at), "run", 0)
        with Ledger.open(self.settings) as ledger:
            ledger.packages.register(stream, package, ())

    def load(self, **fields: Any) -> tuple[int, dict[str, Any]]:
        said: list[dict[str, Any]] = []
        code = run_job(Loading(self.sink, **fields), self.settings, Slot.of(NOON), said.append)
        return code, said[0]


@pytest.fixture(params=["postgres", "snowflake"])
def place(request, make_settings: Callable[..., Settings], postgres_settings, snowflake_settings, tmp_path) -> Place:
    place = Place(make_settings(**postgres_settings, **snowflake_settings, lake_path=tmp_path / "lake"), request.param)
    for name in (place.table(), f"{place.table()}_changes"):
        place.run(f"DROP TABLE IF EXISTS {name}")
    with Ledger.open(place.settings) as ledger:
        for table in ("runs", "packages", "loads", "holdings", "backlog", "deliveries"):
            ledger._db.run(f"DELETE FROM data_platform.{table}")
    if request.param == "snowflake":
        place.run(f"DROP TABLE IF EXISTS {Names.of(place.settings).loads}")
    for day in range(3):
        place.land(day)
    assert place.load()[0] == 0
    assert place.count() == 27
    return place


@pytest.mark.parametrize("accident", ["DROP TABLE {}", "TRUNCATE TABLE {}", "DELETE FROM {} WHERE symbol < 'C5'"])
def test_rows_that_are_gone_are_said_by_every_load_until_they_are_loaded_again(place: Place, accident: str) -> None:
    if accident.startswith("DELETE") and place.sink == "postgres":  # its table is the same, and is counted once a day
        with Ledger.open(place.settings) as ledger:
            ledger._db.run("UPDATE data_platform.holdings SET counted_at = now() - interval '2 days'")
    place.run(accident.format(place.table()))
    for day in (3, 4):
        place.land(day, count=1)
        code, said = place.load()
        assert code == 65
        assert "were loaded" in said["failed"][0]
        assert f"tickvault load {place.sink} --again raw_cryptobars" in said["failed"][0]
    assert place.load(again=("raw_cryptobars",))[0] == 0
    assert place.count() == 29
    place.land(5, count=1)
    assert place.load()[0] == 0
    assert place.count() == 30


def test_a_load_with_nothing_pending_says_it_too_where_asking_costs_nothing(place: Place) -> None:
    assert place.load()[0] == 0
    place.run(f"TRUNCATE TABLE {place.table()}")
    code, said = place.load()
    assert said["notes"] == [f"nothing is pending for {place.sink}"]
    assert code == (65 if place.sink == "postgres" else 0)
    place.land(3, count=1)
    assert place.load()[0] == 65


def test_a_column_that_is_gone_is_said_although_the_load_puts_it_back(place: Place) -> None:
    if place.sink == "snowflake":
        place.run(f"ALTER TABLE {place.table()} DROP COLUMN high")
    else:
        place.run(f"ALTER TABLE {place.table()} DROP COLUMN volume")
    lost = "high" if place.sink == "snowflake" else "volume"
    for day in (3, 4):
        place.land(day, count=1)
        code, said = place.load()
        assert code == 65
        assert f"the columns {lost} are gone" in " ".join(said["failed"])


def test_a_loss_that_is_accepted_is_not_said_again(place: Place) -> None:
    place.run(f"TRUNCATE TABLE {place.table()}")
    place.land(3, count=1)
    assert place.load()[0] == 65
    code, said = place.load(accept=("raw_cryptobars",))
    assert code == 0
    assert "27 rows are not missed any more" in " ".join(said["notes"])
    place.land(4, count=1)
    assert place.load()[0] == 0
    assert place.count() == 2


@pytest.mark.parametrize("accident", ["DROP TABLE {}_changes", "TRUNCATE TABLE {}_changes"])
def test_a_change_table_that_is_gone_is_said_and_comes_back_from_the_lake(place: Place, accident: str) -> None:
    if accident.startswith("TRUNCATE") and place.sink == "snowflake":
        pytest.skip("Snowflake does not say whether a table was emptied or its rows were due")
    for seen, close in enumerate((2, 3, 2)):
        place.land(3, count=2, close=close, seen=seen)
        assert place.load()[0] == 0
    asked = f"SELECT symbol, row_version, close FROM {place.table()}_changes ORDER BY 1, 2"
    held = place.run(asked)
    assert [(row[0], int(row[2])) for row in held] == [("C0", 2), ("C0", 3), ("C1", 2), ("C1", 3)]
    place.run(accident.format(place.table()))
    for day in (4, 5):
        place.land(day, count=1)
        code, said = place.load()
        assert code == 65
        assert f"its change table {'is gone' if accident.startswith('DROP') else 'was emptied'}" in said["failed"][0]
        assert f"tickvault load {place.sink} --again raw_cryptobars" in said["failed"][0]
    assert place.load(again=("raw_cryptobars",))[0] == 0
    assert place.run(asked) == held
    assert place.count() == 31
    place.land(6, count=1)
    assert place.load()[0] == 0


def test_a_change_table_whose_rows_were_due_is_not_missed(place: Place) -> None:
    for seen, close in enumerate((2, 3)):
        place.land(3, count=2, close=close, seen=seen)
        assert place.load()[0] == 0
    place.run(f"DELETE FROM {place.table()}_changes")
    place.land(4, count=1)
    assert place.load()[0] == 0


def test_a_locked_table_holds_up_no_other(place: Place) -> None:
    if place.sink == "snowflake":
        pytest.skip("Snowflake's loaders wait at a row of their own, which nobody else locks")
    impatient = Place(place.settings.model_copy(update={"lock_wait_seconds": 0.2}), place.sink)
    place.land(3, count=1)
    place.land(3, count=4, stream=CRYPTO_COINGECKO)
    with psycopg.connect(place.settings.postgres_dsn()) as holder:
        holder.execute("LOCK TABLE public.raw_cryptobars IN ACCESS EXCLUSIVE MODE")
        code, said = impatient.load()
        holder.rollback()
    assert code == 75
    assert "raw_cryptobars" in said["failed"][0]
    assert place.run("SELECT count(*) FROM public.raw_cryptoprices_coingecko") == [(4,)]
    assert place.load()[0] == 0
    assert place.count() == 28


def test_an_unknown_stream_cannot_be_loaded_again(place: Place) -> None:
    code, said = place.load(again=("raw_cryptobarz",))
    assert code == 78
    assert "raw_cryptobarz" in said["error"]["message"]
