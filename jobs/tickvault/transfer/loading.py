"""The job that loads pending packages into one target."""

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby

from tickvault.core.batch import LoadResult
from tickvault.core.errors import (
    ConfigError,
    InterruptedRunError,
    PlatformError,
    SinkUnavailableError,
    TableLockedError,
    to_raise,
)
from tickvault.core.package import DamagedPackageError, Package
from tickvault.core.stream import Stream
from tickvault.engines.storage import open_storage
from tickvault.lake import Lake
from tickvault.ledger import LockHeldError, Pending
from tickvault.runs.session import Session
from tickvault.sinks import Sink
from tickvault.transfer import catalog
from tickvault.transfer.holdings import Holdings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loading:
    """Loads what a sink has not loaded yet, of each stream and source the oldest slot first.

    One lock per sink and stream: flows that start together load different streams side by side. Locks only save
    work; that nothing counts twice rests on the target's own ledger. Streams in ``again`` are loaded anew from the
    lake, those in ``accept`` are taken as the target has them.
    """

    sink: str
    sources: tuple[str, ...] | None = None
    label: str = ""
    exclusive: bool = False
    again: tuple[str, ...] = ()
    accept: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The job's name; ``label`` tells the loads of different flows apart in the ledger."""
        return f"load-{self.sink}" + (f"-{self.label}" if self.label else "")

    def run(self, session: Session) -> None:
        """Load stream by stream, package by package; one that fails does not stop the others.

        Versions in the rows make the order of packages irrelevant. A target that is gone stops everything, and what a
        person must put right stops its stream. With nothing pending another database than the ledger's is not asked:
        waking it may cost money.
        """
        kind = catalog.sink(self.sink)
        target = kind.target(session.settings)
        idle = not (self.again or self.accept or session.ledger.loads.pending(self.sink, self.sources, target))
        if idle:
            session.report.notes.append(f"nothing is pending for {self.sink}")
        if idle and target:
            return
        lake = Lake(open_storage(session.settings))
        errors: list[PlatformError] = []
        with kind(session.settings, lake) as sink:
            if target and not session.ledger.loads.agrees(self.sink, target, sink.count()):
                session.ledger.loads.correct(self.sink, target, sink.loaded)
            holdings = Holdings(session, sink)
            self._settle(session, lake, holdings)
            errors += self._compared(session, lake, holdings) if idle else []
            pending = session.ledger.loads.pending(self.sink, self.sources, target)
            ordered = sorted(pending, key=lambda p: (p.stream, p.source, p.slot, p.revision))
            for stream_name, group in groupby(ordered, key=lambda p: p.stream):
                try:
                    with self._locked(session, stream_name):
                        errors += self._load(session, lake, holdings, list(group))
                except (ConfigError, LockHeldError, TableLockedError) as error:
                    errors.append(_note_failure(session, stream_name, error))
        if errors:
            raise to_raise(errors)

    def _locked(self, session: Session, stream: str) -> AbstractContextManager[None]:
        return session.ledger.lock(f"load-{self.sink}-{stream}", session.settings.lock_wait_seconds)

    def _settle(self, session: Session, lake: Lake, holdings: Holdings) -> None:
        """Do what the user asked for with tables that have lost something."""
        for names, act in ((self.again, holdings.forget), (self.accept, holdings.accept)):
            for name in names:
                with self._locked(session, name):
                    act(lake, name)

    def _compared(self, session: Session, lake: Lake, holdings: Holdings) -> list[PlatformError]:
        """Return what tables have lost of which nothing is pending; one that another loader is at is left to it."""
        errors: list[PlatformError] = []
        for name in holdings.streams():
            try:
                with session.ledger.lock(f"load-{self.sink}-{name}", 0):
                    loss = holdings.compare(holdings.stream(lake, name))
            except (LockHeldError, DamagedPackageError) as error:
                _log.info("%s is not compared with what was loaded: %s", name, error)
                continue
            if loss:
                errors.append(_note_failure(session, name, loss))
        return errors

    def _load(self, session: Session, lake: Lake, holdings: Holdings, pending: list[Pending]) -> list[PlatformError]:
        """Load the packages of one stream and return the errors of those that could not be loaded.

        Its table is compared with the ledger first: a load into a table that lost rows must not end green.
        """
        errors: list[PlatformError] = []
        compared: Stream | None = None
        for item in pending:
            try:
                package, stream = _opened(lake, item)
                if compared is None and (loss := holdings.compare(stream)):
                    errors.append(_note_failure(session, stream.name, loss))
                compared = stream
                self._load_one(session, holdings.sink, item, package, stream)
            except (ConfigError, InterruptedRunError, SinkUnavailableError):
                raise
            except PlatformError as error:
                errors.append(_note_failure(session, item.package_id, error))
        if compared is not None:
            holdings.note(compared)
        return errors

    def _load_one(self, session: Session, sink: Sink, item: Pending, package: Package, stream: Stream) -> None:
        result = sink.write(stream, package, session.run.run_id)
        session.ledger.loads.mirror(self.sink, package, result, session.run.run_id, sink.target(session.settings))
        _account(session, item, result)


def _opened(lake: Lake, item: Pending) -> tuple[Package, Stream]:
    package = lake.known(item.manifest_key)
    if package.id != item.package_id:  # what it loads is noted under the package's own id
        what = f"{item.manifest_key} is the manifest of {package.id}, not of {item.package_id}"
        raise DamagedPackageError(what, item.slot)
    # Manifests of before say nothing of their stream: those streams are the platform's own, or a source's.
    return package, package.declares or catalog.stream(item.source, item.stream)


def _note_failure(session: Session, what: str, error: PlatformError) -> PlatformError:
    """Log and note what could not be loaded; the run goes on."""
    _log.warning("%s: %s", what, error)
    session.report.details.setdefault("failed", []).append(f"{what}: {error}")
    return error


def _account(session: Session, item: Pending, result: LoadResult) -> None:
    package_id = item.package_id
    if result.left_out:
        session.report.notes.append(f"{item.stream}: left out by its contract: {', '.join(result.left_out)}")
    if result.already:
        _log.info("%s was loaded before", package_id)
        return
    session.report.add(
        rows_read=result.read,
        rows_loaded=result.inserted + result.updated,
        rows_unchanged=result.unchanged + result.superseded + result.duplicates,
        rows_rejected=result.rejected,
    )
    session.report.details.setdefault("packages", []).append(package_id)
    _log.info(
        "loaded %s",
        package_id,
        extra={
            "read": result.read,
            "inserted": result.inserted,
            "updated": result.updated,
            "unchanged": result.unchanged,
        },
    )
