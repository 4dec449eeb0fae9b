"""Tells of a read's rows which repeat an earlier one and which contradict it, as far as the two are near each other."""

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tickvault.core.stream import Stream

WINDOW = 250_000
"""Keys of one generation; between one and two generations of the latest keys are remembered."""
_BETWEEN = "\0"
"""No text of a row holds it, and no text is empty: with it between the columns and for null no two rows look alike."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rows of a batch are to all before them; a row that is named in neither list repeats one.

    Args:
        new: Numbers of the rows whose key is new.
        contrary: Numbers of the rows that give a known key other values.
    """

    new: list[int] = field(default_factory=list)
    contrary: list[int] = field(default_factory=list)


class Duplicates:
    """Remembers the latest 250,000 to 500,000 keys of one read, in some 160 bytes each, however long the read is.

    Of key and row it keeps 64-bit hashes of their text: Python's hash of text, which is SipHash. Not of the values:
    ``hash(-1) == hash(-2)``, and that of a number is its remainder. Two keys pass for one with a chance of 500,000 in
    2**64 per row, one in four million for a read of ten million rows; the second is then put aside, so it is not lost.

    What repeats or contradicts a key from before that passes for new: a sink keeps one row per key, of equal versions
    the one whose content is highest, so that every load decides alike.
    """

    def __init__(self, stream: Stream, window: int = WINDOW) -> None:
        self._key = [stream.schema.get_field_index(name) for name in stream.primary_key]
        self._window = window
        self._latest: dict[int, int] = {}
        self._before: dict[int, int] = {}

    def judge(self, rows: pa.RecordBatch) -> Judgement:
        """Compare each row with all before it, in this batch and earlier ones; only new ones are remembered.

        Rows of a stream without a key are all new.
        """
        if not self._key or not rows.num_rows:
            return Judgement(list(range(rows.num_rows)))
        texts = [_text(column) for column in rows.columns]
        judgement = Judgement()
        for number, (key, row) in enumerate(zip(_hashes([texts[n] for n in self._key]), _hashes(texts), strict=True)):
            known = self._latest.get(key)
            if known is None:
                known = self._before.get(key)
            if known is None:
                self._remember(key, row)
                judgement.new.append(number)
            elif known != row:
                judgement.contrary.append(number)
        return judgement

    def _remember(self, key: int, row: int) -> None:
        if len(self._latest) >= self._window:
            self._before, self._latest = self._latest, {}
        self._latest[key] = row


def _text(column: Any) -> Any:
    """Write a column as text, alike where the values are."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    elif pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def _hashes(texts: list[Any]) -> list[int]:
    """Hash what columns of text say of each row."""
    joined = pc.binary_join_element_wise(*texts, _BETWEEN, null_handling="replace", null_replacement=_BETWEEN)
    return list(map(hash, joined.to_pylist()))
