"""What rows a package may hold: those that both targets take, so that neither refuses for good what is sealed.

It stands before the seal and after every source, whichever way that makes its rows. Types, required columns and least
values are the stream's and checked where rows are built; here is what no schema says.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tickvault.core import bounds
from tickvault.core.package import Outcome, Reject
from tickvault.core.stream import Stream
from tickvault.core.values import plain

_FIRST, _LAST = date.min, date.max
"""The years 1 to 9999, which both targets, Python and JSON have; Arrow and PostgreSQL go on."""
_FIRST_INSTANT, _LAST_INSTANT = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def admitted(stream: Stream, records: pa.RecordBatch) -> tuple[pa.RecordBatch, tuple[Reject, ...]]:
    """Return the rows that both targets take, and the others as records put aside.

    Args:
        stream: Whose rows they are.
        records: Its own columns, and perhaps ``row_version``.
    """
    unfit: dict[int, tuple[str, str]] = {}
    for column, rows, reason in _objections(stream, records):
        unfit |= {
            n: (column, reason) for n in pc.indices_nonzero(pc.fill_null(rows, False)).to_pylist() if n not in unfit
        }
    if not unfit:
        return records, ()
    own = records.select(stream.schema.names)
    rejects = tuple(_reject(stream, own, n, *unfit[n]) for n in sorted(unfit))
    return records.filter(pa.array([n not in unfit for n in range(records.num_rows)])), rejects


def _objections(stream: Stream, records: pa.RecordBatch) -> Iterator[tuple[str, Any, str]]:
    """Yield columns, each with which rows have a value in it that does not fit, and why."""
    key_bytes: Any = 0
    for field in stream.schema:
        values = records.column(field.name)
        if values.null_count and (not field.nullable or field.name in stream.primary_key):
            yield field.name, pc.is_null(values), "is missing"
        if pa.types.is_string(field.type):
            length = pc.binary_length(values)
            if field.name in stream.primary_key:
                key_bytes = pc.add(key_bytes, pc.fill_null(length, 0))
            yield field.name, pc.greater(length, bounds.TEXT_BYTES), f"has more than {bounds.TEXT_BYTES:,} bytes"
            yield field.name, pc.match_substring(values, "\0"), "contains the character NUL, which no database stores"
        elif pa.types.is_date32(field.type):
            outside = pc.or_(pc.less(values, _FIRST), pc.greater(values, _LAST))
            yield field.name, outside, f"is not between {_FIRST} and {_LAST}"
        elif pa.types.is_timestamp(field.type):
            first, last = pa.scalar(_FIRST_INSTANT, field.type), pa.scalar(_LAST_INSTANT, field.type)
            outside = pc.or_(pc.less(values, first), pc.greater(values, last))
            yield field.name, outside, f"is not between {_FIRST} and {_LAST}"
    if isinstance(key_bytes, pa.Array):
        columns = [c for c in stream.primary_key if pa.types.is_string(stream.schema.field(c).type)]
        why = f"makes the key longer than {bounds.KEY_BYTES:,} bytes, which not every index holds"
        yield columns[-1], pc.greater(key_bytes, bounds.KEY_BYTES), why


def _reject(stream: Stream, rows: pa.RecordBatch, number: int, column: str, reason: str) -> Reject:
    record = {name: _value(rows.column(name)[number]) for name in rows.schema.names}
    item = plain(record[(stream.primary_key or tuple(rows.schema.names))[0]])
    kept = {name: plain(value) for name, value in record.items()}
    return bounded(Reject(str(item or ""), column, f"{column} {reason}", kept))


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):  # a date beyond Python's calendar
        return str(scalar.cast(pa.int64() if pa.types.is_timestamp(scalar.type) else pa.int32()).as_py())


def settled(outcome: Outcome) -> Outcome:
    """Return an outcome as the ledger takes it."""
    item = bounds.text(outcome.item, bounds.ITEM_CHARACTERS)
    return Outcome(item, outcome.status, bounds.text(outcome.detail, bounds.DETAIL_CHARACTERS))


def bounded(reject: Reject) -> Reject:
    """Return a record put aside as the ledger takes it; one that is too long by its beginning, which fits no more."""
    reason, record = reject.reason, bounds.json_value(reject.record)
    text = json.dumps(record, default=str, ensure_ascii=False)
    if len(text) > bounds.RECORD_CHARACTERS:
        reason, record = f"{reason[:500]}; the record has {len(text):,} characters and begins {text[:1000]}", {}
    return Reject(
        bounds.text(reject.item, bounds.ITEM_CHARACTERS),
        bounds.text(reject.column, bounds.ITEM_CHARACTERS),
        bounds.text(reason, bounds.DETAIL_CHARACTERS),
        record,
    )


def line(reject: Reject) -> str:
    """Return a record put aside as a line of the package's file of them."""
    return json.dumps(asdict(bounded(reject)), default=str, ensure_ascii=False) + "\n"
