"""Writes one attempt at a package: Parquet parts, and the records put aside."""

import hashlib
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tickvault.core import faults
from tickvault.core.batch import Batch
from tickvault.core.errors import SchemaMismatchError
from tickvault.core.package import Cursor, Outcome, Part
from tickvault.core.stream import Stream
from tickvault.engines.storage import Storage
from tickvault.lake.admission import admitted, line, settled

_PART_ROWS = 1_000_000
_GROUP_ROWS = 65_536


class PackageWriter:
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
        records, unfit = admitted(self.stream, with_version(self.stream, batch.records, self.version))
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
        self.outcomes.update((o.item, o) for o in map(settled, batch.outcomes))
        if rejects := (*batch.rejects, *unfit):
            with self._rejects_path.open("a", encoding="utf-8") as file:
                file.writelines(map(line, rejects))
            self._rejects += len(rejects)

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
        part = Part(key, rows, path.stat().st_size, sha256_of(path))
        self.storage.put_file(key, path)
        return part


def _repeating(stream: Stream) -> list[str]:
    """Name the text columns whose values repeat; a dictionary of a key's values only costs time and space."""
    return [f.name for f in stream.schema if pa.types.is_string(f.type) and f.name not in stream.primary_key]


def with_version(stream: Stream, records: pa.RecordBatch, version: str) -> pa.RecordBatch:
    """Add ``row_version`` = ``<source time or day>|<slot>|r<revision>`` to a batch of the stream's own columns.

    A day sorts after every time of that day, so that what is read now also wins over what an earlier release stamped
    with a time.

    Raises:
        SchemaMismatchError: The batch has other columns than the stream.
    """
    if not records.schema.equals(stream.schema):
        _raise_mismatch(stream, records.schema)
    field = stream.version_field or stream.cursor_field
    if field:
        time = records.column(field)
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


def sha256_of(path: Path) -> str:
    """Return the hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
