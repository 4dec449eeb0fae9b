"""What the revisions of one slot say together: what is still missing, and how much of it is still put aside.

A later revision wins, item by item: one that completes the slot speaks of what was missing alone, one that replays
rejects of what fits now, one that was forced of all it read again.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from tickvault.core.package import Choice, Outcome, OutcomeStatus, Package, Reject

_ADDRESS = re.compile(r" \S*[:/]")


class Share(NamedTuple):
    """How many records of a slot stand, and how many of them are put aside."""

    rejected: int
    total: int

    def exceeds(self, limit: float) -> bool:
        """Tell whether more was put aside than may be."""
        return self.rejected > 0 and self.rejected / self.total > limit


def failed(packages: Iterable[Package]) -> tuple[Outcome, ...]:
    """Return what the slot still lacks.

    An item named ``<coin> <address>`` is a part of ``<coin>``: when the coin was read again and its part is not named
    any more, nobody waits for that part. A symbol may have a space (``BRK B``), but neither colon nor slash.
    """
    latest: dict[str, Outcome] = {}
    for package in packages:
        again = {o.item for o in package.outcomes if not package.replays}
        latest = {item: o for item, o in latest.items() if _symbol(item) == item or _symbol(item) not in again}
        latest.update((o.item, o) for o in package.outcomes)
    return tuple(o for o in latest.values() if o.status is OutcomeStatus.FAILED)


def missing(packages: Iterable[Package]) -> tuple[str, ...]:
    """Return the symbols to ask for, to complete the slot."""
    return tuple(dict.fromkeys(_symbol(o.item) for o in failed(packages)))


def covers(packages: Iterable[Package], choice: Choice | None) -> bool:
    """Tell whether a slot holds what is asked for: what a person chose to read does not stand in for all of it."""
    read = [package.choice for package in packages if not package.replays]
    return any(made is None or made.covers(choice) for made in read)


def _symbol(item: str) -> str:
    return _ADDRESS.split(item, maxsplit=1)[0]


def share(packages: Sequence[Package], rejects: Callable[[Package], Iterable[Reject]]) -> Share:
    """Count a slot's records: those of revisions that were read again as a whole, or replayed, do not count twice.

    Args:
        packages: All of the slot, r0 first.
        rejects: Reads the records a package put aside.
    """
    rows = aside = 0
    symbols: dict[str, set[str]] = {}
    for n, package in enumerate(packages):
        later = packages[n + 1 :]
        replayed = [symbols.get(id_, set()) for id_ in package.replays]
        symbols[package.id] = set().union(*replayed) if replayed else {_symbol(o.item) for o in package.outcomes}
        read_again = [{_symbol(o.item) for o in p.outcomes} for p in later if not p.replays]
        if any(symbols[package.id] <= again for again in read_again):
            continue
        rows += package.rows
        if package.rejected and not any(package.id in p.replays for p in later):
            settled = set().union(*read_again)
            aside += sum(reject.item not in settled for reject in rejects(package)) if settled else package.rejected
    return Share(aside, rows + aside)
