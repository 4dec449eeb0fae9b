"""``data_platform.schemas``: what each stream was when it landed, a version for every change."""

import json
from typing import TYPE_CHECKING

from tickvault.engines.postgres.connection import Connection, Row

if TYPE_CHECKING:  # Arrow, which they bring, costs a question to the ledger more than all else
    from tickvault.core.package import Package
    from tickvault.core.stream import Stream

COLUMNS = ("source", "stream", "version", "since slot", "columns", "changes")
"""What ``history`` shows of a version."""


class Schemas:
    """The versions of all streams."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def note(self, package: "Package") -> list[str]:
        """Note a version where a package is the first to declare it, and return in words what changed.

        A package that landed before the latest version was made changes nothing, whenever it is noted.
        """
        from tickvault.core.contract import differences
        from tickvault.core.stream import Stream

        if package.declares is None:
            return []
        latest = self._db.first(
            """SELECT version, fingerprint, declares, since_slot FROM data_platform.schemas
            WHERE source = %s AND stream = %s ORDER BY version DESC LIMIT 1""",
            *(package.source, package.stream),
        )
        version, changes = 1, ["first seen"]
        if latest is not None:
            version = latest[0] + 1
            changes = differences(Stream.from_dict(latest[2]), package.declares)
            if not changes or package.slot.time < latest[3]:
                return []
        self._db.run(
            """INSERT INTO data_platform.schemas
                (source, stream, version, fingerprint, declares, changes, since_slot, since_package)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
            *(package.source, package.stream, version, package.fingerprint),
            *(json.dumps(package.declares.to_dict()), changes, package.slot.time, package.id),
        )
        return changes

    def lake_paths(self) -> set[str]:
        """Return where the packages of every stream lie that was ever declared."""
        return {
            path for (path,) in self._db.rows("SELECT DISTINCT declares ->> 'lake_path' FROM data_platform.schemas")
        }

    def streams(self) -> "list[tuple[str, Stream]]":
        """Return every stream that was ever declared as it was last, with its source."""
        from tickvault.core.stream import Stream

        rows = self._db.rows(
            """SELECT DISTINCT ON (source, stream) source, declares FROM data_platform.schemas
            ORDER BY source, stream, version DESC"""
        )
        return [(source, Stream.from_dict(declares)) for source, declares in rows]

    def history(self, pattern: str | None, limit: int) -> list[Row]:
        """Return versions by ``COLUMNS``, newest first; ``pattern`` keeps the streams that contain it."""
        return self._db.rows(
            """SELECT source, stream, version, to_char(since_slot AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISS"Z"'),
                jsonb_array_length(declares -> 'columns'), array_to_string(changes, '; ')
            FROM data_platform.schemas
            WHERE (%s::text IS NULL OR source || '.' || stream LIKE '%%' || %s || '%%')
            ORDER BY since_slot DESC, source, stream, version DESC LIMIT %s""",
            *(pattern, pattern, limit),
        )
