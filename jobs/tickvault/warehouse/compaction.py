"""Compacts what grows in Iceberg by every build: the vault's tables.

Each insert adds a file and a snapshot, so a year of builds every five minutes makes a hundred thousand of each, and
reading slows down with them. Small files are rewritten into large ones, old snapshots expire, and files that no
snapshot knows go. Marts are made anew and are publication's (``TrinoShelf.clear``).

https://trino.io/docs/476/connector/iceberg.html#alter-table-execute
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tickvault.engines.trino import TrinoSession

SMALL_MB = 16
"""A file below this is small; Iceberg writes up to about 512 MB."""
FILES = 24
"""So many small files make a table due for rewriting."""
SNAPSHOTS = 100
"""So many snapshots make a table due for expiry."""
KEPT = "1d"
"""Snapshots that are younger stay: a query may be reading one."""
ORPHANS_KEPT = "7d"
"""Files that no snapshot knows and that are younger stay: a commit under way may be about to name them."""


@dataclass(frozen=True, slots=True)
class Growth:
    """What a table has gathered.

    Args:
        relation: The table, in full.
        small_files: Data and delete files below ``SMALL_MB``.
        snapshots: Snapshots it keeps.
    """

    relation: str
    small_files: int
    snapshots: int


def growth(trino: TrinoSession, relations: Sequence[str]) -> list[Growth]:
    """Return what tables have gathered, by one statement over their metadata."""
    small = f"file_size_in_bytes < {SMALL_MB * 1024 * 1024}"
    sql = " UNION ALL ".join(
        f"SELECT '{relation}', (SELECT count(*) FROM {_metadata(relation, 'files')} WHERE {small}),"
        f" (SELECT count(*) FROM {_metadata(relation, 'snapshots')})"
        for relation in relations
    )
    return [Growth(str(name), int(files), int(snapshots)) for name, files, snapshots in trino.run(sql)] if sql else []


def compact(trino: TrinoSession, vault: Sequence[str]) -> Iterator[str]:
    """Compact tables that are due, and say of each what was done; a kill leaves each table as it was or compacted.

    Args:
        trino: A session that may expire snapshots of ``KEPT`` (``TrinoShelf.session_properties``).
        vault: Tables that nothing outside of a build reads.

    Raises:
        PlatformError: Trino refuses or does not answer.
    """
    for table in growth(trino, vault):
        files_due = table.small_files >= FILES
        done = []
        if files_due:
            _execute(trino, table.relation, f"optimize(file_size_threshold => '{SMALL_MB}MB')")
            done.append(f"{table.small_files} small files rewritten")
        if files_due or table.snapshots >= SNAPSHOTS:
            _execute(trino, table.relation, f"expire_snapshots(retention_threshold => '{KEPT}')")
            _execute(trino, table.relation, f"remove_orphan_files(retention_threshold => '{ORPHANS_KEPT}')")
            done.append(f"snapshots of more than {KEPT} expired, of {table.snapshots}")
        if done:
            yield f"compacted {table.relation}: {', '.join(done)}"


def _execute(trino: TrinoSession, relation: str, procedure: str) -> None:
    trino.run(f"ALTER TABLE {relation} EXECUTE {procedure}")


def _metadata(relation: str, kind: str) -> str:
    """Return the full name of a table's metadata table; relations come as dbt quotes them, or plain."""
    catalog, schema, table = (part.strip('"') for part in relation.split("."))
    return f'"{catalog}"."{schema}"."{table}${kind}"'
