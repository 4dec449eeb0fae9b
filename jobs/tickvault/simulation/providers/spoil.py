"""What a fault does to the records of an answer."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tickvault.simulation.providers.faults import Fault
from tickvault.simulation.providers.state import Reply, State

AHEAD = timedelta(days=2)
_MILLISECONDS_FROM = 10**11


@dataclass(frozen=True, slots=True)
class Rows:
    """Spoils a list of records.

    Args:
        rows: Finds the list in the decoded answer; it is changed in place.
        price: Key of the number that ``malformed_number``, ``nan`` and ``negative`` change.
        times: Keys that ``future`` moves.
        symbol: Key of the provider's name of the asset; None when all records are of the one that was asked for.
    """

    rows: Callable[[Any], list[Any]]
    price: str | int
    times: tuple[str | int, ...]
    symbol: str | None = None

    def __call__(self, reply: Reply, fault: Fault, state: State) -> Reply:
        """Change the records the fault names, or the first one."""
        rows = self.rows(reply.content)
        wanted = [row for row in rows if self.symbol and state.symbol_of(row[self.symbol]) in fault.symbols]
        for row in wanted if self.symbol and fault.symbols else rows[:1]:
            if fault.kind == "missing_symbols":
                rows.remove(row)
            elif fault.kind == "duplicate":
                rows.insert(rows.index(row) + 1, copy.deepcopy(row))
            elif fault.kind == "future":
                for key in self.times:
                    row[key] = later(row[key])
            else:
                row[self.price] = spoilt(row[self.price], fault.kind)
        return reply


def spoilt(value: str | float, kind: str) -> str | float:
    """Give what a number becomes: text stays text, so that only its content is wrong."""
    if kind == "malformed_number":
        return "n/a"
    if kind == "nan":
        return "NaN" if isinstance(value, str) else float("nan")
    return f"-{value}" if isinstance(value, str) else -value


def later(value: str | float) -> str | float:
    """Move a time ahead, in the form it has: epoch seconds, epoch milliseconds or ISO text."""
    if isinstance(value, str):
        moved = datetime.fromisoformat(value) + AHEAD
        return moved.strftime("%Y-%m-%dT%H:%M:%S.000Z" if "T" in value else "%Y-%m-%d %H:%M:%S")
    seconds = int(AHEAD.total_seconds())
    return value + (seconds * 1000 if value > _MILLISECONDS_FROM else seconds)
