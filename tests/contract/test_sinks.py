"""What every sink promises, whatever it writes to: one suite, joined by each target with a few lines below."""

import hashlib
import multiprocessing
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from tickvault.core import faults
from tickvault.core.batch import Batch, LoadResult
from tickvault.core.errors import LoadRejectedError, SchemaMismatchError
from tickvault.core.package import Package
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.core.stream import INSTANT, MONEY, PRICE, Area, ContractMode, Stream, WriteMode, amount, required
from tickvault.lake import Lake
from tickvault.local import postgres
from tickvault.local.engines import postgres_environment
from tickvault.sinks import Sink
from tickvault.transfer import catalog

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LARGEST = Decimal("9999999999999999999999999999.9999999999")
FIRST = datetime(1, 1, 2, tzinfo=UTC)
LAST = datetime(9999, 12, 30, tzinfo=UTC)
"""The ends of what the lake seals."""

SCHEMA = pa.schema(
    [
        required("symbol", pa.string()),
        required("date", pa.date32()),
        pa.field("price", MONEY),
        pa.field("trades", pa.int64()),
        pa.field("rank", pa.int32()),
        pa.field("share", pa.float64()),
        pa.field("closed", pa.bool_()),
        pa.field("note", pa.string()),
        pa.field("seen_at", INSTANT),
        required("observed_at", INSTANT),
    ]
)
STREAM = Stream(
    "raw_contract", SCHEMA, ("symbol", "date"), "observed_at", "raw-data/contract", "RAW_CONTRACT", Area.PRICES
)
Row = dict[str, Any]
MERGING = ("between_changes_and_merge", "between_merge_and_late", "between_merge_and_commit")


class Target(ABC):
    """An empty target of one test, seen with other eyes than the sink's."""

    name: str
    crash_points: Sequence[str]

    def __init__(self, settings: Settings, fresh: Callable[[], "Target"]) -> None:
        self.settings, self.fresh = settings, fresh
        """``fresh`` makes another empty one."""

    def sink(self, lake: Lake) -> Sink:
        """Open the sink under test."""
        return catalog.sink(self.name)(self.settings, lake)

    @abstractmethod
    def query(self, stream: Stream, columns: str) -> list[tuple[Any, ...]]:
        """Return columns of all rows, in the key's order; times as naive UTC."""

    def rows(self, stream: Stream = STREAM) -> list[Row]:
        """Return all rows without the time of loading."""
        names = self.names(stream)
        return [dict(zip(names, r, strict=True)) for r in self.query(stream, ", ".join(names))]

    def names(self, stream: Stream = STREAM) -> list[str]:
        """Return the names of what ``rows`` and ``states`` return."""
        return [*stream.landed_schema.names, "package_id"]

    def states(self, stream: Stream = STREAM) -> set[tuple[Any, ...]]:
        """Return all states of the change table without the time of loading."""
        changes = replace(stream, name=f"{stream.name}_changes", warehouse_table=f"{stream.warehouse_table}_CHANGES")
        return set(self.query(changes, ", ".join(self.names(stream))))

    def checksum(self, stream: Stream = STREAM) -> str:
        """Return a checksum of all rows and states without the time of loading."""
        states = sorted(self.states(stream), key=repr) if stream.write_mode is WriteMode.UPSERT else []
        return hashlib.sha256(repr([self.rows(stream), states]).encode()).hexdigest()


class PostgresTarget(Target):
    name = "postgres"
    crash_points = ("after_stage", "after_lock", *MERGING, "after_commit")

    def query(self, stream: Stream, columns: str) -> list[tuple[Any, ...]]:
        order = ", ".join(stream.primary_key) or "1"
        with closing(psycopg.connect(self.settings.postgres_dsn(), options="-c timezone=UTC")) as c, c.cursor() as k:
            k.execute(f"SELECT {columns} FROM public.{stream.name} ORDER BY {order}")
            return [tuple(_naive(v) for v in row) for row in k.fetchall()]


