"""The job that reads packages again which cannot be read any more, or which a target refuses."""

from collections.abc import Iterator
from dataclasses import dataclass

from tickvault.core.batch import Batch
from tickvault.core.errors import ConfigError, InterruptedRunError, PlatformError, to_raise
from tickvault.core.package import Purpose
from tickvault.core.stream import Stream
from tickvault.engines.storage import open_storage
from tickvault.lake import Lake
from tickvault.runs.session import Session
from tickvault.sources import Source
from tickvault.transfer.extraction import Extraction, known, land, package_id


@dataclass(frozen=True, slots=True)
class Repair:
    """Supersedes, of one source and slot, what cannot be read by a revision that is read in its place.

    What is damaged stays where it is, as evidence; loads wait for it no more. It holds the lock of the source's
    extract and has its name, for what it leaves is how that slot's run ends.

    Args:
        source: The source.
        instance: Which of its instances.
        anyway: Supersede what can be read, too: a target refuses it for good.
        give_up: Read nothing: the slot stays without what is lost.
    """

    source: str
    instance: str | None = None
    anyway: bool = False
    give_up: bool = False
    exclusive: bool = True

    @property
    def name(self) -> str:
        """The job's name."""
        return Extraction(self.source, instance=self.instance).name

    def run(self, session: Session) -> None:
        """Repair stream by stream; one that fails does not stop the others."""
        lake = Lake(open_storage(session.settings))
        source = Extraction(self.source, instance=self.instance).open(session.settings, session.slot)
        if (off := source.off()) and not self.give_up:
            raise ConfigError(f"{self.source} is off, so nothing can be read again: {off}; see --give-up")
        errors: list[PlatformError] = []
        for stream in source.discover():
            try:
                self._repair(session, lake, source, stream)
            except InterruptedRunError:
                raise
            except PlatformError as error:
                errors.append(error)
        if errors:
            raise to_raise(errors)

    def _repair(self, session: Session, lake: Lake, source: Source, stream: Stream) -> None:
        sealed = known(session, lake, stream, thorough=True)
        counted = {p.revision for p in sealed.packages} if self.anyway else set()
        lost = sorted(sealed.open_damage.keys() | counted)
        if not lost:
            session.report.notes.append(f"{stream.name}: every package of slot {session.slot} is whole")
            return
        for revision in lost:
            if revision in sealed.damaged:
                session.report.notes.append(str(sealed.damaged[revision]))
        ids = tuple(package_id(source, stream, session.slot, revision) for revision in lost)
        batches: Iterator[Batch] = iter(())
        if not self.give_up:
            since = session.ledger.packages.resume_from(source.identity, stream, session.slot, inclusive=False)
            batches = source.read(stream, since)
        land(session, lake, source.identity, stream, batches, Purpose(supersedes=ids), sealed)
