"""Writes rows as CSV that a spreadsheet can open: nothing in it runs, and every number is written plain.

RFC 4180 in UTF-8, with Unix's line end. A text that begins as a formula does gets an apostrophe before it, as OWASP
advises (https://owasp.org/www-community/attacks/CSV_Injection); numbers, negative ones too, stay as they are. Decimals
have all their digits, doubles the fewest that give the same double back, neither has an exponent. A header names the
columns, texts are in quotes, an empty one too, times are UTC, a null is nothing.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

NUMBER: dict[bytes | str, bytes | str] = {b"tickvault": b"number"}
"""Metadata of a text column whose texts are numbers: decimals of no certain precision."""
_FORMULA = "^[=+\\-@\t\r\n＝＋－＠]"


class Sheet:
    """A CSV file that is open for writing.

    Args:
        place: The file, also a pipe or a device; or the number of one that is open, and stays so.
        schema: Its columns; of no nested type.
    """

    def __init__(self, place: Path | int, schema: pa.Schema) -> None:
        self._file = open(place, "wb", closefd=not isinstance(place, int))  # noqa: SIM115 - close() does
        self._file.write((",".join(f'"{_doubled(name)}"' for name in schema.names) + "\n").encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write_table(self, table: pa.Table) -> None:
        """Append rows."""
        for batch in table.to_batches():
            self.write_batch(batch)

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        if not batch.num_rows:
            return
        columns: list[Any] = [
            column if field.metadata == NUMBER else _cells(column)
            for field, column in zip(batch.schema, batch.columns, strict=True)
        ]
        lines: Any = pc.binary_join_element_wise(*columns, ",", null_handling="replace", null_replacement="")
        self._file.write(("\n".join(lines.to_pylist()) + "\n").encode())

    def close(self) -> None:
        """Write what is still held back."""
        self._file.close()


def _cells(column: "pa.Array[Any]") -> Any:
    if pa.types.is_decimal(column.type):
        return pa.array([None if value is None else f"{value:f}" for value in column.to_pylist()], pa.string())
    text: Any = pc.cast(column, pa.string())
    if pa.types.is_floating(column.type):
        exponents = pc.match_substring(text, "e")
        plain = [None if value is None else f"{Decimal(value):f}" for value in pc.filter(text, exponents).to_pylist()]
        return pc.replace_with_mask(text, pc.fill_null(exponents, False), pa.array(plain, pa.string()))
    if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type) or pa.types.is_temporal(column.type):
        return text
    harmless = pc.if_else(pc.match_substring_regex(text, _FORMULA), pc.binary_join_element_wise("'", text, ""), text)
    return pc.binary_join_element_wise('"', pc.replace_substring(harmless, '"', '""'), '"', "")


def _doubled(text: str) -> str:
    return text.replace('"', '""')
