"""Draws rows for a terminal: a table, or a record per row where a table would be wider than the terminal."""

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

_GAP = " | "


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Return the lines of a table: header, rule, rows; numbers stand right."""
    cells = [[cell(value) for value in row] for row in rows]
    widths = _widths(columns, cells)
    right = [is_numeric([row[index] for row in rows]) for index in range(len(columns))]
    lines = [_GAP.join(_padded(name, width) for name, width in zip(columns, widths, strict=True))]
    lines.append("-+-".join("-" * width for width in widths))
    for row in cells:
        aligned = zip(row, widths, right, strict=True)
        lines.append(_GAP.join(_padded(text, width, right=to_right) for text, width, to_right in aligned))
    return [line.rstrip() for line in lines]


def records(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Yield the lines of one record per row, a line per column."""
    width = max(map(_width, columns), default=0)
    for number, row in enumerate(rows, 1):
        yield f"-[ {number} ]".ljust(width + len(_GAP) + 10, "-")
        for name, value in zip(columns, row, strict=True):
            yield f"{_padded(name, width)}{_GAP}{cell(value)}".rstrip()


def breadth(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
    """Return how wide the table is, in columns of a terminal."""
    widths = _widths(columns, [[cell(value) for value in row] for row in rows])
    return sum(widths) + len(_GAP) * max(0, len(widths) - 1)


def text(value: Any) -> str:
    """Write a value as SQL does: a null as nothing, a boolean as true or false, a decimal without exponent.

    PostgreSQL gives a decimal zero as ``0E-10``. Lists and objects are written in JSON.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=text, ensure_ascii=False)
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def cell(value: Any) -> str:
    """Write a value on one line: a control character as its escape."""
    written = text(value)
    return written if written.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in written)


def is_numeric(values: Sequence[Any]) -> bool:
    """Tell whether there is a value and all are numbers, so that they stand right."""
    known = [value for value in values if value is not None]
    return bool(known) and all(isinstance(v, int | float | Decimal) and not isinstance(v, bool) for v in known)


def _widths(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(_width, (name, *(row[index] for row in cells)))) for index, name in enumerate(columns)]


def _padded(text: str, width: int, *, right: bool = False) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # a letter of Chinese takes two columns

    return cell_len(text)