class SnowflakeTarget(Target):
    name = "snowflake"
    crash_points = ("after_put", "after_copy", "after_lock", *MERGING, "after_commit")

    def query(self, stream: Stream, columns: str) -> list[tuple[Any, ...]]:
        from tickvault.engines.snowflake.session import Connection
        from tickvault.engines.snowflake.tables import Names

        order = ", ".join(stream.primary_key) or "1"
        with closing(Connection(self.settings)) as connection:
            table = Names.of(self.settings).table(stream)
            return [tuple(row) for row in connection.run(f"SELECT {columns} FROM {table} ORDER BY {order}")]


def _naive(value: Any) -> Any:
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value


@pytest.fixture(params=["postgres", "snowflake"])
def target(request: pytest.FixtureRequest, make_settings: Callable[..., Settings]) -> Target:
    """An empty target; its engine starts with the first test that asks for it."""
    if request.param == "postgres":
        uri = request.getfixturevalue("postgres_uri")

        def postgres_target() -> Target:
            name = f"sink_{_unique()}"
            postgres.create_database(uri, name)
            environment = postgres_environment(uri.replace("/postgres?", f"/{name}?"))
            return PostgresTarget(make_settings(**{k.lower(): v for k, v in environment.items()}), postgres_target)

        return postgres_target()
    fields = request.getfixturevalue("snowflake_settings")

    def snowflake_target() -> Target:
        settings = make_settings(**fields | {"snowflake_database": f"SINK_{_unique()}".upper()})
        return SnowflakeTarget(settings, snowflake_target)

    return snowflake_target()


def _unique() -> str:
    import uuid

    return uuid.uuid4().hex[:12]


@pytest.fixture
def sink(target: Target, lake: Lake) -> Iterator[Sink]:
    with target.sink(lake) as sink:
        yield sink


def row(symbol: str = "BTC", price: str | None = "1.5", at: datetime = NOON, **more: Any) -> Row:
    return {
        "symbol": symbol, "date": NOON.date(), "price": None if price is None else Decimal(price), "observed_at": at
    } | more  # fmt: skip


def land(lake: Lake, *rows: Row, slot: datetime = NOON, revision: int = 0, stream: Stream = STREAM) -> Package:
    batches = [Batch(stream, pa.RecordBatch.from_pylist([r], schema=stream.schema)) for r in rows]
    return lake.land("contract", stream, batches, Slot.of(slot), "run", revision)


def prices(target: Target) -> dict[str, Decimal]:
    return {r["symbol"]: r["price"] for r in target.rows()}


def test_the_same_package_twice_is_loaded_once(sink: Sink, target: Target, lake: Lake) -> None:
    package = land(lake, row("BTC"), row("ETH"))
    first = sink.write(STREAM, package, "run-1")
    assert first == LoadResult(read=2, inserted=2)
    before = target.rows(), target.query(STREAM, "load_timestamp")
    assert sink.write(STREAM, package, "run-2") == replace(first, already=True)
    with target.sink(lake) as another:
        assert another.write(STREAM, package, "run-3") == replace(first, already=True)
        assert another.loaded() == {package.id}
    assert (target.rows(), target.query(STREAM, "load_timestamp")) == before


def test_a_newer_row_replaces_an_older_one(sink: Sink, target: Target, lake: Lake) -> None:
    sink.write(STREAM, land(lake, row("BTC", "1"), row("ETH", "1")), "run")
    newer = land(lake, row("BTC", "2", NOON + DAY), slot=NOON + DAY)
    assert sink.write(STREAM, newer, "run") == LoadResult(read=1, updated=1)
    assert prices(target) == {"BTC": 2, "ETH": 1}
    btc = target.rows()[0]
    assert btc["row_version"] == "2026-11-21T12:00:00.000000Z|20261121T120000Z|r0000"
    assert btc["package_id"] == newer.id


def test_an_older_package_arriving_last_changes_nothing(sink: Sink, target: Target, lake: Lake) -> None:
    older = land(lake, row("BTC", "1"), row("ETH", "1"))
    sink.write(STREAM, land(lake, row("BTC", "2", NOON + DAY), slot=NOON + DAY), "run")
    assert sink.write(STREAM, older, "run") == LoadResult(read=2, inserted=1, superseded=1)
    assert prices(target) == {"BTC": 2, "ETH": 1}


