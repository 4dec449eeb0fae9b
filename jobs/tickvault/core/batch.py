"""What is passed on: a batch of rows from a source, and what became of a package's rows in a target."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from tickvault.core.package import Cursor, Outcome, Reject
from tickvault.core.stream import Stream


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a stream, and what is to be said about them.

    Args:
        stream: What the rows are.
        records: Rows in the stream's own schema (without lineage columns); may be empty.
        cursor: Entries to resume from once this batch is durable; they update those of earlier batches.
        outcomes: What became of the symbols this batch settles.
        rejects: Records put aside.
    """

    stream: Stream
    records: pa.RecordBatch
    cursor: Cursor | None = None
    outcomes: tuple[Outcome, ...] = ()
    rejects: tuple[Reject, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What became of a package's rows in one target.

    ``read == inserted + updated + unchanged + superseded + rejected + duplicates``; ``unchanged`` rows brought nothing
    new, ``superseded`` ones met a higher version, ``duplicates`` lost to another row of the same package.
    """

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    superseded: int = 0
    duplicates: int = 0
    rejected: int = 0
    already: bool = False
    """The target's ledger held the package: nothing was done, and the counts are those of the load that did it."""
    left_out: tuple[str, ...] = ()
    """A sentence for each column that the stream's contract kept out of the table."""


class Rows(Protocol):
    """The rows of one load, in the shape that suits a target; each may be read again from the start."""

    @property
    def count(self) -> int:
        """How many there have to be."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield them in batches: the stream's own columns and ``row_version``."""

    def files(self, folder: Path) -> Iterator[Path]:
        """Yield them as Parquet files, made in ``folder`` unless they are local already."""
