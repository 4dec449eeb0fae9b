"""What a raw table and its change table have to hold, in plain Python: readings come in, states come out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple


class Reading(NamedTuple):
    """What one package says of one key: how the source had it at a version."""

    key: Any
    version: str
    content: Any
    package: str


@dataclass(frozen=True)
class State:
    """Readings of the same content one after the other."""

    content: Any
    version: str
    last: str | None
    package: str


class States:
    """All states of all keys; only a state's first and last version are remembered, as a target does."""

    def __init__(self) -> None:
        self.of: dict[Any, list[State]] = {}

    def take(self, readings: Iterable[Reading]) -> None:
        """Take in one package: as a merge does, of each key first what is newer than all, then the rest."""
        brought: dict[Any, list[Reading]] = {}
        for reading in sorted(readings, key=lambda r: r.version, reverse=True):
            brought.setdefault(reading.key, []).append(reading)
        for key, (newest, *older) in brought.items():
            states = self.of.get(key)
            if not states or newest.version > (states[-1].last or states[-1].version):
                self._add(key, [newest])
            self._add(key, [newest, *older])

    def _add(self, key: Any, readings: list[Reading]) -> None:
        known: dict[str, tuple[Any, str]] = {}
        for state in self.of.get(key, []):
            known[state.version] = (state.content, state.package)
            if state.last:
                known[state.last] = (state.content, state.package)
        for reading in readings:
            known.setdefault(reading.version, (reading.content, reading.package))
        self.of[key] = _states(known)

    def newest(self) -> dict[Any, State]:
        """Return the raw table: of each key the last state."""
        return {key: states[-1] for key, states in self.of.items()}

    def earlier(self) -> set[tuple[Any, State]]:
        """Return the change table: of each key the states before."""
        return {(key, state) for key, states in self.of.items() for state in states[:-1]}


def _states(known: dict[str, tuple[Any, str]]) -> list[State]:
    found: list[State] = []
    for version in sorted(known):
        content, package = known[version]
        if found and found[-1].content == content:
            found[-1] = State(content, found[-1].version, version, found[-1].package)
        else:
            found.append(State(content, version, None, package))
    return found