def test_equal_content_of_a_newer_package_counts_as_unchanged(sink: Sink, target: Target, lake: Lake) -> None:
    rows = (row("BTC", None, note="ä"), row("ETH", "1"))
    sink.write(STREAM, land(lake, *rows), "run")
    before = target.rows(), target.query(STREAM, "load_timestamp")
    again = land(lake, *rows, revision=1)
    assert sink.write(STREAM, again, "run") == LoadResult(read=2, unchanged=2)
    assert (target.rows(), target.query(STREAM, "load_timestamp")) == before, "nothing came, so nothing moves"
    assert target.states() == set()


def test_what_is_replaced_is_kept_with_its_lineage(sink: Sink, target: Target, lake: Lake) -> None:
    sink.write(STREAM, land(lake, row("BTC", "1", note="ä"), row("ETH", "1")), "run")
    before = {tuple(r.values()) for r in target.rows() if r["symbol"] == "BTC"}
    newer = land(lake, row("BTC", "2", NOON + DAY), row("ETH", "1"), slot=NOON + DAY)
    assert sink.write(STREAM, newer, "run") == LoadResult(read=2, updated=1, unchanged=1)
    assert target.states() == before


def test_what_comes_late_does_not_overwrite_a_row_that_was_seen_since(sink: Sink, target: Target, lake: Lake) -> None:
    sink.write(STREAM, land(lake, row("BTC", "1")), "run")
    assert sink.write(STREAM, land(lake, row("BTC", "1"), revision=3), "run").unchanged == 1
    late = land(lake, row("BTC", "2"), revision=2)
    assert sink.write(STREAM, late, "run") == LoadResult(read=1, superseded=1)
    assert prices(target) == {"BTC": 1}
    assert target.rows()[0]["row_version"].endswith("r0003"), "it was one before and after what came late"
    assert {(dict(zip(target.names(), s, strict=True))["price"], s[-2][-5:]) for s in target.states()} == {
        (1, "r0000"),
        (2, "r0002"),
    }


def test_null_that_becomes_a_value_is_a_change(sink: Sink, target: Target, lake: Lake) -> None:
    sink.write(STREAM, land(lake, row("BTC", None), row("ETH", "1")), "run")
    swapped = land(lake, row("BTC", "1"), row("ETH", None), revision=1)
    assert sink.write(STREAM, swapped, "run") == LoadResult(read=2, updated=2)
    assert prices(target) == {"BTC": 1, "ETH": None}


def test_of_one_key_within_a_package_the_newest_stays(sink: Sink, target: Target, lake: Lake) -> None:
    package = land(lake, row("BTC", "2", NOON + DAY), row("BTC", "1"), row("BTC", "0", NOON - DAY))
    assert sink.write(STREAM, package, "run") == LoadResult(read=3, inserted=1, duplicates=2)
    assert prices(target) == {"BTC": 2}


def test_of_equal_versions_the_highest_content_stays(sink: Sink, target: Target, lake: Lake) -> None:
    rows = [
        *(row("BTC", "9"), row("BTC", "10"), row("BTC", None)),
        *(row("ETH", trades=None, note="Z"), row("ETH", trades=None, note="a"), row("ETH", trades=None, note="ä")),
        *(row("SOL", trades=2, closed=False), row("SOL", trades=2, closed=True), row("SOL", trades=1, closed=True)),
    ]
    for number, order in enumerate((rows, rows[::-1])):
        sink.write(STREAM, land(lake, *order, revision=number), "run")
        found = [(r["symbol"], r["price"], r["trades"], r["closed"], r["note"]) for r in target.rows()]
        price = Decimal("1.5")
        assert found == [("BTC", 10, None, None, None), ("ETH", price, None, None, "ä"), ("SOL", price, 2, True, None)]


