"""The job that reads one source into the lake."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tickvault.core import faults, instance, revisions
from tickvault.core.batch import Batch
from tickvault.core.errors import (
    ConfigError,
    InterruptedRunError,
    LoadRejectedError,
    PlatformError,
    TerminalError,
    to_raise,
)
from tickvault.core.package import Choice, DamagedPackageError, Outcome, OutcomeStatus, Package, Purpose
from tickvault.core.settings import Settings
from tickvault.core.slot import MOST_DAYS, Slot
from tickvault.core.stream import Stream
from tickvault.engines.http.client import HttpClient
from tickvault.engines.storage import open_storage
from tickvault.lake import Lake
from tickvault.lake.sealed import Sealed
from tickvault.runs.session import Session
from tickvault.sources import Context, Source
from tickvault.transfer import catalog

_log = logging.getLogger(__name__)
_FIRST_SLOT = datetime(2000, 1, 1, tzinfo=UTC)
_EARLY = timedelta(hours=1)
"""How far the clock that made a slot may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """Lands every stream of a source for one slot.

    A sealed slot is never fetched again. A partial one is completed by a revision that asks only for what all before
    it left missing; ``force`` fetches everything anew as a further revision, also in the place of packages that cannot
    be read. What a person chose to read, by symbols or days, completes no slot. Whichever it is, the run's end says
    what holds for the slot: what it still lacks, and whether too much of it is put aside.
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
            ConfigError: There is no such source, or no such instance of it, or nothing can be read for this slot.
        """
        self._check(settings, slot)
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

    def _check(self, settings: Settings, slot: Slot) -> None:
        """Refuse what is a slip of the pen, before anything is sealed under it.

        Raises:
            ConfigError: Slot, days or symbols cannot be meant.
        """
        if slot.time > settings.now() + _EARLY:
            raise ConfigError(
                f"slot {slot} lies in the future: its own run would find it complete; give one that was due"
            )
        if slot.time < _FIRST_SLOT:
            raise ConfigError(
                f"slot {slot} is before {_FIRST_SLOT:%Y-%m-%d}: a slot is when a run was due; for old data use --days"
            )
        if self.days is not None and not 1 <= self.days <= MOST_DAYS:
            raise ConfigError(f"--days {self.days}: give a number of days from 1 to {MOST_DAYS:,}")
        if self.symbols is not None and not any(s.strip() for s in self.symbols):
            raise ConfigError("--symbols names none: write some, such as AAPL,MSFT, or leave the option out")

    def _land(self, session: Session, lake: Lake, source: Source, stream: Stream) -> None:
        choice = Choice.of(self.symbols, self.days)
        sealed = known(session, lake, stream, thorough=self.force)
        supersedes = _to_settle(sealed, source, stream, force=self.force and not choice)
        missing = revisions.missing(sealed.packages)
        covered = revisions.covers(sealed.packages, choice)
        if covered and not self.force and not missing:
            _note_complete(session, sealed.packages)
            _check_share(session, lake, sealed.packages)
            return
        source = source.asking_for(missing if covered and not self.force else ())
        deeper = any(p.choice and p.choice.days for p in sealed.packages) and not covered
        resumed = session.ledger.packages.resume_from
        since = resumed(source.identity, stream, session.slot, inclusive=not (self.force or deeper))
        batches = _watched(source.read(stream, since), stream)
        purpose = Purpose(choice=choice, supersedes=supersedes)
        land(session, lake, source.identity, stream, batches, purpose, sealed)


def land(
    session: Session,
    lake: Lake,
    identity: str,
    stream: Stream,
    batches: Iterator[Batch],
    purpose: Purpose,
    sealed: Sealed,
) -> None:
    """Land what was read as the slot's next revision, tell the ledger, and say what holds for the slot then."""
    number = sealed.next_revision
    package = lake.land(identity, stream, batches, session.slot, session.run.run_id, number, purpose)
    faults.at("between_manifest_and_ledger")
    session.ledger.packages.register(stream, package, lake.rejects(package))
    sealed.found[number] = package
    if package.supersedes:
        session.report.notes.append(f"{package.id} was read in the place of {', '.join(package.supersedes)}")
    _account(session, package, revisions.failed(sealed.packages))
    _check_share(session, lake, sealed.packages)


def known(session: Session, lake: Lake, stream: Stream, *, thorough: bool) -> Sealed:
    """Return what is sealed of the run's slot, and tell the ledger of what a crash kept from it.

    Args:
        session: The run's.
        lake: The lake.
        stream: The stream.
        thorough: Read every byte, too, and take a package that the ledger refuses for one that cannot be read.
    """
    ledger, slot = session.ledger.packages, session.slot
    sealed = lake.slot(stream, slot, ledger.manifests(slot.date.isoformat()))
    for package in sealed.packages:
        try:
            if thorough:
                lake.verify(package)
            ledger.register(stream, package, lake.rejects(package))
        except DamagedPackageError as error:
            sealed.damaged[package.revision] = error
        except TerminalError as error:
            if not thorough:
                raise
            sealed.damaged[package.revision] = DamagedPackageError(f"the ledger refuses {package.id}: {error}", slot)
    return sealed


def _to_settle(sealed: Sealed, source: Source, stream: Stream, *, force: bool) -> tuple[str, ...]:
    """Return the packages to read again since they cannot be read.

    Raises:
        DamagedPackageError: There are some, and nobody said that they are to be read again as a whole.
    """
    for error in sealed.open_damage.values():
        _log.warning("%s", error)
        if not force:
            raise error
    return tuple(package_id(source, stream, sealed.slot, revision) for revision in sealed.open_damage)


def package_id(source: Source, stream: Stream, slot: Slot, revision: int) -> str:
    """Return what the package of a revision is called, whether or not it can be read."""
    return f"{source.identity}.{stream.name}.{slot.id}.r{revision}"


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
