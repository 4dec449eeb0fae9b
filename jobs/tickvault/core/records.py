"""Turns a provider's records into Arrow rows: what does not fit is put aside with its reason."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tickvault.core import redaction
from tickvault.core.duplicates import Duplicates
from tickvault.core.errors import SchemaMismatchError
from tickvault.core.package import Reject
from tickvault.core.stream import Stream
from tickvault.core.values import Epoch, parser, plain

__all__ = ["CONFLICT", "Epoch", "RecordBuilder", "Records", "require_fields"]

_log = logging.getLogger(__name__)

Row = Mapping[str, Any]

TOLERANCE = timedelta(hours=1)
"""How far a provider's clock may be ahead of ours."""
CONFLICT = ""
"""``Reject.column`` of a record whose key another one took with other values: no single column is wrong."""


@dataclass(frozen=True, slots=True)
class Records:
    """The rows that fit, the records that do not, and how many were word for word repetitions."""

    batch: pa.RecordBatch
    rejects: tuple[Reject, ...]
    repeated: int = 0


class RecordBuilder:
    """Builds the batches of one read of one stream; duplicates are seen across batches, as far as ``Duplicates`` does.

    Args:
        stream: What the rows are; its schema decides types, required columns and least values.
        now: The current time; a cursor field more than an hour later is not believed.
        origin: Appended to every row's ``source``, such as ``-simulated``.
    """

    def __init__(self, stream: Stream, now: datetime, origin: str = "") -> None:
        self.stream, self.now = stream, now
        self._origin = origin
        self._latest = now + TOLERANCE
        self._parsers = {f.name: parser(f) for f in stream.schema}
        self._cursor = stream.schema.get_field_index(stream.cursor_field) if stream.cursor_field else None
        self._day = stream.schema.get_field_index("date")
        self._duplicates = Duplicates(stream)

    def build(self, rows: Iterable[Row], first: date | None = None) -> Records:
        """Build a batch from dicts with the stream's column names; a column left out is null.

        A record whose key was seen before is dropped when it is the same word for word, else put aside: nobody can
        tell which of the two is right.

        Args:
            rows: The records.
            first: Where they are of days, the earliest that may come: one long before what was asked for is a mistake.

        Raises:
            SchemaMismatchError: A row has a column that the stream does not.
        """
        fitting: list[Row] = []
        positions: list[int] = []
        values: list[tuple[Any, ...]] = []
        rejects: dict[int, Reject] = {}
        for position, row in enumerate(rows):
            try:
                values.append(self._values(self._labelled(row), first))
            except _UnfitError as unfit:
                rejects[position] = self._reject(row, unfit)
            else:
                fitting.append(row)
                positions.append(position)
        batch = self._batch(values)
        judged = self._duplicates.judge(batch)
        for number in judged.contrary:
            rejects[positions[number]] = self._reject(fitting[number], self._contradiction(batch, number))
        repeated = batch.num_rows - len(judged.new) - len(judged.contrary)
        if len(judged.new) < batch.num_rows:
            batch = batch.take(pa.array(judged.new, pa.int64()))
        return Records(batch, tuple(rejects[n] for n in sorted(rejects)), repeated)

    def _batch(self, rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(self.stream.schema)
        arrays = [_unechoed(pa.array(c, f.type)) for c, f in zip(columns, self.stream.schema, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=self.stream.schema)

    def _labelled(self, row: Row) -> Row:
        return {**row, "source": f"{row['source']}{self._origin}"} if self._origin and row.get("source") else row

    def _values(self, row: Row, first: date | None) -> tuple[Any, ...]:
        values = []
        for name, parse in self._parsers.items():
            try:
                values.append(parse(row.get(name)))
            except ValueError as error:
                raise _UnfitError(name, f"{name} {error}") from error
            except Exception as error:
                # Nobody foresaw it (a signal of decimal, a text no codec takes, a bug): it costs this record alone.
                _log.exception("%s.%s: a value that cannot be read", self.stream.name, name)
                raise _UnfitError(name, f"{name} cannot be read: {type(error).__name__}") from error
        if not row.keys() <= self._parsers.keys():
            extra = min(row.keys() - self._parsers.keys())
            raise SchemaMismatchError(self.stream.name, extra, "no such column", type(row[extra]).__name__)
        time = values[self._cursor] if self._cursor is not None else None
        if time is not None and time > self._latest:
            name = self.stream.cursor_field or ""
            raise _UnfitError(name, f"{name} is {time.isoformat()}, which lies in the future")
        if first is not None and (day := values[self._day]) is not None and day < first:
            raise _UnfitError(
                "date", f"date is {day.isoformat()}, long before {first.isoformat()}: it was not asked for"
            )
        return tuple(values)

    def _contradiction(self, batch: pa.RecordBatch, row: int) -> "_UnfitError":
        key = ", ".join(f"{name}={batch.column(name)[row].as_py()}" for name in self.stream.primary_key)
        return _UnfitError(CONFLICT, f"a second record with the key {key} and other values")

    def _reject(self, row: Row, unfit: "_UnfitError") -> Reject:
        item = row.get((self.stream.primary_key or tuple(self.stream.schema.names))[0])
        kept = {name: plain(self._readable(name, value)) for name, value in row.items()}
        return Reject(str(plain(item) or ""), unfit.column, unfit.reason, kept)

    def _readable(self, name: str, value: Any) -> Any:
        """Turn ticks into the day or time they mean: JSON does not know them, and a replay has to read them back."""
        if isinstance(value, Epoch) and name in self._parsers:
            with suppress(Exception):  # it may be what was put aside
                return self._parsers[name](value)
        return value


def require_fields(stream: Stream, records: Sequence[Row], fields: Mapping[str, str]) -> None:
    """Refuse an answer in which a documented field is missing from every record: the provider changed its format.

    Args:
        stream: What the records become.
        records: As the provider sent them; none at all passes.
        fields: The provider's field by the stream's column.

    Raises:
        SchemaMismatchError: Names the column, the field expected and the fields found.
    """
    if not records:
        return
    present = {key for record in records for key in record}
    for column, name in fields.items():
        if name not in present:
            found = ", ".join(sorted(map(str, present))) or "nothing"
            raise SchemaMismatchError(stream.name, column, f"a field '{name}' in the provider's answer", found)


def _unechoed(column: "pa.Array[Any]") -> "pa.Array[Any]":
    """Blot out the keys a provider was sent, where it repeats them."""
    if not pa.types.is_string(column.type) or not (pattern := redaction.echoes()):
        return column
    if not pc.any(pc.match_substring_regex(column, pattern)).as_py():
        return column
    return pa.array([None if text is None else redaction.echo(text) for text in column.to_pylist()], column.type)


class _UnfitError(Exception):
    """A record that cannot be a row; leaves this module as a reject."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column, self.reason = column, reason