def test_every_row_is_accounted_for(sink: Sink, lake: Lake) -> None:
    sink.write(STREAM, land(lake, row("A"), row("B"), row("C")), "run")
    revision = land(lake, row("A", "9"), row("B"), row("C", at=NOON - DAY), row("D"), row("D"), row("E"), revision=1)
    result = sink.write(STREAM, revision, "run")
    assert result == LoadResult(read=6, inserted=2, updated=1, unchanged=1, superseded=1, duplicates=1)
    assert result.read == result.inserted + result.updated + result.unchanged + result.superseded + (
        result.rejected + result.duplicates
    )


def test_values_arrive_exactly(sink: Sink, target: Target, lake: Lake) -> None:
    odd = "Ünïcode 🙂 \\ ' \" % \n\t 中文"
    full = row(odd, str(LARGEST), trades=2**63 - 1, rank=-(2**31), share=0.1, closed=True, note=odd, seen_at=LAST)
    low = row(
        "low",
        str(LARGEST.copy_negate()),
        trades=-(2**63),
        rank=2**31 - 1,
        share=-1e308,
        closed=False,
        note="",
        seen_at=FIRST,
    )
    tiny = row("tiny", "0.0000000001", date=date(9999, 12, 30))
    nothing = row("nothing", None)
    sink.write(STREAM, land(lake, full, low, tiny, nothing), "run")
    found = {r["symbol"]: r for r in target.rows()}
    for wanted in (full, low, tiny):
        for name, value in wanted.items():
            assert found[wanted["symbol"]][name] == _naive(value), name
    assert str(found[odd]["price"]) == str(LARGEST)
    nullable = [f.name for f in SCHEMA if f.nullable and f.name != "seen_at"]
    assert [found["nothing"][name] for name in nullable] == [None] * len(nullable)


def test_a_null_instant_stays_null(sink: Sink, target: Target, lake: Lake) -> None:
    sink.write(STREAM, land(lake, row("BTC", seen_at=None), row("ETH", seen_at=NOON)), "run")
    assert target.query(STREAM, "CASE WHEN seen_at IS NULL THEN 1 ELSE 0 END") == [(1,), (0,)]


def test_a_new_nullable_column_is_added(sink: Sink, target: Target, lake: Lake) -> None:
    early = land(lake, row("BTC"))
    late = land(lake, row("OLD"), revision=2)
    sink.write(STREAM, early, "run")
    wider = replace(STREAM, schema=SCHEMA.append(amount("market_cap")))
    package = land(lake, row("ETH", market_cap=Decimal(7)), revision=1, stream=wider)
    with target.sink(lake) as released:
        assert released.write(wider, package, "run") == LoadResult(read=1, inserted=1)
        # A package that landed before the stream grew still loads; what it does not have is null.
        assert released.write(wider, late, "run") == LoadResult(read=1, inserted=1)
    assert {r["symbol"]: r["market_cap"] for r in target.rows(wider)} == {"BTC": None, "ETH": 7, "OLD": None}


def test_another_type_is_refused(sink: Sink, target: Target, lake: Lake) -> None:
    sink.write(STREAM, land(lake, row("BTC")), "run")
    before = target.checksum()
    schema = SCHEMA.set(SCHEMA.get_field_index("note"), pa.field("note", pa.int64()))
    changed = replace(STREAM, schema=schema)
    package = land(lake, row("ETH", note=1), revision=1, stream=changed)
    with target.sink(lake) as another, pytest.raises(SchemaMismatchError, match="note"):
        another.write(changed, package, "run")
    assert target.checksum() == before
    assert package.id not in sink.loaded()


def retyped(name: str, type_: pa.DataType, contract: ContractMode = ContractMode.EVOLVE) -> Stream:
    """The suite's stream with one column of another type."""
    schema = SCHEMA.set(SCHEMA.get_field_index(name), pa.field(name, type_))
    return replace(STREAM, schema=schema, contract=contract)


