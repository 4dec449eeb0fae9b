"""Looks for packages that cannot be read: every byte of the lake is compared with its manifest."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from tickvault.core.package import DamagedPackageError, NewerPackageError
from tickvault.core.slot import Slot
from tickvault.core.stream import Stream
from tickvault.lake import Lake
from tickvault.lake.folder import partition, place_of
from tickvault.ledger import Ledger
from tickvault.transfer import catalog


@dataclass(frozen=True, slots=True)
class Finding:
    """A package that cannot be read.

    Args:
        identity: The source, and which instance of it, that read it.
        slot: For when.
        what: What is wrong with it, in words.
    """

    identity: str
    slot: Slot
    what: str


class Inspection:
    """One pass over the lake.

    Args:
        lake: The lake.
        ledger: Knows which packages have to be there, and which instances of sources there are.
        source: Only this source's, its instances' included.
        slot: Only this slot.
        since: Only slots since then; None: all.
    """

    def __init__(
        self, lake: Lake, ledger: Ledger, source: str | None, slot: Slot | None, since: datetime | None
    ) -> None:
        self._lake, self._ledger, self._source, self._slot, self._since = lake, ledger, source, slot, since
        self.looked_at = 0

    def findings(self) -> list[Finding]:
        """Return what is damaged and was not read again. A package of a newer version is whole."""
        found: list[Finding] = []
        for identity, stream in self._streams():
            for slot, known in self._slots(stream):
                sealed = self._lake.slot(stream, slot, known)
                self.looked_at += len(sealed.found | sealed.damaged)
                for package in sealed.packages:
                    try:
                        self._lake.verify(package)
                    except DamagedPackageError as error:
                        sealed.damaged[package.revision] = error
                damage = [e for e in sealed.open_damage.values() if not isinstance(e, NewerPackageError)]
                found += [Finding(identity, slot, str(error)) for error in damage]
        return found

    def _streams(self) -> Iterator[tuple[str, Stream]]:
        """Yield all streams that are declared, or were when something of them landed, each with whose it is."""
        declared = [(name, stream) for name in catalog.source_names() for stream in catalog.source(name).streams]
        streams = {s.lake_path: (identity, s) for identity, s in (*self._ledger.schemas.streams(), *declared)}
        for identity, stream in streams.values():
            if self._source in (None, identity.partition("-")[0]):
                yield identity, stream

    def _slots(self, stream: Stream) -> Iterator[tuple[Slot, set[str]]]:
        """Yield the slots to look at, each with the manifests that have to be there."""
        for day, known in sorted(self._days(stream).items()):
            slots = {folder.slot for folder in self._lake.folders(partition(stream.lake_path, day)) if folder.is_sealed}
            slots |= {place.slot for key in known if (place := place_of(key))}
            for slot in sorted(slots):
                if self._slot in (None, slot) and (self._slot or not self._since or slot.time >= self._since):
                    yield slot, known

    def _days(self, stream: Stream) -> dict[str, set[str]]:
        """Return the UTC dates to look at, each with the stream's manifests that the ledger knows."""
        if self._slot:
            days = {self._slot.date.isoformat()}
        else:
            first = self._since.date().isoformat() if self._since else ""
            listed = {*self._lake.days(stream.lake_path), *self._ledger.packages.days(stream.name)}
            days = {day for day in listed if day >= first}
        prefix = f"{stream.lake_path}/dt="
        return {day: {k for k in self._ledger.packages.manifests(day) if k.startswith(prefix)} for day in days}
