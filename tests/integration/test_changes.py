"""Every state a source had is in a raw table or its change table, whatever order packages arrive in."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from states import Reading, State, States

from tickvault.core.batch import LoadResult
from tickvault.core.claim import PackageClaim
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.core.stream import Stream, amount, required
from tickvault.engines.snowflake.session import Connection
from tickvault.engines.snowflake.tables import Names
from tickvault.lake import Lake
from tickvault.local import postgres
from tickvault.local.engines import postgres_environment
from tickvault.sinks import Sink
from tickvault.transfer import catalog

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SCHEMA = pa.schema([required("id", pa.string()), pa.field("tier", pa.string()), pa.field("note", pa.string())])
COLUMNS = "id, tier, note, row_version, last_seen_version, package_id"
NUMBERS = count()

Row = tuple[str, int]
"""A key and the number of a version of it."""
Truth = dict[str, list[tuple[str | None, str | None]]]
"""Of each key its content at each version."""
CONTENTS = st.tuples(st.sampled_from(["x", "y", None]), st.sampled_from(["1", None]))
TRUTHS = st.fixed_dictionaries({key: st.lists(CONTENTS, min_size=7, max_size=7) for key in "AB"})
PACKAGES = st.lists(
    st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 6)), min_size=1, max_size=5), min_size=1, max_size=5
)


@dataclass(frozen=True)
class Given:
    """The rows of one load, whatever a lake would make of them."""

    batch: pa.RecordBatch

    @property
    def count(self) -> int:
        return self.batch.num_rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        yield self.batch

    def files(self, folder: Path) -> Iterator[Path]:
        path = folder / "part.parquet"
        pq.write_table(pa.Table.from_batches([self.batch]), path)
        yield path


@dataclass
class Target:
    """A target, and how its tables are read."""

    sink: Sink
    lake: Lake
    ask: Callable[[str], list[tuple]]
    place: Callable[[Stream], str]

    def load(self, stream: Stream, readings: list[Reading]) -> LoadResult:
        """Load one package of such readings."""
        names = stream.landed_schema.names
        rows = [dict(zip(names, (r.key, *r.content, r.version), strict=True)) for r in readings]
        package = self.lake.land("states", stream, [], Slot.of(NOON + timedelta(days=next(NUMBERS))), "run", 0)
        package = replace(package, rows=len(rows))
        self.said = [r._replace(package=package.id) for r in readings]
        batch = pa.RecordBatch.from_pylist(rows, schema=stream.landed_schema)
        return self.sink.load(stream, Given(batch), PackageClaim(package, "run"))

    def rows(self, stream: Stream, prefix: str = "") -> tuple[dict[str, tuple], set[tuple]]:
        """Return the rows of the raw table by key, and those of the change table."""
        place, of = self.place(stream), f"WHERE id LIKE '{prefix}%'"
        newest = self.ask(f"SELECT {COLUMNS} FROM {place} {of}")
        earlier = self.ask(f"SELECT {COLUMNS} FROM {place}_changes {of}")
        assert len(earlier) == len(set(earlier)), "no state is there twice"
        return {row[0]: row for row in newest}, set(earlier)


def stream() -> Stream:
    """Return a stream whose tables no other test has."""
    name = f"raw_states_{next(NUMBERS)}"
    return Stream(name, SCHEMA, ("id",), None, f"raw-data/{name}")


SHARED = stream()
"""The tables of all random histories, each of which has keys of its own."""


@pytest.fixture
def on_postgres(postgres_uri: str, make_settings: Callable[..., Settings], lake: Lake) -> Iterator[Target]:
    name = f"states_{uuid.uuid4().hex[:10]}"
    postgres.create_database(postgres_uri, name)
    uri = postgres_uri.replace("/postgres?", f"/{name}?")
    configured = make_settings(**{k.lower(): v for k, v in postgres_environment(uri).items()})

    with catalog.sink("postgres")(configured, lake) as sink, psycopg.connect(uri, autocommit=True) as connection:

        def ask(sql: str) -> list[tuple]:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

        yield Target(sink, lake, ask, lambda stream: f"public.{stream.name}")


@pytest.fixture
def on_snowflake(
    make_settings: Callable[..., Settings], snowflake_settings: dict[str, str], emulator: object, lake: Lake
) -> Iterator[Target]:
    configured = make_settings(**snowflake_settings | {"snowflake_database": f"S_{uuid.uuid4().hex[:10]}".upper()})
    with catalog.sink("snowflake")(configured, lake) as sink, closing(Connection(configured)) as connection:
        yield Target(sink, lake, connection.run, Names.of(configured).table)


@pytest.fixture(params=["on_postgres", "on_snowflake"])
def target(request: pytest.FixtureRequest) -> Target:
    return request.getfixturevalue(request.param)


def readings(truth: Truth, package: list[Row], prefix: str) -> list[Reading]:
    return [Reading(f"{prefix}{key}", f"v{number}", truth[key][number], "") for key, number in package]


def expected(states: States) -> tuple[dict[str, tuple], set[tuple]]:
    def row(key: str, state: State) -> tuple:
        return (key, *state.content, state.version, state.last, state.package)

    newest = {key: row(key, state) for key, state in states.newest().items()}
    return newest, {row(key, state) for key, state in states.earlier()}


def agree(target: Target, truth: Truth, packages: list[list[Row]]) -> tuple[set, set]:
    """Load packages, compare both tables with the model after each, and return what no order may decide."""
    of, states, prefix = SHARED, States(), f"{next(NUMBERS)}:"
    for package in packages:
        result = target.load(of, readings(truth, package, prefix))
        assert result.read == sum(
            (result.inserted, result.updated, result.unchanged, result.superseded, result.duplicates)
        )
        states.take(target.said)
        assert target.rows(of, prefix) == expected(states)
    newest, earlier = target.rows(of, prefix)
    ends = {(key.removeprefix(prefix), row[1:3], row[4] or row[3]) for key, row in newest.items()}
    return ends, {(row[0].removeprefix(prefix), *row[1:3]) for row in {*newest.values(), *earlier}}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(truth=TRUTHS, packages=PACKAGES, data=st.data())
def test_neither_order_nor_split_nor_repeat_decides_what_is_kept(
    on_postgres: Target, truth: Truth, packages: list[list[Row]], data: st.DataObject
) -> None:
    whole = agree(on_postgres, truth, packages)
    assert whole[1] == {(key, *truth[key][number]) for package in packages for key, number in package}
    again = packages + data.draw(st.lists(st.sampled_from(packages), max_size=2), label="repeated")
    assert agree(on_postgres, truth, data.draw(st.permutations(again), label="another order")) == whole
    rows = [[row] for package in packages for row in package]
    assert agree(on_postgres, truth, data.draw(st.permutations(rows), label="one by one")) == whole


TRUTH: Truth = {"A": [("x", None), ("y", None), ("x", None), ("x", "1"), ("x", None), ("x", None), ("y", None)]}
ORDERS = {
    "in order": [[("A", 0)], [("A", 1)], [("A", 2)], [("A", 3)], [("A", 4)]],
    "backwards": [[("A", 4)], [("A", 3)], [("A", 2)], [("A", 1)], [("A", 0)]],
    "the newest state divided": [[("A", 0)], [("A", 4)], [("A", 1)]],
    "an earlier state divided": [[("A", 0)], [("A", 5)], [("A", 6)], [("A", 3)], [("A", 3)]],
    "all in one": [[("A", 5), ("A", 0), ("A", 3), ("A", 1)], [("A", 4), ("A", 2)]],
    "an earlier state goes on, and one begins before": [[("A", 4)], [("A", 6)], [("A", 5), ("A", 2)], [("A", 1)]],
}


@pytest.mark.parametrize("packages", ORDERS.values(), ids=ORDERS.keys())
def test_both_targets_come_to_the_models_states(target: Target, packages: list[list[Row]]) -> None:
    agree(target, TRUTH, packages)


def test_what_is_read_again_keeps_version_package_and_time(target: Target) -> None:
    of, one = stream(), [Reading("A", "v1", ("x", None), ""), Reading("B", "v1", (None, "1"), "")]
    target.load(of, one)
    lineage = f"SELECT id, row_version, package_id, load_timestamp FROM {target.place(of)} ORDER BY id"
    before = target.ask(lineage)
    assert target.load(of, [r._replace(version="v3") for r in one]) == LoadResult(read=2, unchanged=2)
    assert target.ask(lineage) == before
    assert target.ask(f"SELECT last_seen_version FROM {target.place(of)}") == [("v3",), ("v3",)]
    assert target.load(of, [Reading("A", "v2", ("y", None), "")]) == LoadResult(read=1, superseded=1)
    newest, earlier = target.rows(of)
    assert newest["A"][1:5] == ("x", None, "v3", None)
    assert {row[1:5] for row in earlier} == {("x", None, "v1", None), ("y", None, "v2", None)}
    (since,) = {row[3] for row in before}
    times = dict(target.ask(f"SELECT row_version, load_timestamp FROM {target.place(of)}_changes"))
    assert times["v1"] == since < times["v2"], "a replaced row keeps its time, what is late has its own"
    assert target.ask(lineage)[0][3] == times["v2"], "a reader of what was loaded since sees the row's new version"


def test_the_change_table_follows_what_the_raw_table_comes_to_have(target: Target) -> None:
    of = stream()
    target.load(of, [Reading("A", "v1", ("x", None), "")])
    wider = replace(of, schema=SCHEMA.append(amount("fee")))
    target.load(wider, [Reading("A", "v2", ("x", None, None), "")])
    assert target.rows(of)[1] == set(), "null in a new column is nothing new"
    target.load(wider, [Reading("A", "v3", ("x", None, 7), "")])
    target.load(wider, [Reading("A", "v4", ("x", None, 8), "")])
    target.load(wider, [Reading("A", "v0", ("y", None, 9), "")])
    fees = target.ask(f"SELECT row_version, fee FROM {target.place(of)}_changes ORDER BY row_version")
    assert [(version, fee and int(fee)) for version, fee in fees] == [("v0", 9), ("v1", None), ("v3", 7)]


def test_a_column_the_stream_dropped_stays_with_the_state_that_had_it(target: Target) -> None:
    of = stream()
    target.load(of, [Reading("A", "v1", ("x", "kept"), "")])
    narrower = replace(of, schema=SCHEMA.remove(2))
    target.load(narrower, [Reading("A", "v2", ("y",), "")])
    target.load(narrower, [Reading("A", "v0", ("z",), "")])
    notes = target.ask(f"SELECT row_version, tier, note FROM {target.place(of)}_changes ORDER BY row_version")
    assert notes == [("v0", "z", None), ("v1", "x", "kept")]


def test_a_table_made_before_gets_what_it_lacks(target: Target) -> None:
    of = stream()
    target.load(of, [Reading("A", "v1", ("x", None), "")])
    target.ask(f"DROP TABLE {target.place(of)}_changes")
    target.ask(f"ALTER TABLE {target.place(of)} DROP COLUMN last_seen_version")
    with catalog.sink(target.sink.name)(target.sink.settings, target.lake) as target.sink:
        target.load(of, [Reading("A", "v3", ("x", None), "")])
        target.load(of, [Reading("A", "v2", ("y", None), "")])
    newest, earlier = target.rows(of)
    assert newest["A"][1:5] == ("x", None, "v3", None)
    assert {row[1:5] for row in earlier} == {("x", None, "v1", None), ("y", None, "v2", None)}