def test_a_dropped_column_is_null_in_new_rows_and_stays_in_old_ones(sink: Sink, target: Target, lake: Lake) -> None:
    sink.write(STREAM, land(lake, row("BTC", note="kept"), row("ETH", note="kept")), "run")
    schema = SCHEMA.remove(SCHEMA.get_field_index("note"))
    narrower = replace(STREAM, schema=schema)
    package = land(lake, row("ETH", "2", NOON + DAY), row("SOL"), slot=NOON + DAY, stream=narrower)
    with target.sink(lake) as released:
        assert released.write(narrower, package, "run") == LoadResult(read=2, inserted=1, updated=1)
    assert {r["symbol"]: r["note"] for r in target.rows()} == {"BTC": "kept", "ETH": "kept", "SOL": None}
    assert prices(target)["ETH"] == 2


@pytest.mark.parametrize(
    ("column", "type_", "value"),
    [("rank", pa.int64(), 2**40), ("share_of", pa.decimal128(20, 4), Decimal("1234567890123456.1234"))],
    ids=["integer", "decimal"],
)
def test_a_wider_type_widens_the_column(
    column: str, type_: pa.DataType, value: Any, sink: Sink, target: Target, lake: Lake
) -> None:
    narrow = replace(STREAM, schema=SCHEMA.append(pa.field("share_of", pa.decimal128(12, 4))))
    sink.write(narrow, land(lake, row("BTC", rank=1, share_of=Decimal("1.5")), stream=narrow), "run")
    wide = replace(narrow, schema=narrow.schema.set(narrow.schema.get_field_index(column), pa.field(column, type_)))
    package = land(lake, row("ETH", **{column: value}), revision=1, stream=wide)
    with target.sink(lake) as released:
        assert released.write(wide, package, "run").inserted == 1
        # What landed before with the narrow type loads as well.
        assert released.write(narrow, land(lake, row("OLD", rank=3), revision=2, stream=narrow), "run").inserted == 1
    found = {r["symbol"]: r[column] for r in target.rows(wide)}
    assert found["ETH"] == value
    assert found["BTC"] == (1 if column == "rank" else Decimal("1.5"))


FINE = Decimal("0.000009123456789")
"""A price that ten digits after the point would make another one."""


def priced(type_: pa.DataType) -> Stream:
    """The suite's stream with a price that must have a value, of this type."""
    schema = SCHEMA.append(pa.field("close", type_, nullable=False))
    return replace(STREAM, schema=schema)


def test_more_digits_after_the_point_widen_the_column(sink: Sink, target: Target, lake: Lake) -> None:
    narrow, wide = priced(MONEY), priced(PRICE)
    sink.write(narrow, land(lake, row("BTC", close=Decimal("1.5")), stream=narrow), "run")
    with target.sink(lake) as released:
        fine = land(lake, row("PEPE", close=FINE), revision=1, stream=wide)
        assert released.write(wide, fine, "run").inserted == 1
        # What landed with the narrow type loads as well, whether its manifest says so or the stream is looked up.
        early = land(lake, row("OLD", close=Decimal(3)), revision=2, stream=narrow)
        assert released.write(narrow, early, "run").inserted == 1
        earlier = land(lake, row("OLDER", close=Decimal(4)), revision=3, stream=narrow)
        assert released.write(wide, earlier, "run").inserted == 1
    # A loader that was prepared before goes on.
    last = land(lake, row("BTC", close=Decimal("2.5"), at=NOON + DAY), revision=4, stream=narrow)
    assert sink.write(narrow, last, "run").updated == 1
    found = {r["symbol"]: r["close"] for r in target.rows(wide)}
    assert found == {"BTC": Decimal("2.5"), "PEPE": FINE, "OLD": 3, "OLDER": 4}


