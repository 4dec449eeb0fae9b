"""Publishes what passed: freezes each mart under a generation and points its public view at it.

The order makes a kill harmless at any point: a generation is frozen, then noted, then shown, then confirmed, and only
after that older ones go. Readers see one generation or the next, never none. An engine brings a ``Shelf``.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tickvault.core import faults
from tickvault.core.slot import Slot
from tickvault.ledger import Ledger
from tickvault.warehouse.target import Target

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mart:
    """A mart or semantic model.

    Args:
        name: Its name.
        aside: The schema dbt builds and tests it in.
    """

    name: str
    aside: str

    @property
    def schema(self) -> str:
        """The schema of its public view."""
        return self.aside.removeprefix(PREFIX)


PREFIX = "build_"
"""How the schemas begin that dbt builds in and from which is published."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which build a generation is from.

    Args:
        slot: Its slot.
        run_id: The run in the ledger.
        build_id: The build; three flows may ask for a build of one slot.
    """

    slot: Slot
    run_id: str
    build_id: str


@dataclass(frozen=True, slots=True)
class Generation:
    """A frozen state of a mart; ``published`` once the view is known to show it."""

    name: str
    published: bool


class Shelf(Protocol):
    """Where an engine keeps generations and views."""

    def count(self, relations: Sequence[str]) -> dict[str, int]:
        """Return the rows of tables."""

    def values(self, relation: str, column: str) -> list[str]:
        """Return the values of a table's column, each once, in order."""

    def prepare(self, schemas: Iterable[str]) -> None:
        """Make schemas and tables that are missing."""

    def history(self) -> dict[str, list[Generation]]:
        """Return what was noted of every mart, newest first."""

    def holds(self, mart: Mart, generation: Generation) -> bool:
        """Whether a generation is still what was built."""

    def freeze(self, mart: Mart, stamp: Stamp) -> str:
        """Freeze what was built and return the generation's name."""

    def note(self, mart: Mart, generation: str, stamp: Stamp) -> None:
        """Note a generation that the view will show."""

    def show(self, mart: Mart, generation: str) -> None:
        """Replace the public view, and let readers read it."""

    def define(self, view: Mart, sql: str) -> None:
        """Replace a view that is nothing but a question to other views, and let readers read it."""

    def confirm(self, mart: Mart, generation: str) -> None:
        """Note that the view shows it."""

    def clear(self, mart: Mart, retained: list[str]) -> None:
        """Drop generations other than these, newest first."""


class LedgerNotes:
    """Notes of publications in the ledger's ``data_platform.publication``, for engines whose shelf keeps none itself.

    Args:
        ledger: Where they are noted.
        target: The target.
    """

    def __init__(self, ledger: Ledger, target: Target) -> None:
        self._ledger, self._target = ledger, target

    def history(self) -> dict[str, list[Generation]]:
        """Return what was noted, newest first."""
        found: dict[str, list[Generation]] = {}
        for mart, generation, published in self._ledger.publications.recent(self._target.name):
            found.setdefault(mart, []).append(Generation(generation, published))
        return found

    def note(self, mart: Mart, generation: str, stamp: Stamp) -> None:
        """Write a row, not confirmed yet."""
        self._ledger.publications.note(self._target.name, mart.name, generation, stamp.slot, stamp.run_id)

    def confirm(self, mart: Mart, generation: str) -> None:
        """Mark the row."""
        self._ledger.publications.confirm(self._target.name, mart.name, generation)


def publish(shelf: Shelf, marts: list[Mart], stamp: Stamp) -> list[Mart]:
    """Publish the marts that changed and return them.

    Raises:
        PlatformError: The engine refuses or does not answer; what was published before stays as it is.
    """
    shelf.prepare(sorted({m.schema for m in marts}))
    history = shelf.history()
    changed: list[Mart] = []
    for mart in marts:
        known = history.get(mart.name, [])
        if known and known[0].published and shelf.holds(mart, known[0]):
            continue
        generation = shelf.freeze(mart, stamp)
        faults.at("after_freeze")
        shelf.note(mart, generation, stamp)
        faults.at("after_note")
        shelf.show(mart, generation)
        faults.at("after_show")
        shelf.confirm(mart, generation)
        shelf.clear(mart, _retained(generation, known))
        _log.info("published %s.%s as %s", mart.schema, mart.name, generation)
        changed.append(mart)
    return changed


def _retained(generation: str, known: Sequence[Generation]) -> list[str]:
    """Return what stays, newest first: down to the newest that is known to have been shown.

    One that was noted and not confirmed may have been shown or not, so it does not stand for the one before.
    """
    before = [g for g in known if g.name != generation]
    shown = next((n for n, g in enumerate(before, start=1) if g.published), len(before))
    return [generation, *(g.name for g in before[:shown])]


def define(shelf: Shelf, views: Mapping[str, str], stamp: Stamp) -> None:
    """Define the metrics' views where their SQL has changed."""
    history = shelf.history()
    for name, sql in views.items():
        view, generation = Mart(name, f"{PREFIX}semantic"), hashlib.sha256(f"{name} {sql}".encode()).hexdigest()[:16]
        known = history.get(name, [])
        if not (known and known[0] == Generation(generation, published=True)):
            shelf.note(view, generation, stamp)
            shelf.define(view, sql)
            shelf.confirm(view, generation)


def count_statement(relations: Sequence[str]) -> str:
    """Return one statement that counts the rows of several tables; two of three engines answer it from metadata."""
    return " UNION ALL ".join(f"SELECT '{name}', COUNT(*) FROM {name}" for name in relations)
