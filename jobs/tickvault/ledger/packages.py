"""``data_platform.packages``: what landed, with its rejects; and ``cursors``, where each stream is resumed."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from tickvault.core.slot import Slot
from tickvault.engines.postgres.connection import Connection, Row
from tickvault.ledger.schemas import Schemas

if TYPE_CHECKING:  # Arrow, which they bring, costs a question to the ledger more than all else
    from tickvault.core.package import Cursor, Package, Reject
    from tickvault.core.stream import Stream

COLUMNS = ("package", "rows", "rejected", "failed", "landed", "loaded into")
"""What ``latest`` shows of a package."""
WATERMARK_COLUMNS = ("source_name", "watermark_column", "watermark_value")
GAP_COLUMNS = ("source_name", "symbol", "missing day", "since", "asked", "given up")
"""What ``gaps`` shows of a day without a price."""


class Packages:
    """The sealed packages of all streams."""

    def __init__(self, connection: Connection, schemas: Schemas) -> None:
        self._db, self._schemas = connection, schemas

    def register(self, stream: "Stream", package: "Package", rejects: "Iterable[Reject]") -> bool:
        """Note a sealed package and its rejects; False when it was noted before. Its cursor is the watermark."""
        values = [str(v) for v in (package.cursor or {}).values() if not isinstance(v, dict)]
        with self._db.transaction():
            noted = self._db.run(
                """INSERT INTO data_platform.packages (package_id, source, stream, slot, revision, rows, rejected,
                    manifest_key, cursor, watermark_column, watermark_value, outcomes, run_id, landed_at,
                    supersedes)
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
                *(package.id, package.source, package.stream, package.slot.time, package.revision),
                *(package.rows, package.rejected, package.manifest_key),
                None if package.cursor is None else json.dumps(package.cursor),
                *(stream.cursor_field, max(values, default=package.slot.id)),
                json.dumps([asdict(o) for o in package.outcomes]),
                *(package.run_id, package.landed_at, list(package.supersedes) or None),
            )
            if not noted:
                return False
            self._schemas.note(package)
            self._db.run_many(
                """INSERT INTO data_platform.rejects
                    (package_id, ordinal, source, stream, slot, item, column_name, reason, record)
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
                [_reject(package, ordinal, reject) for ordinal, reject in enumerate(rejects)],
            )
            if settled := [*package.replays, *package.supersedes]:
                self._db.run(
                    """UPDATE data_platform.rejects SET replayed_by = %s
                    WHERE package_id = ANY (%s) AND replayed_by IS NULL""",
                    *(package.id, settled),
                )
        return True

    def resume_from(self, source: str, stream: "Stream", slot: Slot, *, inclusive: bool = True) -> "Cursor | None":
        """Return where to resume: the cursors of all packages up to this slot, the later entry winning.

        What all packages say together is kept as one row; only for a slot before the latest they are read themselves.

        Args:
            source: The source.
            stream: One of its streams.
            slot: The slot that is about to be read.
            inclusive: Count this slot's own packages too; not when it is to be read again.
        """
        found = self._db.first(
            "SELECT slot, cursor FROM data_platform.cursors WHERE source = %s AND stream = %s", source, stream.name
        )
        if found is None:
            return None
        latest, cursor = found
        if latest < slot.time or (inclusive and latest == slot.time):
            return dict(cursor)
        merged = self._db.one(
            f"""SELECT jsonb_object_agg(e.key, e.value ORDER BY p.slot, p.revision)
            FROM data_platform.packages p, jsonb_each(p.cursor) e
            WHERE p.source = %s AND p.stream = %s AND p.slot {"<=" if inclusive else "<"} %s
                AND p.cursor IS NOT NULL""",
            *(source, stream.name, slot.time),
        )[0]
        return dict(merged) if merged else None

    def newest_of(self, stream: str) -> tuple[str, str] | None:
        """Return source and manifest of the newest package of a stream, whichever source it is from."""
        found = self._db.first(
            "SELECT source, manifest_key FROM data_platform.packages WHERE stream = %s ORDER BY slot DESC LIMIT 1",
            stream,
        )
        return (str(found[0]), str(found[1])) if found else None

    def manifests(self, day: str) -> set[str]:
        """Return the manifests of all packages whose slot is of a UTC date."""
        rows = self._db.rows(
            """SELECT manifest_key FROM data_platform.packages WHERE slot >= %s::date::timestamp AT TIME ZONE 'UTC'
                AND slot < (%s::date + 1)::timestamp AT TIME ZONE 'UTC'""",
            *(day, day),
        )
        return {key for (key,) in rows}

    def sources(self, slot: Slot) -> list[str]:
        """Return the sources that landed something for a slot, in alphabetical order."""
        rows = self._db.rows("SELECT DISTINCT source FROM data_platform.packages WHERE slot = %s", slot.time)
        return sorted(str(source) for (source,) in rows)

    def days(self, stream: str) -> set[str]:
        """Return the UTC dates of all slots of a stream."""
        rows = self._db.rows(
            "SELECT DISTINCT (slot AT TIME ZONE 'UTC')::date::text FROM data_platform.packages WHERE stream = %s",
            stream,
        )
        return {day for (day,) in rows}

    def latest(self, pattern: str | None, limit: int) -> list[Row]:
        """Return packages by ``COLUMNS``, the last that landed first; ``pattern`` keeps the ids that contain it."""
        return self._db.rows(
            """SELECT p.package_id, p.rows, p.rejected,
                (SELECT count(*) FROM jsonb_array_elements(p.outcomes) o WHERE o ->> 'status' = 'failed'),
                to_char(p.landed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
                coalesce((SELECT string_agg(l.sink, ', ' ORDER BY l.sink) FROM data_platform.loads l
                    WHERE l.package_id = p.package_id),
                    (SELECT 'superseded by ' || max(s.package_id) FROM data_platform.packages s
                    WHERE s.source = p.source AND s.stream = p.stream AND s.slot = p.slot
                        AND p.package_id = ANY (s.supersedes)), 'pending')
            FROM data_platform.packages p
            WHERE (%s::text IS NULL OR p.package_id LIKE '%%' || %s || '%%')
            ORDER BY p.landed_at DESC LIMIT %s""",
            *(pattern, pattern, limit),
        )

    def watermarks(self, pattern: str | None, limit: int) -> list[Row]:
        """Return how far each stream has come, by ``WATERMARK_COLUMNS``."""
        return self._db.rows(
            """SELECT source_name, watermark_column, watermark_value FROM data_platform.watermarks
            WHERE (%s::text IS NULL OR source_name LIKE '%%' || %s || '%%') ORDER BY 1 LIMIT %s""",
            *(pattern, pattern, limit),
        )

    def gaps(self, pattern: str | None, limit: int) -> list[Row]:
        """Return the days that should have a price and have none, by ``GAP_COLUMNS``; ``pattern`` as in ``latest``."""
        return self._db.rows(
            """SELECT * FROM (
                SELECT c.source || '.' || c.stream AS source_name, left(e.key, -5) AS symbol, day.key AS day,
                    day.value ->> 'since', (day.value ->> 'asked')::integer, coalesce(day.value ->> 'given_up', '')
                FROM data_platform.cursors c, jsonb_each(c.cursor) e,
                    jsonb_each(CASE WHEN e.key LIKE '%%:gaps' THEN e.value ELSE '{}' END) day
            ) missing
            WHERE (%s::text IS NULL OR source_name LIKE '%%' || %s || '%%' OR symbol LIKE '%%' || %s || '%%')
            ORDER BY day DESC, source_name, symbol LIMIT %s""",
            *(pattern, pattern, pattern, limit),
        )


def _reject(package: "Package", ordinal: int, reject: "Reject") -> Row:
    return (
        *(package.id, ordinal, package.source, package.stream, package.slot.time),
        *(reject.item, reject.column, reject.reason),
        json.dumps(reject.record, default=str),
    )