def test_killed_while_widening_loses_nothing(target: Target, lake: Lake) -> None:
    narrow, wide = priced(MONEY), priced(PRICE)
    old = land(lake, *(row(f"S{n}", close=Decimal(n)) for n in range(5)), stream=narrow)
    fine = land(lake, row("PEPE", close=FINE), revision=1, stream=wide)
    for point in ("before_widening", "after_widening", "before_changes_follow"):
        disturbed = target.fresh()
        with disturbed.sink(lake) as sink:
            sink.write(narrow, old, "run")
        assert _loader(disturbed, lake, [fine], point=point, stream=wide).wait() == 137, point
        with disturbed.sink(lake) as sink:
            assert sink.write(wide, fine, "run").inserted == 1, point
        found = {r["symbol"]: r["close"] for r in disturbed.rows(wide)}
        assert found == {"PEPE": FINE} | {f"S{n}": n for n in range(5)}, point
        with disturbed.sink(lake) as sink:
            for revision, more in ((2, FINE), (3, Decimal(1))):
                again = land(lake, row("PEPE", close=FINE + more, at=NOON + DAY), revision=revision, stream=wide)
                assert sink.write(wide, again, "run").updated == 1
        kept = {dict(zip(target.names(wide), state, strict=True))["close"] for state in disturbed.states(wide)}
        assert kept == {FINE, FINE + FINE}, f"{point}: the change table has the wider type too"


def test_loaders_that_widen_at_once_lose_nothing(target: Target, lake: Lake) -> None:
    narrow, wide = priced(MONEY), priced(PRICE)
    with target.sink(lake) as sink:
        sink.write(narrow, land(lake, row("BTC", close=Decimal(1)), stream=narrow), "run")
    packages = [land(lake, row(f"P{n}", close=FINE + n), revision=n, stream=wide) for n in range(1, 4)]
    started = [_loader(target, lake, packages[n:] + packages[:n], stream=wide) for n in range(3)]
    assert sum(not result.already for loader in started for _, result in loader.results()) == 3
    found = {r["symbol"]: r["close"] for r in target.rows(wide)}
    assert found == {"BTC": 1} | {f"P{n}": FINE + n for n in range(1, 4)}


def test_a_table_with_a_value_too_large_for_the_wider_type_stays_as_it_is(
    sink: Sink, target: Target, lake: Lake
) -> None:
    narrow, wide = priced(MONEY), priced(PRICE)
    sink.write(narrow, land(lake, row("BIG", close=LARGEST), stream=narrow), "run")
    before = target.checksum(narrow)
    package = land(lake, row("PEPE", close=FINE), revision=1, stream=wide)
    with target.sink(lake) as released, pytest.raises(LoadRejectedError):
        released.write(wide, package, "run")
    assert target.checksum(narrow) == before
    assert sink.count() == 1


@pytest.mark.parametrize("change", ["added", "widened", "retyped"])
def test_a_frozen_table_takes_no_change(change: str, sink: Sink, target: Target, lake: Lake) -> None:
    narrow = replace(STREAM, schema=SCHEMA.append(pa.field("share_of", pa.decimal128(12, 4))))
    sink.write(narrow, land(lake, row("BTC"), stream=narrow), "run")
    before = target.checksum(narrow)
    changed, more = {
        "added": (narrow.schema.append(amount("market_cap")), {"market_cap": Decimal(7)}),
        "widened": (SCHEMA.append(pa.field("share_of", pa.decimal128(20, 4))), {}),
        "retyped": (narrow.schema.set(narrow.schema.get_field_index("note"), pa.field("note", pa.int64())), {}),
    }[change]
    frozen = replace(narrow, schema=changed, contract=ContractMode.FREEZE)
    package = land(lake, row("ETH", **more), revision=1, stream=frozen)
    with target.sink(lake) as released, pytest.raises(SchemaMismatchError, match="'freeze'"):
        released.write(frozen, package, "run")
    assert target.checksum(narrow) == before
    assert sink.count() == 1


def test_quarantine_leaves_out_what_does_not_fit_and_says_so(sink: Sink, target: Target, lake: Lake) -> None:
    sink.write(STREAM, land(lake, row("BTC", note="text")), "run")
    changed = retyped("note", pa.int64(), ContractMode.QUARANTINE)
    changed = replace(changed, schema=changed.schema.append(amount("market_cap")))
    package = land(lake, row("ETH", note=7, market_cap=Decimal(7)), revision=1, stream=changed)
    with target.sink(lake) as released:
        result = released.write(changed, package, "run")
    assert (result.inserted, [said.partition(" ")[0] for said in result.left_out]) == (1, ["note", "market_cap"])
    assert {r["symbol"]: r["note"] for r in target.rows()} == {"BTC": "text", "ETH": None}
    assert sum(b.num_rows for b in lake.scan(package)) == 1, "the lake still has what was left out"


