"""The job that reads one source into the lake."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from tickvault.core import faults, instance, revisions
from tickvault.core.batch import Batch
from tickvault.core.errors import InterruptedRunError, LoadRejectedError, PlatformError, to_raise
from tickvault.core.package import Outcome, OutcomeStatus, Package
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.core.stream import Stream
from tickvault.engines.http.client import HttpClient
from tickvault.engines.storage import open_storage
from tickvault.lake import Lake
from tickvault.runs.session import Session
from tickvault.sources import Context, Source
from tickvault.transfer import catalog

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Extraction:
    """Lands every stream of a source for one slot.

    A sealed slot is never fetched again. A partial one is completed by a revision that asks only for what all before
    it left missing; ``force`` fetches everything anew as a further revision. Whichever it is, the run's end says what
    holds for the slot: what it still lacks, and whether too much of it is put aside.
    """

    source: str
    symbols: tuple[str, ...] | None = None
    days: int | None = None
    force: bool = False
    instance: str | None = None
    exclusive: bool = True

    @property
    def name(self) -> str:
        """The job's name."""
        return "-".join(["extract", self.source.replace("_", "-"), *([self.instance] if self.instance else [])])

    def open(self, settings: Settings, slot: Slot) -> Source:
        """Return the source, ready to be asked for its streams and to read them.

        Raises:
            ConfigError: There is no such source, or no such instance of it.
        """
        kind, options = catalog.source(self.source), {}
        if self.instance:
            options = instance.options(settings.instances_path, self.source, self.instance)
        client = HttpClient(settings)
        return kind(Context(settings, client, slot, self.symbols, self.days, (), self.instance, options))

    def run(self, session: Session) -> None:
        """Land the streams one after the other; one that fails does not stop the others."""
        lake = Lake(open_storage(session.settings))
        source = self.open(session.settings, session.slot)
        off = source.off()
        if off:
            session.report.notes.append(f"{self.source} is off: {off}")
            session.report.details["off"] = off
            return
        errors: list[PlatformError] = []
        for stream in source.discover():
            try:
                self._land(session, lake, source, stream)
            except InterruptedRunError:  # asked to stop: the other streams must not begin
                raise
            except PlatformError as error:
                _log.warning("%s: %s", stream.name, error)
                errors.append(error)
        if errors:
            raise to_raise(errors)

    def _land(self, session: Session, lake: Lake, source: Source, stream: Stream) -> None:
        sealed = lake.revisions(stream, session.slot)
        for package in sealed:  # a crash between manifest and ledger is mended here
            session.ledger.packages.register(stream, package, lake.rejects(package))
        missing = revisions.missing(sealed)
        if sealed and not self.force and not missing:
            _note_complete(session, sealed)
            _check_share(session, lake, sealed)
            return
        source = source.asking_for(() if self.force else missing)
        since = session.ledger.packages.resume_from(source.identity, stream, session.slot, inclusive=not self.force)
        batches = _watched(source.read(stream, since), stream)
        package = lake.land(source.identity, stream, batches, session.slot, session.run.run_id, len(sealed))
        faults.at("between_manifest_and_ledger")
        session.ledger.packages.register(stream, package, lake.rejects(package))
        _account(session, package, revisions.failed([*sealed, package]))
        _check_share(session, lake, [*sealed, package])


def _watched(batches: Iterator[Batch], stream: Stream) -> Iterator[Batch]:
    """Say on long reads how far they are."""
    rows, logged = 0, 0
    for batch in batches:
        rows += batch.records.num_rows
        if rows - logged >= 250_000:  # noqa: PLR2004 - a line every few seconds
            _log.info("%s: %d rows read", stream.name, rows)
            logged = rows
        yield batch


def _note_complete(session: Session, sealed: list[Package]) -> None:
    job = session.run.job
    session.report.notes.append(
        f"slot {session.slot} is complete already: package {sealed[-1].id}, {sum(p.rows for p in sealed)} rows;"
        f" nothing was read. To read it again as a further revision: tickvault extract {sealed[-1].source}"
        f" --slot {session.slot} --force, on a cluster tickvault run-now {job} --slot {session.slot} --force"
    )
    session.report.details.setdefault("packages", []).extend(p.id for p in sealed)


def _account(session: Session, package: Package, missing: tuple[Outcome, ...]) -> None:
    """Add a package to the run's report, and what its slot still lacks."""
    report = session.report
    report.add(rows_read=package.rows + package.rejected, rows_rejected=package.rejected)
    report.details.setdefault("packages", []).append(package.id)
    report.missing += [f"{package.stream} {o.item}: {o.detail}" for o in missing]
    for status in (OutcomeStatus.NOT_OFFERED, OutcomeStatus.OFF):
        items = [o.item for o in package.outcomes if o.status is status]
        if items:
            report.notes.append(f"{package.stream}: {status.value.replace('_', ' ')}: {', '.join(items)}")
    _log.info(
        "landed %s",
        package.id,
        extra={"rows": package.rows, "rejected": package.rejected, "failed": len(package.failed)},
    )


def _check_share(session: Session, lake: Lake, sealed: list[Package]) -> None:
    """Fail the run as long as too much of its slot is put aside: a repetition must not turn it green."""
    share, limit = revisions.share(sealed, lake.rejects), session.settings.max_reject_share
    if share.exceeds(limit):
        raise LoadRejectedError(
            f"{sealed[-1].id}: {share.rejected} of the slot's {share.total} records are put aside, more than"
            f" MAX_REJECT_SHARE={limit:g}; see 'tickvault status --rejects', then 'tickvault replay-rejects' or --force"
        )
