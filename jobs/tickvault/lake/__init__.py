"""The lake: packages of Parquet parts, committed by a manifest that only one writer can create."""

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tickvault.core import bounds, faults
from tickvault.core.batch import Batch
from tickvault.core.errors import SinkUnavailableError
from tickvault.core.package import DamagedPackageError, Package, Part, Purpose, Reject, fingerprint
from tickvault.core.slot import Slot
from tickvault.core.stream import Stream
from tickvault.engines.scratch import scratch
from tickvault.engines.storage import Storage
from tickvault.engines.storage.folder import refused
from tickvault.lake.admission import bounded
from tickvault.lake.folder import (
    MANIFEST,
    PackageFolder,
    package_folder,
    package_folders,
    partition,
    slot_folder,
    slot_of,
)
from tickvault.lake.sealed import Sealed, check_place
from tickvault.lake.writer import PackageWriter, sha256_of

_SCAN_ROWS = 16_384
_SLOT_HAS_COME = Purpose()


class Lake:
    """Lands batches as packages and reads them back.

    A package lies at ``<lake_path>/dt=<UTC date>/<slot>/r<revision>/``; its parts are named by the attempt that wrote
    them, so two attempts never touch each other's, and ``manifest.json`` is created only if absent: the first wins.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def sealed(self, stream: Stream, slot: Slot, revision: int = 0) -> Package | None:
        """Return the package of this slot and revision if its manifest is there."""
        return self.open(f"{package_folder(stream.lake_path, slot, revision)}/{MANIFEST}")

    def open(self, manifest_key: str) -> Package | None:
        """Return the package of a manifest, None where it is not there.

        Raises:
            DamagedPackageError: The manifest cannot be read, or claims to be another's than that of its place.
        """
        data = self.storage.get(manifest_key)
        if data is None:
            return None
        slot = slot_of(manifest_key)
        package = Package.from_json(data, manifest_key, slot)
        check_place(package, manifest_key)
        return package

    def known(self, manifest_key: str) -> Package:
        """Return a package that has to be there.

        Raises:
            DamagedPackageError: It is not there, or cannot be read.
            ConfigError: The whole storage is not there.
        """
        package = self.open(manifest_key)
        if package is None:
            self.storage.require()
            what = f"{manifest_key} was sealed, but is not in {self.storage.where()}"
            raise DamagedPackageError(what, slot_of(manifest_key))
        return package

    def slot(self, stream: Stream, slot: Slot, known: Iterable[str] = ()) -> Sealed:
        """Return everything that is sealed of a slot; what cannot be read stops nothing else.

        Args:
            stream: The stream.
            slot: The slot.
            known: Manifests that have to be there, such as those the ledger knows; others' may be among them.
        """
        prefix = slot_folder(stream.lake_path, slot)
        there = {f.revision: f.manifest_key for f in self.folders(prefix) if f.is_sealed}
        lost = {int(k.split("/")[-2][1:]): k for k in known if k.startswith(f"{prefix}/r")}
        sealed = Sealed(slot)
        for revision, key in sorted((lost | there).items()):
            try:
                sealed.found[revision] = self.known(key)
            except DamagedPackageError as error:
                sealed.damaged[revision] = error
        return sealed

    def revisions(self, stream: Stream, slot: Slot) -> list[Package]:
        """Return the packages of a slot that count, r0 first."""
        return self.slot(stream, slot).packages

    def days(self, lake_path: str) -> list[str]:
        """Return the UTC dates under which a stream has anything, sorted."""
        return [name[3:] for name in self.storage.folders(lake_path) if name.startswith("dt=")]

    def folders(self, prefix: str) -> Iterator[PackageFolder]:
        """Yield what lies below a partition or a slot, package by package."""
        return package_folders(self.storage.written(prefix))

    def packages(self, stream: Stream) -> Iterator[Package]:
        """Yield every sealed package of a stream, by slot and revision: all its history is read."""
        for day in self.days(stream.lake_path):
            for folder in self.folders(partition(stream.lake_path, day)):
                if folder.is_sealed and (package := self.open(folder.manifest_key)):
                    yield package

    def newest(self, stream: Stream, since: datetime | None = None) -> Iterator[PackageFolder]:
        """Yield the folders of a stream's sealed packages, the latest slot and revision first.

        Args:
            stream: The stream.
            since: The earliest slot; None: no end. Partitions are listed one by one, as far as they are asked for.
        """
        for day in reversed(self.days(stream.lake_path)):
            if since and day < since.date().isoformat():
                return
            found = [f for f in self.folders(partition(stream.lake_path, day)) if f.is_sealed]
            for folder in sorted(found, key=lambda f: (f.slot, f.revision), reverse=True):
                if not since or folder.slot.time >= since:
                    yield folder

    def land(
        self,
        source: str,
        stream: Stream,
        batches: Iterable[Batch],
        slot: Slot,
        run_id: str,
        revision: int = 0,
        purpose: Purpose = _SLOT_HAS_COME,
    ) -> Package:
        """Write what a source yields and seal it.

        Memory holds one batch. Whoever comes second to the manifest adopts the winner's package; his own parts are
        orphans, which ``gc`` removes.

        Returns:
            The sealed package, which another attempt may have landed.

        Raises:
            SchemaMismatchError: A batch does not have the stream's columns.
            SinkUnavailableError: The storage is full or does not answer.
            ConfigError: The storage may not be written to.
        """
        folder = package_folder(stream.lake_path, slot, revision)
        with scratch() as aside:
            writer = PackageWriter(self.storage, stream, folder, aside, f"{slot.id}|r{revision:04d}")
            try:
                for batch in batches:
                    writer.add(batch)
                faults.at("after_extract")
                parts, rejects = writer.finish()
            except OSError as error:
                if isinstance(error, FileNotFoundError):
                    raise
                raise refused(error, self.storage.where()) from error
        package = Package(
            source=source,
            stream=stream.name,
            slot=slot,
            revision=revision,
            manifest_key=f"{folder}/{MANIFEST}",
            rows=sum(p.rows for p in parts),
            parts=parts,
            fingerprint=fingerprint(stream.landed_schema),
            cursor=bounds.json_value(writer.cursor) or None,
            outcomes=tuple(writer.outcomes.values()),
            rejects=rejects,
            rejected=rejects.rows if rejects else 0,
            run_id=run_id,
            landed_at=datetime.now(UTC),
            replays=purpose.replays,
            declares=stream,
            choice=purpose.choice,
            supersedes=purpose.supersedes,
        )
        faults.at("before_manifest")
        if self.storage.put_if_absent(package.manifest_key, package.to_json()):
            return package
        winner = self.sealed(stream, slot, revision)
        if winner is None:
            raise SinkUnavailableError(f"{package.manifest_key} was refused as existing, yet is not there; try again")
        return winner

    def rows(self, package: Package) -> "PackageRows":
        """Return a package's rows, for a sink."""
        return PackageRows(self, package)

    def scan(self, package: Package) -> Iterator[pa.RecordBatch]:
        """Yield a package's rows (own columns and ``row_version``), checking every part against the manifest.

        Raises:
            DamagedPackageError: A part is missing or is not the one the manifest names.
        """
        with scratch() as aside:
            for part in package.parts:
                path = self.fetch(part, aside)
                # By default a whole part is read ahead, and each thread keeps memory of its own.
                with closing(pq.ParquetFile(path, pre_buffer=False)) as file:
                    yield from file.iter_batches(batch_size=_SCAN_ROWS, use_threads=False)
                if path.parent == aside:
                    path.unlink()

    def fetch(self, part: Part, folder: Path) -> Path:
        """Return a local file of a part, its checksum verified.

        Raises:
            DamagedPackageError: The part is missing or is not the one the manifest names.
        """
        try:
            path = self.storage.fetch(part.key, folder)
        except FileNotFoundError as error:
            self.storage.require()
            what = f"{part.key} is named by its manifest but missing in {self.storage.where()}"
            raise DamagedPackageError(what, slot_of(part.key)) from error
        found = sha256_of(path)
        if found != part.sha256:
            what = f"{part.key}: sha256 is {found[:12]}…, the manifest says {part.sha256[:12]}…"
            raise DamagedPackageError(what, slot_of(part.key))
        return path

    def verify(self, package: Package) -> None:
        """Read every byte a manifest names.

        Raises:
            DamagedPackageError: A part, or the file of records put aside, is missing or altered.
        """
        with scratch() as aside:
            for part in (*package.parts, *([package.rejects] if package.rejects else [])):
                path = self.fetch(part, aside)
                if path.parent == aside:
                    path.unlink()

    def rejects(self, package: Package) -> Iterator[Reject]:
        """Yield the records a package put aside, each as the ledger takes it.

        Raises:
            DamagedPackageError: The file of them is missing or is not the one the manifest names.
        """
        if package.rejects is None:
            return
        with scratch() as aside:
            path = self.fetch(package.rejects, aside)
            with path.open(encoding="utf-8", errors="backslashreplace", newline="\n") as lines:
                for line in lines:
                    yield bounded(Reject(**json.loads(line)))

    def orphans(self, folder: PackageFolder, older_than: datetime) -> list[str]:
        """Return the keys in a sealed folder that its manifest does not name, in another those written before a time.

        The time of writing counts, not the slot: a run for a slot of long ago may be under way now.

        Raises:
            DamagedPackageError: Nobody can tell which they are. All are kept, as evidence.
        """
        package = self.open(folder.manifest_key) if folder.is_sealed else None
        if package is None:
            return [key for key, written in folder.written.items() if written < older_than]
        named = {folder.manifest_key, *(part.key for part in package.parts)}
        named |= {package.rejects.key} if package.rejects else set()
        return [key for key in folder.written if key not in named]


@dataclass(frozen=True, slots=True)
class PackageRows:
    """The rows of a package as a sink takes them; every part is checked against the manifest."""

    lake: Lake
    package: Package

    @property
    def count(self) -> int:
        """How many the manifest names."""
        return self.package.rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield them in batches; see ``Lake.scan``."""
        return self.lake.scan(self.package)

    def files(self, folder: Path) -> Iterator[Path]:
        """Yield the package's parts as they lie in the lake; see ``Lake.fetch``."""
        for part in self.package.parts:
            yield self.lake.fetch(part, folder)