def test_quarantine_does_not_leave_out_what_a_row_cannot_be_without(sink: Sink, target: Target, lake: Lake) -> None:
    sink.write(STREAM, land(lake, row("BTC")), "run")
    schema = SCHEMA.set(0, required("symbol", pa.int64()))
    changed = replace(STREAM, schema=schema, contract=ContractMode.QUARANTINE)
    package = land(lake, row("ETH") | {"symbol": 7}, revision=1, stream=changed)
    with target.sink(lake) as released, pytest.raises(SchemaMismatchError, match="symbol"):
        released.write(changed, package, "run")


def test_a_package_says_itself_what_it_is(sink: Sink, target: Target, lake: Lake) -> None:
    package = land(lake, row("BTC"), row("ETH"))
    read = lake.open(package.manifest_key)
    assert read is not None
    assert read.declares == STREAM
    assert sink.write(read.declares, read, "run").inserted == 2


def test_fewer_rows_than_the_manifest_names_are_refused(sink: Sink, target: Target, lake: Lake) -> None:
    package = land(lake, row("BTC"), row("ETH"))
    with pytest.raises(LoadRejectedError, match="manifest"):
        sink.write(STREAM, replace(package, rows=3), "run")
    assert sink.loaded() == set()
    assert target.rows() == []
    assert sink.write(STREAM, package, "run").inserted == 2, "the sink is as good as new"


def test_a_damaged_part_is_refused_and_named(sink: Sink, target: Target, lake: Lake, tmp_path: Path) -> None:
    package = land(lake, row("BTC"), row("ETH"))
    part = tmp_path / "lake" / package.parts[0].key
    part.write_bytes(part.read_bytes()[:-1] + b"!")
    with pytest.raises(LoadRejectedError, match="sha256"):
        sink.write(STREAM, package, "run")
    assert sink.loaded() == set()
    assert target.rows() == []


def test_an_empty_package_is_noted(sink: Sink, lake: Lake) -> None:
    package = land(lake)
    assert sink.write(STREAM, package, "run") == LoadResult()
    assert sink.loaded() == {package.id}


def test_rows_without_a_key_are_appended_once(sink: Sink, target: Target, lake: Lake) -> None:
    stream = replace(STREAM, primary_key=(), write_mode=WriteMode.APPEND)
    package = land(lake, row("BTC"), row("BTC"), stream=stream)
    assert sink.write(stream, package, "run") == LoadResult(read=2, inserted=2)
    assert sink.write(stream, package, "run").already
    assert sink.write(stream, land(lake, row("BTC"), stream=stream, revision=1), "run").inserted == 1
    assert len(target.rows(stream)) == 3


def test_killed_anywhere_and_run_again_is_as_if_undisturbed(target: Target, lake: Lake) -> None:
    first = land(lake, *(row(f"S{n}", "1") for n in range(5)))
    late = row("S3", "3", NOON - DAY)
    second = land(lake, *(row(f"S{n}", "2", NOON + DAY) for n in range(3, 8)), late, slot=NOON + DAY)
    with target.sink(lake) as sink:
        for package in (first, second):
            sink.write(STREAM, package, "run")
    undisturbed = target.checksum()
    for point in target.crash_points:
        disturbed = target.fresh()
        with disturbed.sink(lake) as sink:
            sink.write(STREAM, first, "run")
            assert _loader(disturbed, lake, [second], point=point).wait() == 137, point
            result = sink.write(STREAM, second, "run")
            taken = LoadResult(read=6, inserted=3, updated=2, duplicates=1)
            assert result == replace(taken, already=point == "after_commit"), point
            assert sink.loaded() == {first.id, second.id}
        assert disturbed.checksum() == undisturbed, point


