"""The lake: packages of Parquet parts, committed by a manifest that only one writer can create."""

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tickvault import faults
from tickvault.errors import LoadRejectedError, SchemaMismatchError, SinkUnavailableError
from tickvault.package import Cursor, Outcome, Package, Part, Reject, fingerprint
from tickvault.slot import Slot
from tickvault.source import Batch
from tickvault.storage import Storage, scratch
from tickvault.stream import Stream

MANIFEST = "manifest.json"
_PART_ROWS = 1_000_000
_GROUP_ROWS = 65_536
_SCAN_ROWS = 16_384


class Lake:
    """Lands batches as packages and reads them back.

    A package lies at ``<lake_path>/dt=<UTC date>/<slot>/r<revision>/``; its parts are named by the attempt that wrote
    them, so two attempts never touch each other's, and ``manifest.json`` is created only if absent: the first wins.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def sealed(self, stream: Stream, slot: Slot, revision: int = 0) -> Package | None:
        """Return the package of this slot and revision if its manifest is there."""
        data = self.storage.get(f"{_folder(stream, slot, revision)}/{MANIFEST}")
        return Package.from_json(data) if data else None

    def revisions(self, stream: Stream, slot: Slot) -> list[Package]:
        """Return all sealed packages of a slot, r0 first."""
        found: list[Package] = []
        while package := self.sealed(stream, slot, len(found)):
            found.append(package)
        return found

    def packages(self, stream: Stream) -> Iterator[Package]:
        """Yield every sealed package of a stream, by slot and revision."""
        prefix = stream.lake_path
        for key in self.storage.keys(prefix):
            if key.removeprefix(f"{prefix}/").startswith("dt=") and key.endswith(f"/{MANIFEST}"):
                yield Package.from_json(self.storage.get(key) or b"")

    def land(
        self,
        source: str,
        stream: Stream,
        batches: Iterable[Batch],
        slot: Slot,
        run_id: str,
        revision: int = 0,
        replays: tuple[str, ...] = (),
    ) -> Package:
        """Write what a source yields and seal it.

        Memory holds one batch. Whoever comes second to the manifest adopts the winner's package; his own parts are
        orphans, which ``gc`` removes.

        Returns:
            The sealed package, which another attempt may have landed.

        Raises:
            SchemaMismatchError: A batch does not have the stream's columns.
            SinkUnavailableError: The storage is full or does not answer.
        """
        folder = _folder(stream, slot, revision)
        with scratch() as aside:
            writer = _PackageWriter(self.storage, stream, folder, aside, f"{slot.id}|r{revision:04d}")
            try:
                for batch in batches:
                    writer.add(batch)
                faults.at("after_extract")
                parts, rejects = writer.finish()
            except OSError as error:
                if isinstance(error, FileNotFoundError):
                    raise
                raise SinkUnavailableError(f"cannot write to {self.storage.where()}: {error}") from error
        package = Package(
            source=source,
            stream=stream.name,
            slot=slot,
            revision=revision,
            manifest_key=f"{folder}/{MANIFEST}",
            rows=sum(p.rows for p in parts),
            parts=parts,
            fingerprint=fingerprint(stream.landed_schema),
            cursor=writer.cursor or None,
            outcomes=tuple(writer.outcomes.values()),
            rejects=rejects,
            rejected=rejects.rows if rejects else 0,
            run_id=run_id,
            landed_at=datetime.now(UTC),
            replays=replays,
        )
        faults.at("before_manifest")
        if self.storage.put_if_absent(package.manifest_key, package.to_json()):
            return package
        winner = self.sealed(stream, slot, revision)
        if winner is None:
            raise SinkUnavailableError(f"{package.manifest_key} was refused as existing, yet is not there; try again")
        return winner

    def scan(self, package: Package) -> Iterator[pa.RecordBatch]:
        """Yield a package's rows (own columns and ``row_version``), checking every part against the manifest.

        Raises:
            LoadRejectedError: A part is missing or is not the one the manifest names.
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
            LoadRejectedError: The part is missing or is not the one the manifest names.
        """
        try:
            path = self.storage.fetch(part.key, folder)
        except FileNotFoundError as error:
            raise LoadRejectedError(
                f"{part.key} is named by its manifest but missing in {self.storage.where()}"
            ) from error
        found = _sha256(path)
        if found != part.sha256:
            raise LoadRejectedError(f"{part.key}: sha256 is {found[:12]}…, the manifest says {part.sha256[:12]}…")
        return path

    def rejects(self, package: Package) -> Iterator[Reject]:
        """Yield the records a package put aside."""
        if package.rejects is None:
            return
        data = self.storage.get(package.rejects.key)
        if data is None:
            raise LoadRejectedError(f"{package.rejects.key} is named by its manifest but missing")
        for line in data.splitlines():
            yield Reject(**json.loads(line))

    def orphans(self, stream: Stream, older_than: datetime) -> Iterator[str]:
        """Yield keys in sealed folders that no manifest names, and those of unsealed ones written before a time.

        The time of writing counts, not the slot: a run for a slot of long ago may be under way now.
        """
        own = f"{stream.lake_path}/dt="
        keys = {k: written for k, written in self.storage.written(stream.lake_path) if k.startswith(own)}
        named: set[str] = set()
        sealed: set[str] = set()
        for key in keys:
            if key.endswith(f"/{MANIFEST}"):
                package = Package.from_json(self.storage.get(key) or b"")
                named |= {key, *(p.key for p in package.parts), *((package.rejects.key,) if package.rejects else ())}
                sealed.add(key.rpartition("/")[0])
        for key, written in keys.items():
            if key not in named and (key.rpartition("/")[0] in sealed or written < older_than):
                yield key


class _PackageWriter:
    """Writes the parts of one attempt."""

    def __init__(self, storage: Storage, stream: Stream, folder: str, scratch: Path, version: str) -> None:
        self.storage, self.stream, self.folder, self.scratch, self.version = storage, stream, folder, scratch, version
        self.attempt = uuid.uuid4().hex[:12]
        self.parts: list[Part] = []
        self.cursor: Cursor = {}
        self.outcomes: dict[str, Outcome] = {}
        self._writer: pq.ParquetWriter | None = None
        self._rows = 0
        self._path = scratch / "part"
        self._rejects_path = scratch / "rejects"
        self._rejects = 0

    def add(self, batch: Batch) -> None:
        """Append one batch's rows, cursor, outcomes and rejects."""
        records = with_version(self.stream, batch.records, self.version)
        if records.num_rows:
            if self._writer is None:
                repeating: Any = _repeating(self.stream)  # the stubs know no list here
                schema = self.stream.landed_schema
                self._writer = pq.ParquetWriter(self._path, schema, compression="zstd", use_dictionary=repeating)
            self._writer.write_batch(records, row_group_size=_GROUP_ROWS)
            self._rows += records.num_rows
            faults.at("mid_part")
        if self._rows >= _PART_ROWS:
            self._close_part()
        self.cursor.update(batch.cursor or {})
        self.outcomes.update((o.item, o) for o in batch.outcomes)
        if batch.rejects:
            with self._rejects_path.open("a", encoding="utf-8") as file:
                for reject in batch.rejects:
                    file.write(json.dumps(asdict(reject), default=str, ensure_ascii=False) + "\n")
            self._rejects += len(batch.rejects)

    def finish(self) -> tuple[tuple[Part, ...], Part | None]:
        """Store what is open; return the parts and the file of rejects."""
        self._close_part()
        rejects = None
        if self._rejects:
            rejects = self._store(self._rejects_path, f"{self.folder}/{self.attempt}-rejects.jsonl", self._rejects)
        return tuple(self.parts), rejects

    def _close_part(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        key = f"{self.folder}/{self.attempt}-{len(self.parts):05d}.parquet"
        self.parts.append(self._store(self._path, key, self._rows))
        self._writer, self._rows = None, 0

    def _store(self, path: Path, key: str, rows: int) -> Part:
        part = Part(key, rows, path.stat().st_size, _sha256(path))
        self.storage.put_file(key, path)
        return part


def _repeating(stream: Stream) -> list[str]:
    """Name the text columns whose values repeat; a dictionary of a key's values only costs time and space."""
    return [f.name for f in stream.schema if pa.types.is_string(f.type) and f.name not in stream.primary_key]


def with_version(stream: Stream, records: pa.RecordBatch, version: str) -> pa.RecordBatch:
    """Add ``row_version`` = ``<source time>|<slot>|r<revision>`` to a batch of the stream's own columns.

    Raises:
        SchemaMismatchError: The batch has other columns than the stream.
    """
    if not records.schema.equals(stream.schema):
        _raise_mismatch(stream, records.schema)
    if stream.cursor_field:
        time = records.column(stream.cursor_field)
        text = _instant_text(time) if pa.types.is_timestamp(time.type) else time.cast(pa.string())
        versions = pc.binary_join_element_wise(text, version, "|", null_handling="replace", null_replacement="")
    else:
        versions = pa.array([f"|{version}"] * records.num_rows, pa.string())
    return pa.RecordBatch.from_arrays([*records.columns, versions], schema=stream.landed_schema)


def _instant_text(time: Any) -> Any:
    """Write UTC instants as ISO 8601 with six digits; casting is 18 times as fast as ``strftime``."""
    plain = time.cast(pa.timestamp("us")).cast(pa.string())
    return pc.binary_join_element_wise(pc.replace_substring(plain, " ", "T", max_replacements=1), "Z", "")


def _raise_mismatch(stream: Stream, found: pa.Schema) -> None:
    for field in stream.schema:
        index = found.get_field_index(field.name)
        if index < 0:
            raise SchemaMismatchError(stream.name, field.name, str(field.type), "nothing")
        if not found.field(index).equals(field):
            raise SchemaMismatchError(stream.name, field.name, f"{field.type}", f"{found.field(index).type}")
    extra = next((n for n in found.names if n not in stream.schema.names), "column order")
    raise SchemaMismatchError(stream.name, extra, "no such column", "it")


def _folder(stream: Stream, slot: Slot, revision: int) -> str:
    return f"{stream.lake_path}/dt={slot.date.isoformat()}/{slot.id}/r{revision}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
