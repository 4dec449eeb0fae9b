"""The ledger answers from rows that are kept while packages and loads are written; here they meet the long way."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from tickvault.core.batch import LoadResult
from tickvault.core.package import Package
from tickvault.core.slot import Slot
from tickvault.core.stream import INSTANT, Stream, required
from tickvault.ledger import Ledger

STREAM = Stream(
    "raw_kept", pa.schema([required("symbol", pa.string()), required("at", INSTANT)]), ("symbol",), "at", "raw/kept"
)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def ledger(make_settings, postgres_settings):
    with Ledger.open(make_settings(**postgres_settings)) as opened:
        for table in ("loads", "packages", "cursors", "load_totals", "deliveries", "backlog", "schemas"):
            opened._db.run(f"DELETE FROM data_platform.{table}")
        yield opened


def package(day: int, revision: int = 0, cursor: dict | None = None, stream: Stream = STREAM) -> Package:
    slot = Slot.of(FIRST + timedelta(days=day))
    return Package(
        "source", stream.name, slot, revision, f"raw/kept/{slot.id}/r{revision}/manifest.json", 1, (), "f", cursor, (),
        None, 0, "run", slot.time, declares=stream,
    )  # fmt: skip


def merged(packages: list[Package], slot: Slot, *, inclusive: bool) -> dict | None:
    """Resume as the first version of the ledger did: by reading every cursor."""
    found: dict = {}
    for one in sorted(packages, key=lambda p: (p.slot.time, p.revision)):
        if one.slot.time < slot.time or (inclusive and one.slot.time == slot.time):
            found.update(one.cursor or {})
    return found or None


@pytest.mark.parametrize("seed", range(5))
def test_the_kept_cursor_is_what_all_packages_say_in_whatever_order_they_come(ledger, seed):
    chance = random.Random(seed)
    packages = [
        package(day, revision, {chance.choice("ABCDE"): f"{day}-{revision}-{n}" for n in range(chance.randint(0, 3))})
        for day in range(12)
        for revision in range(chance.randint(1, 3))
    ]
    chance.shuffle(packages)
    for known, one in enumerate(packages, 1):
        ledger.packages.register(STREAM, one, [])
        for day in (0, 5, 11, 40):
            for inclusive in (True, False):
                slot = Slot.of(FIRST + timedelta(days=day))
                found = ledger.packages.resume_from("source", STREAM, slot, inclusive=inclusive)
                assert found == merged(packages[:known], slot, inclusive=inclusive)
    newest = max((p for p in packages if p.cursor), key=lambda p: (p.slot.time, p.revision))
    assert ledger.packages.watermarks(None, 5) == [("source.raw_kept", "at", max(newest.cursor.values()))]


def test_missing_days_are_found_by_symbol_and_newest_first(ledger):
    gap = {"since": "2026-11-20", "asked": 2}
    given_up = gap | {"given_up": "2026-12-04"}
    cursor = {"KO": "2026-11-20", "KO:first": {"date": "2026-01-02"}, "KO:gaps": {"2026-11-18": gap}, "BTC:gaps": {}}
    ledger.packages.register(STREAM, package(0, cursor=cursor | {"AAPL:gaps": {"2026-11-19": given_up}}), [])
    rows = ledger.packages.gaps(None, 20)
    assert rows == [
        ("source.raw_kept", "AAPL", "2026-11-19", "2026-11-20", 2, "2026-12-04"),
        ("source.raw_kept", "KO", "2026-11-18", "2026-11-20", 2, ""),
    ]
    assert ledger.packages.gaps("KO", 20) == rows[1:]
    ledger.packages.register(STREAM, package(1, cursor={"KO:gaps": {}}), [])
    assert ledger.packages.gaps(None, 20) == rows[:1]


def test_every_package_is_pending_until_it_is_loaded_however_old_it_is(ledger):
    packages = [package(day) for day in range(30)]
    for one in packages:
        ledger.packages.register(STREAM, one, [])
    wanted = {p.id for p in packages}
    chance = random.Random(1)
    for number, one in enumerate(chance.sample(packages, len(packages))):
        if number % 5 == 0:  # time passes: what was noted is older now, and the target was last looked at long ago
            ledger._db.run("UPDATE data_platform.packages SET registered_at = registered_at - interval '3 hours'")
            ledger._db.run("UPDATE data_platform.deliveries SET settled_until = settled_until - interval '3 hours'")
        assert {p.package_id for p in ledger.loads.pending("sink", None, "A")} == wanted
        ledger.loads.mirror("sink", one, LoadResult(1, 1), "run", "A")
        wanted.discard(one.id)
    assert ledger.loads.pending("sink", None, "A") == []
    assert ledger._db.one("SELECT count(*) FROM data_platform.backlog WHERE target = 'A'")[0] <= 5
    assert len(ledger.loads.pending("sink", None, "B")) == 30, "another target has nothing yet"


def test_a_load_that_is_taken_back_is_pending_again(ledger):
    packages = [package(day) for day in range(4)]
    for one in packages:
        ledger.packages.register(STREAM, one, [])
        ledger.loads.mirror("sink", one, LoadResult(1, 1), "run", "A")
    ledger._db.run("UPDATE data_platform.packages SET registered_at = registered_at - interval '9 hours'")
    assert ledger.loads.pending("sink", None, "A") == []
    ledger.loads.correct("sink", "A", lambda: {p.id for p in packages[:3]})
    assert [p.package_id for p in ledger.loads.pending("sink", None, "A")] == [packages[3].id]
    ledger._db.run("TRUNCATE data_platform.loads")
    assert len(ledger.loads.pending("sink", None, "A")) == 4
    assert ledger.loads.agrees("sink", "A", 0)


def test_the_totals_are_those_of_the_loads(ledger):
    def by_reading() -> tuple[int, int]:
        loads, digest = ledger._db.one(
            """SELECT count(*), coalesce(sum(hashtextextended(
                concat_ws(' ', package_id, target, extract(epoch FROM loaded_at)), 0)::numeric), 0)
            FROM data_platform.loads WHERE sink = 'sink'"""
        )
        return int(loads), int(digest)

    packages = [package(day) for day in range(6)]
    assert ledger.loads.digest("sink") == (0, 0)
    for one in packages:
        ledger.loads.mirror("sink", one, LoadResult(1, 1), "run", "A" if one.slot.time.day % 2 else "B")
        ledger.loads.mirror("other", one, LoadResult(1, 1), "run")
        assert ledger.loads.digest("sink") == by_reading()
    ledger.loads.correct("sink", "A", lambda: {p.id for p in packages[:4]})
    assert ledger.loads.digest("sink") == by_reading()
    assert ledger.loads.digest("sink")[0] == 4
    assert ledger.loads.agrees("sink", "A", 4)
    assert not ledger.loads.agrees("sink", "A", 3)
    ledger.loads.correct("sink", "A", lambda: {p.id for p in packages[:4]} | {"of another ledger"})
    assert ledger.loads.agrees("sink", "A", 5)
    assert 0 <= ledger.loads.hours_since_newest("sink") < 1
    assert ledger.loads.hours_since_newest("nobody") == 0


def test_a_schema_has_a_version_for_every_change(ledger):
    wider = replace(STREAM, schema=STREAM.schema.append(pa.field("note", pa.string())))
    for day, stream in enumerate((STREAM, STREAM, wider, replace(wider, primary_key=("symbol", "at")))):
        ledger.packages.register(stream, package(day, stream=stream), [])
    ledger.packages.register(STREAM, package(0, 1), [])  # an old one that is noted late changes nothing
    assert [(row[2], row[5]) for row in ledger.schemas.history("raw_kept", 9)] == [
        (3, "the key (symbol) became (symbol, at)"),
        (2, "column note added (string)"),
        (1, "first seen"),
    ]


def test_a_run_is_found_by_each_of_its_names(ledger):
    slot = Slot.parse("20260103T000000Z")
    run = ledger.runs.start("extract-found", slot, "extract-found-29456640")
    for name in (
        run.run_id,
        run.run_id[:8],
        "extract-found",
        "extract-found/20260103T000000Z",
        "extract-found-29456640",
    ):
        trace = ledger.runs.find(name)
        assert trace is not None, name
        assert trace.run_id == run.run_id
    for name in ("extract-foun", "extract-found/20260104T000000Z", "extract-found/yesterday", "%", "_"):
        assert ledger.runs.find(name) is None
