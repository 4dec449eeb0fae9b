"""An optional value never costs its row: one that does not fit is left empty, and said."""

from collections.abc import Mapping
from typing import Any

from tickvault.core.records import Row
from tickvault.core.stream import Stream
from tickvault.core.values import parser


class Optional:
    """Empties what does not fit into a stream's nullable columns, and remembers why in ``notes``.

    Args:
        stream: What the rows become.
    """

    def __init__(self, stream: Stream) -> None:
        self._parsers = {f.name: parser(f) for f in stream.schema if f.nullable}
        self.notes: dict[str, str] = {}

    def fit(self, row: Row) -> dict[str, Any]:
        """Return the row with each optional value that does not fit left out."""
        return {name: value for name, value in row.items() if self._fits(name, value, row)}

    def _fits(self, name: str, value: Any, row: Mapping[str, Any]) -> bool:
        if name not in self._parsers:
            return True
        try:
            self._parsers[name](value)
        except (ValueError, ArithmeticError) as error:
            of = f" of {row['date']}" if "date" in row else ""
            self.notes.setdefault(name, f"{name}{of} {error}: left empty")
            return False
        return True
