"""The job that loads pending packages into one target."""

import logging
from dataclasses import dataclass
from itertools import groupby

from tickvault import catalog
from tickvault.errors import PlatformError, TransientError
from tickvault.lake import Lake
from tickvault.ledger import Pending
from tickvault.run import Session
from tickvault.sink import LoadResult, Sink
from tickvault.storage import open_storage

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loading:
    """Loads what a sink has not loaded yet, oldest slot first.

    One lock per sink and stream: flows that start together load different streams side by side. Locks only save
    work; that nothing counts twice rests on the target's own ledger.
    """

    sink: str
    sources: tuple[str, ...] | None = None
    label: str = ""
    exclusive: bool = False

    @property
    def name(self) -> str:
        """The job's name; ``label`` tells the loads of different flows apart in the ledger."""
        return f"load-{self.sink}" + (f"-{self.label}" if self.label else "")

    def run(self, session: Session) -> None:
        """Load stream by stream; one that fails does not stop the others.

        Packages of one stream load in the order of their slots, so after a failure the rest of that stream waits.
        """
        pending = session.ledger.pending(self.sink, self.sources)
        if not pending:
            session.report.notes.append(f"nothing is pending for {self.sink}")
            return
        lake = Lake(open_storage(session.settings))
        errors: list[PlatformError] = []
        with catalog.sink(self.sink)(session.settings, lake) as sink:
            ordered = sorted(pending, key=lambda p: (p.stream, p.source, p.slot, p.revision))
            for stream_name, group in groupby(ordered, key=lambda p: p.stream):
                try:
                    with session.ledger.lock(f"load-{self.sink}-{stream_name}", session.settings.lock_wait_seconds):
                        self._load(session, lake, sink, list(group))
                except PlatformError as error:
                    _log.warning("%s: %s", stream_name, error)
                    errors.append(error)
        if errors:
            raise next((e for e in errors if isinstance(e, TransientError)), errors[0])

    def _load(self, session: Session, lake: Lake, sink: Sink, pending: list[Pending]) -> None:
        for item in pending:
            stream = catalog.stream(item.source, item.stream)
            package = lake.sealed(stream, item.slot, item.revision)
            if package is None:
                raise PlatformError(f"{item.package_id} is in the ledger, but {item.manifest_key} is not in the lake")
            result = sink.write(stream, package, session.run.run_id)
            session.ledger.mirror_load(self.sink, package, result, session.run.run_id)
            _account(session, item.package_id, result)


def _account(session: Session, package_id: str, result: LoadResult) -> None:
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
