"""Who exists, and how they change: a population as pure functions of (seed, index, instant).

Time is cut into windows of 50 days. Everybody changes once in each window, at an instant of his own: 2 % of the
population a day. What changes takes turns: tier, risk tolerance, country. A value alternates between two groups, so
that a change is always one. Thus the state after any window is known without going through those before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property

import numpy as np

from tickvault.simulation.population.noise import Floats, Ints, Noise

DAY = 86_400_000_000
"""A day in microseconds."""
WINDOW = 50 * DAY
CHUNK = 50_000

TIERS = ("bronze", "silver", "gold", "platinum")
RISKS = ("low", "medium", "high")
COUNTRIES = ("US", "GB", "DE", "FR", "NL", "JP", "SG", "VN", "AU", "CA", "BR", "IN")
# For each attribute two groups of positions in its values; repeated ones are the likelier.
_GROUPS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "tier": ((0, 0, 0, 2), (1, 1, 1, 1, 1, 3)),
    "risk_tolerance": ((0, 2), (1,)),
    "country": ((0, 0, 2, 4, 6, 8, 10), (1, 3, 5, 7, 7, 9, 11)),
}
_TURN = {name: turn for turn, name in enumerate(_GROUPS)}

_GROWTH_BEGINS = (date(2025, 1, 1) - date(1970, 1, 1)).days
_GROWTH_DAYS = 365 * 20
_GROWTH = 0.002  # most of it that may join on one day; half of it on average
_FOUNDED = (int(datetime(2015, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000, 1800 * DAY)


@dataclass(frozen=True, slots=True)
class States:
    """States of some members: who, after which window's change, and since when (microseconds since 1970)."""

    index: Ints
    window: Ints
    updated_at: Ints


@dataclass(frozen=True)
class Population:
    """Customers or corporates, numbered from 0; the base came in 2015 to 2019, a few join every day since 2025.

    Args:
        noise: Where the seed is.
        kind: ``customer`` or ``corporate``.
        base: How many there were before 2025.
    """

    noise: Noise
    kind: str
    base: int

    def size(self, day: int) -> int:
        """Count who exists when a day (days since 1970) begins."""
        joined = min(max(day - _GROWTH_BEGINS, 0), _GROWTH_DAYS)
        return self.base + int(self._joined[joined])

    def created_at(self, index: Ints) -> Ints:
        """Give the instants at which members joined."""
        part = self.noise.uniform(f"{self.kind} created", index)
        begin, length = _FOUNDED
        founded = begin + (part * length).astype(np.int64)
        day = _GROWTH_BEGINS + np.searchsorted(self._joined, index - self.base, side="right") - 1
        return np.where(index < self.base, founded, day * DAY + (part * DAY).astype(np.int64))

    def window(self, index: Ints, instant: Ints | int) -> Ints:
        """Give the window whose change was each member's last before an instant."""
        current: Ints = np.broadcast_to(np.asarray(instant, np.int64) // WINDOW, index.shape)
        return current - (self.changed_at(index, current) >= instant)

    def changed_at(self, index: Ints, window: Ints) -> Ints:
        """Give when members change in a window."""
        return window * WINDOW + (self.noise.uniform(f"{self.kind} changed", index, window) * WINDOW).astype(np.int64)

    def value(self, attribute: str, index: Ints, window: Ints) -> Ints:
        """Give an attribute after a window's change, as positions in TIERS, RISKS or COUNTRIES."""
        last = self.last_turn(attribute, index, window)
        start = self.noise.below(2, f"{self.kind} {attribute} start", index)
        second = ((last // len(_TURN) + start) & 1).astype(bool)
        part = self.noise.uniform(f"{self.kind} {attribute}", index, last)
        one, other = (_chosen(group, part) for group in _GROUPS[attribute])
        return np.where(second, other, one)

    def last_turn(self, attribute: str, index: Ints, window: Ints) -> Ints:
        """Give the last window up to this one in which this attribute had its turn."""
        return window - (window + index - _TURN[attribute]) % len(_TURN)

    def states(self, begin: int, end: int) -> Iterator[States]:
        """Yield everybody's state at the beginning, and every change and arrival until the end.

        Whatever an interval is cut into, the states of its pieces together are those of the whole.

        Args:
            begin: An instant.
            end: A midnight; not included.
        """
        for first in range(0, self.size(end // DAY), CHUNK):
            index = np.arange(first, min(first + CHUNK, self.size(end // DAY)), dtype=np.int64)
            created = self.created_at(index)
            known = np.maximum(created, begin)
            window = self.window(index, known)
            yield States(index, window, np.maximum(created, self.changed_at(index, window)))
            for number in range(begin // WINDOW, end // WINDOW + 1):
                window = np.full(len(index), number, np.int64)
                changed = self.changed_at(index, window)
                inside = (changed >= known) & (changed < end)
                if inside.any():
                    yield States(index[inside], window[inside], changed[inside])

    @cached_property
    def _joined(self) -> Ints:
        """How many had joined when each day since the growth began began."""
        days = _GROWTH_BEGINS + np.arange(_GROWTH_DAYS, dtype=np.int64)
        wanted = self.base * _GROWTH * self.noise.uniform(f"{self.kind} growth", days)
        whole = np.floor(wanted + self.noise.uniform(f"{self.kind} rounding", days)).astype(np.int64)
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(whole)])


def _chosen(group: tuple[int, ...], part: Floats) -> Ints:
    return np.array(group, np.int64)[(part * len(group)).astype(np.int64)]
