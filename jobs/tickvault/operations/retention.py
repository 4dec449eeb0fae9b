"""The job that removes what neither a reader nor a replay needs any more; how long each thing is kept is a setting.

Never removed are packages, loads and what is kept of them: they are what makes a load happen once, a replay possible
and a cursor known. Nor is anything sealed in the lake.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from tickvault.core import faults
from tickvault.core.errors import InterruptedRunError, PlatformError, to_raise
from tickvault.core.settings import Settings
from tickvault.engines.storage import open_storage
from tickvault.lake import Lake
from tickvault.ledger import Ledger
from tickvault.operations.orphans import LOOK_BACK_DAYS, Cleaning, Scope
from tickvault.runs import joblog
from tickvault.runs.session import Session
from tickvault.sinks import Sink
from tickvault.transfer import catalog
from tickvault.warehouse.target import TARGETS

_log = logging.getLogger(__name__)
BATCH = 10_000
"""What is removed in one transaction: a lock on so many rows is over before anybody waits for it."""

_MARGIN = timedelta(days=1)
"""What a load replaced while a build began may be dated before it: far longer than a load is open."""
_ONCE_A_WEEK = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of thing that is removed when it is old.

    Args:
        name: What it is called.
        days: How many days it is kept; 0: for ever.
        count: Counts what is due before a time.
        prune: Removes at most so many of that; returns how many.
    """

    name: str
    days: int
    count: Callable[[datetime], int]
    prune: Callable[[datetime, int], int]

    def due(self, now: datetime) -> int:
        """Return how many are due."""
        return self.count(now - timedelta(days=self.days)) if self.days else 0

    def batches(self, now: datetime) -> Iterator[int]:
        """Remove what is due, and yield after each batch how many those were."""
        removed = BATCH if self.days else 0
        while removed == BATCH:
            if removed := self.prune(now - timedelta(days=self.days), BATCH):
                yield removed


def kinds(settings: Settings, ledger: Ledger) -> tuple[Kind, ...]:
    """Return every kind there is."""
    logs, changes, orphans = _Logs(settings), _Changes(settings, ledger), _Orphans(settings, ledger)
    return (
        Kind("runs", settings.retention_run_days, ledger.runs.count_due, ledger.runs.prune),
        Kind("models", settings.retention_model_days, ledger.builds.count_due_nodes, ledger.builds.prune_nodes),
        Kind("builds", settings.retention_build_days, ledger.builds.count_due, ledger.builds.prune),
        Kind("publications", settings.retention_publication_days, ledger.publications.count_due,
             ledger.publications.prune),
        Kind("alerts", settings.retention_alert_days, ledger.alerts.count_due, ledger.alerts.prune),
        Kind("rejects", settings.retention_reject_days, ledger.rejects.count_due, ledger.rejects.prune),
        Kind("logs", settings.retention_log_days, logs.count, logs.prune),
        Kind("changes", settings.retention_change_days, changes.count, changes.prune),
        Kind("orphans", settings.retention_orphan_days, orphans.count, orphans.prune),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Retention:
    """Removes, kind by kind and batch by batch; one kind that fails does not stop the others.

    Each batch is whole by itself: a run that is killed has removed less, and the next one goes on.
    """

    name: str = "retention"
    exclusive: bool = True

    def run(self, session: Session) -> None:
        """Remove what is due and report how many of each kind.

        Raises:
            PlatformError: The ledger or the lake does not answer, or does not let us.
        """
        # By the real clock, as what is removed was written by it, whatever time the market is simulated at.
        now, errors = datetime.now(UTC), list[PlatformError]()
        pruned: dict[str, int] = session.report.details.setdefault("pruned", {})
        for kind in kinds(session.settings, session.ledger):
            try:
                for removed in kind.batches(now):
                    pruned[kind.name] = pruned.get(kind.name, 0) + removed
                    faults.at("after_prune")
            except InterruptedRunError:
                raise
            except PlatformError as error:
                _log.warning("%s: %s", kind.name, error)
                errors.append(error)
            if kind.name in pruned:
                session.report.notes.append(f"removed {pruned[kind.name]:,} {kind.name} of {kind.days} days and older")
        if errors:
            raise to_raise(errors)


def preview(settings: Settings) -> list[tuple[str, int, int]]:
    """Return of each kind its name, how many days it is kept, and how many are due; nothing is changed."""
    now = datetime.now(UTC)
    with Ledger.open(settings) as ledger:
        return [(kind.name, kind.days, kind.due(now)) for kind in kinds(settings, ledger)]


class _Logs:
    """The logs of runs in the lake."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def count(self, before: datetime) -> int:
        return sum(1 for _ in joblog.written_before(open_storage(self._settings), before))

    def prune(self, before: datetime, limit: int) -> int:
        storage = open_storage(self._settings)
        keys = list(islice(joblog.written_before(storage, before), limit))
        storage.delete_all(keys)
        return len(keys)


class _Changes:
    """States that raw tables held before, which every target has in its vault since."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings, self._ledger = settings, ledger

    def count(self, before: datetime) -> int:
        return sum(sink.count_changes(until) for sink, until in self._due(before))

    def prune(self, before: datetime, limit: int) -> int:
        removed = 0
        for sink, until in self._due(before):
            # Another database than the ledger's is not woken every day for some rows: that may cost money.
            rests = sink.target(self._settings) is not None and before.weekday() != _ONCE_A_WEEK
            removed += 0 if rests or removed >= limit else sink.prune_changes(until, limit - removed)
        return removed

    def _due(self, before: datetime) -> Iterator[tuple[Sink, datetime]]:
        """Yield each sink that was loaded into, open, and the time up to which its changes may go."""
        lake = Lake(open_storage(self._settings))
        for name in catalog.sink_names():
            seen = self._ledger.builds.taken_in([target.name for target in TARGETS if target.sink == name])
            if seen is not None:
                with catalog.sink(name)(self._settings, lake) as sink:
                    yield sink, min(before, seen - _MARGIN)


class _Orphans:
    """What attempts left in the lake, as ``tickvault lake gc`` finds it."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings, self._ledger = settings, ledger

    def count(self, before: datetime) -> int:
        return sum(isinstance(found, str) for found in self._cleaning(before).findings())

    def prune(self, before: datetime, limit: int) -> int:
        cleaning = self._cleaning(before)
        return cleaning.settle(islice(cleaning.findings(), limit))

    def _cleaning(self, before: datetime) -> Cleaning:
        since = self._settings.now() - timedelta(days=LOOK_BACK_DAYS)
        return Cleaning(Lake(open_storage(self._settings)), self._ledger, Scope(before, since))