@pytest.mark.parametrize("loaders", [2, 3])
def test_loaders_at_once_load_each_package_once(target: Target, lake: Lake, loaders: int) -> None:
    packages = [
        land(lake, *(row(f"S{s}", str(n + 1), NOON + n * DAY) for s in range(n, n + 4)), slot=NOON + n * DAY)
        for n in range(3)
    ]
    with target.sink(lake) as sink:
        sink.loaded()
    started = [_loader(target, lake, packages[n:] + packages[:n]) for n in range(loaders)]
    results = [result for loader in started for result in loader.results()]
    assert len(results) == loaders * 3
    for package in packages:
        mine = [r for package_id, r in results if package_id == package.id]
        assert sorted(r.already for r in mine) == [False] + [True] * (loaders - 1)
        assert len({replace(r, already=False) for r in mine}) == 1, "who comes second gets the counts of the first"
    assert prices(target) == {"S0": 1, "S1": 2, "S2": 3, "S3": 3, "S4": 3, "S5": 3}


@dataclass(frozen=True)
class _loader:  # noqa: N801 - reads as an action
    """A process that loads packages with a sink of its own."""

    target: Target
    lake: Lake
    packages: list[Package]
    point: str | None = None
    stream: Stream = STREAM

    def __post_init__(self) -> None:
        context = multiprocessing.get_context("fork")
        receive, send = context.Pipe(duplex=False)
        process = context.Process(target=self._load, args=(send,))
        process.start()
        send.close()
        object.__setattr__(self, "process", process)
        object.__setattr__(self, "pipe", receive)

    def _load(self, send: Any) -> None:
        faults.arm(self.point)
        with self.target.sink(self.lake) as sink:
            loaded = [(p.id, sink.write(self.stream, p, f"run-{_unique()}")) for p in self.packages]
        send.send(loaded)
        os._exit(0)  # what the test's process has to do at its own end is not this one's

    def wait(self) -> int | None:
        self.process.join(600)
        return self.process.exitcode

    def results(self) -> list[tuple[str, LoadResult]]:
        """Wait for the loader's results."""
        results = self.pipe.recv() if self.pipe.poll(600) else []
        assert self.wait() == 0
        return results


@pytest.mark.parametrize("mode", [WriteMode.UPSERT, WriteMode.APPEND])
def test_what_is_forgotten_is_due_again_and_loads_to_the_same_rows(
    sink: Sink, target: Target, lake: Lake, mode: WriteMode
) -> None:
    stream = replace(STREAM, write_mode=mode)
    packages = [
        land(lake, row("BTC"), row("ETH"), stream=stream),
        land(lake, row("SOL"), slot=NOON + DAY, stream=stream),
    ]
    for package in packages:
        sink.write(stream, package, "run-1")
    before = target.rows(stream)
    sink.forget(stream)
    assert sink.loaded() == set()
    for package in packages:
        sink.write(stream, package, "run-2")
    assert target.rows(stream) == before
    assert sink.loaded() == {package.id for package in packages}


def test_killed_while_it_forgets_a_target_holds_what_it_held(sink: Sink, target: Target, lake: Lake) -> None:
    stream = replace(STREAM, write_mode=WriteMode.APPEND)
    package = land(lake, row("BTC"), row("ETH"), stream=stream)
    sink.write(stream, package, "run-1")
    before = target.rows(stream)
    sink.close()

    def forget() -> None:
        faults.arm("after_forget")
        with target.sink(lake) as another:
            another.forget(stream)

    child = multiprocessing.get_context("fork").Process(target=forget)
    child.start()
    child.join(600)
    assert child.exitcode == 137
    if target.name == "snowflake":
        time.sleep(2.5)  # the emulator ends an abandoned transaction after 2 seconds
    with target.sink(lake) as another:
        assert another.loaded() == {package.id}
    assert target.rows(stream) == before


def test_a_target_says_what_it_holds_of_a_stream(sink: Sink, target: Target, lake: Lake) -> None:
    assert (sink.held(STREAM).columns, sink.held(STREAM).rows) == (frozenset(), 0)
    sink.write(STREAM, land(lake, row("BTC"), row("ETH")), "run-1")
    held = sink.held(STREAM)
    assert held.rows == 2
    assert set(STREAM.landed_schema.names) < held.columns
    known = sink.held(STREAM, held.identity or "x")
    assert known.rows == (None if held.identity else 2)
