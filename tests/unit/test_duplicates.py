"""Rows that come twice in one read: which are found, and what remembering them costs."""

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from tickvault.core.duplicates import Duplicates, Judgement
from tickvault.core.records import RecordBuilder
from tickvault.core.stream import MONEY, Stream, WriteMode, required

SCHEMA = pa.schema(
    [required("id", pa.string()), pa.field("note", pa.string()), pa.field("more", pa.string()), pa.field("cost", MONEY)]
)
STREAM = Stream("raw_twice", SCHEMA, ("id",), None, "raw/twice")
PAIRED = Stream("raw_paired", SCHEMA, ("id", "note"), None, "raw/paired")
_CHILD = """
import resource
import pyarrow as pa
from tickvault.core.duplicates import Duplicates
from tickvault.core.stream import Stream, required
schema = pa.schema([required("id", pa.int64()), pa.field("note", pa.string())])
seen = Duplicates(Stream("raw_long", schema, ("id",), None, "raw/long"))
def new(start, rows=20_000):
    ids = pa.array(range(start, start + rows))
    return len(seen.judge(pa.RecordBatch.from_arrays([ids, ids.cast(pa.string())], schema=schema)).new)
new(0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert all(new(start) == 20_000 for start in range(20_000, 2_000_000, 20_000))
assert new(1_750_000) == 0, "of the latest keys every repetition is found"
assert new(1_000_000) == 20_000, "of earlier ones the sink decides"
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def rows(*values: tuple[str, str | None, str | None, Decimal | None]) -> pa.RecordBatch:
    columns = list(zip(*values, strict=True))
    return pa.RecordBatch.from_arrays(
        [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )


def test_rows_repeat_or_contradict_those_before_them():
    seen = Duplicates(STREAM)
    first = rows(("a", "x", None, Decimal(1)), ("b", None, None, None), ("a", "x", None, Decimal(1)))
    assert seen.judge(first) == Judgement(new=[0, 1], contrary=[])
    assert seen.judge(rows(("b", None, None, Decimal(0)), ("c", "x", "y", None))) == Judgement([1], [0])
    assert seen.judge(rows(("b", None, None, Decimal(0)))) == Judgement([], [0]), "what was put aside is not remembered"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "x", None, None), ("a", None, "x", None)),
        (("a", None, None, Decimal(-1)), ("a", None, None, Decimal(-2))),  # hash() of both is -2
        (("a", None, None, Decimal(0)), ("a", None, None, Decimal(2**61 - 1))),
        (("a", "x", "yz", None), ("a", "xy", "z", None)),
    ],
)
def test_what_looks_alike_is_told_apart(one, other):
    assert Duplicates(STREAM).judge(rows(one, other)) == Judgement([0], [1])


def test_keys_of_several_columns_do_not_run_together():
    assert Duplicates(PAIRED).judge(rows(("ab", "c", None, None), ("a", "bc", None, None))).new == [0, 1]


def test_rows_without_a_key_are_all_new():
    stream = Stream("raw_log", SCHEMA, (), None, "raw/log", write_mode=WriteMode.APPEND)
    row = ("a", None, None, None)
    assert Duplicates(stream).judge(rows(row, row)).new == [0, 1]


def test_the_oldest_keys_are_forgotten_first():
    seen = Duplicates(STREAM, window=2)
    for key in "abcde":
        assert seen.judge(rows((key, None, None, None))).new == [0]
    for key in "cde":
        assert seen.judge(rows((key, None, None, None))).new == []
    assert seen.judge(rows(("a", None, None, None))).new == [0]


def test_a_read_of_two_million_rows_needs_no_more_memory_than_one_of_half_a_million():
    done = subprocess.run([sys.executable, "-c", _CHILD], stdout=subprocess.PIPE, text=True, check=True)
    assert int(done.stdout) / 1024 < 100, "MiB"


def test_a_contradiction_stands_where_it_came_among_the_rejects():
    given = [
        {"id": "a", "cost": "1"},
        {"id": None},
        {"id": "a", "cost": "2"},
        {"id": "b", "cost": "x"},
        {"id": "a", "cost": "3"},
        {"id": "c", "cost": "3"},
    ]
    records = RecordBuilder(STREAM, datetime(2026, 11, 20, tzinfo=UTC)).build(given)
    assert [(r.item, r.column) for r in records.rejects] == [("", "id"), ("a", ""), ("b", "cost"), ("a", "")]
    assert [r.record.get("cost") for r in records.rejects] == [None, "2", "x", "3"]
    assert records.rejects[1].reason == "a second record with the key id=a and other values"
    assert records.batch.column("id").to_pylist() == ["a", "c"]
