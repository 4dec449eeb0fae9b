"""``data_platform.loads``: which package is in which target. A sink whose target is this database writes it itself."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tickvault.core.slot import Slot
from tickvault.engines.postgres.connection import Connection, Row

if TYPE_CHECKING:  # Arrow, which they bring, costs a question to the ledger more than all else
    from tickvault.core.batch import LoadResult
    from tickvault.core.package import Package

_SETTLING = "interval '1 hour'"
"""How long a package is looked at anew by every load: far longer than a transaction that notes one may be open."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A package one sink has not loaded yet."""

    package_id: str
    source: str
    stream: str
    slot: Slot
    revision: int
    manifest_key: str


class Loads:
    """The loads of all sinks."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def pending(self, sink: str, sources: Iterable[str] | None = None, target: str | None = None) -> list[Pending]:
        """Return what a sink has not loaded into this target, oldest slot first, as far as this ledger knows.

        Packages are compared with loads once: what was left by the time they are an hour old is in the backlog.
        """
        with self._db.transaction():
            since = self._settle(sink, target)
            rows = self._db.rows(
                # One look into one index each: an OR of the two would compare every package ever.
                """WITH due AS MATERIALIZED (
                    SELECT package_id FROM data_platform.packages WHERE registered_at >= %s
                    UNION SELECT package_id FROM data_platform.backlog WHERE sink = %s AND target = %s
                )
                SELECT p.package_id, p.source, p.stream, p.slot, p.revision, p.manifest_key
                FROM due JOIN data_platform.packages p USING (package_id)
                WHERE NOT EXISTS (SELECT FROM data_platform.loads l WHERE l.package_id = due.package_id AND l.sink = %s
                        AND coalesce(l.target = %s, true))
                    AND NOT EXISTS (SELECT FROM data_platform.packages s WHERE s.source = p.source
                        AND s.stream = p.stream AND s.slot = p.slot AND p.package_id = ANY (s.supersedes))
                    AND (%s::text[] IS NULL OR p.source = ANY (%s))
                ORDER BY p.slot, p.revision, p.source, p.stream""",
                *(since, sink, target or "", sink, target),
                *([list(sources) if sources is not None else None] * 2),
            )
        return [Pending(i, s, t, Slot.of(z), r, m) for i, s, t, z, r, m in rows]

    def _settle(self, sink: str, target: str | None) -> object:
        """Move what is old and not loaded into the backlog, and return since when packages must be looked at."""
        key = (sink, target or "")
        self._db.run(
            "INSERT INTO data_platform.deliveries VALUES (%s, %s, '-infinity') ON CONFLICT DO NOTHING",
            *key,
        )
        due = self._db.first(
            f"""SELECT now() - {_SETTLING} FROM data_platform.deliveries
            WHERE sink = %s AND target = %s AND settled_until < now() - 2 * {_SETTLING} FOR UPDATE""",
            *key,
        )
        if due:
            self._db.run(
                """INSERT INTO data_platform.backlog
                SELECT %s, %s, p.package_id FROM data_platform.packages p, data_platform.deliveries d
                WHERE d.sink = %s AND d.target = %s AND p.registered_at >= d.settled_until AND p.registered_at < %s
                    AND NOT EXISTS (SELECT FROM data_platform.loads l WHERE l.package_id = p.package_id AND l.sink = %s
                        AND coalesce(l.target = %s, true))
                ON CONFLICT DO NOTHING""",
                *(*key, *key, due[0], sink, target),
            )
            self._db.run(
                "UPDATE data_platform.deliveries SET settled_until = %s WHERE sink = %s AND target = %s", due[0], *key
            )
            self._db.run(
                """DELETE FROM data_platform.backlog b USING data_platform.loads l
                WHERE b.sink = %s AND b.target = %s AND l.package_id = b.package_id AND l.sink = b.sink
                    AND coalesce(l.target = %s, true)""",
                *(*key, target),
            )
        since: object = self._db.one(
            "SELECT settled_until FROM data_platform.deliveries WHERE sink = %s AND target = %s", *key
        )[0]
        return since

    def agrees(self, sink: str, target: str, held: int) -> bool:
        """Tell whether a target holds as many packages as this ledger says, and it did when they were compared."""
        known, surplus = self._db.one(
            """SELECT (SELECT coalesce(sum(loads), 0) FROM data_platform.load_totals WHERE sink = %s AND target = %s),
                (SELECT coalesce(sum(surplus), 0) FROM data_platform.deliveries WHERE sink = %s AND target = %s)""",
            *(sink, target, sink, target),
        )
        return held == int(known) + int(surplus)

    def correct(self, sink: str, target: str, loaded: Callable[[], set[str]]) -> None:
        """Bring the copy of a target's ledger in line with it: what the target has not loaded is pending again."""
        known = {row[0] for row in self._db.rows("SELECT package_id FROM data_platform.loads WHERE sink = %s", sink)}
        held = loaded()  # asked afterwards: what others load meanwhile is not taken for lost
        which = "WHERE sink = %s AND package_id = ANY (%s)"
        with self._db.transaction():
            self._db.run(f"DELETE FROM data_platform.loads {which}", sink, list(known - held))
            self._db.run(
                f"UPDATE data_platform.loads SET target = %s {which} AND target IS DISTINCT FROM %s",
                *(target, sink, list(known & held), target),
            )
            self._db.run(
                """INSERT INTO data_platform.deliveries VALUES (%s, %s, '-infinity', %s)
                ON CONFLICT (sink, target) DO UPDATE SET surplus = EXCLUDED.surplus""",
                *(sink, target, len(held - known)),
            )

    def mirror(
        self, sink: str, package: "Package", result: "LoadResult", run_id: str, target: str | None = None
    ) -> None:
        """Note a load that another database's own ledger holds already; that ledger is the truth, this a copy."""
        self._db.run(
            """INSERT INTO data_platform.loads (package_id, sink, source, stream, slot, run_id, rows_read,
                rows_inserted, rows_updated, rows_unchanged, rows_superseded, rows_duplicate, rows_rejected, target)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
            *(package.id, sink, package.source, package.stream, package.slot.time, run_id),
            *(result.read, result.inserted, result.updated, result.unchanged),
            *(result.superseded, result.duplicates, result.rejected, target),
        )

    def digest(self, sink: str) -> tuple[int, int]:
        """Return how many loads a sink made, and a hash over them that does not depend on their order.

        It hashes the loads themselves. Their times alone would not do: a load that commits after a build has started
        may have begun, and be dated, before it. Target and time are hashed too: the same package loaded again, into a
        target that was switched or lost its data, is new to it.
        """
        loads, digest = self._db.one(
            "SELECT coalesce(sum(loads), 0), coalesce(sum(digest), 0) FROM data_platform.load_totals WHERE sink = %s",
            sink,
        )
        return int(loads), int(digest)

    def hours_since_newest(self, sink: str) -> float:
        """Return how long ago a sink's newest load was; 0 when there never was one."""
        sql = "SELECT extract(epoch FROM now() - max(loaded_at)) / 3600 FROM data_platform.loads WHERE sink = %s"
        return float(self._db.one(sql, sink)[0] or 0)

    def by_source(self) -> list[Row]:
        """Return per source: rows read, put aside, and per target loaded (new or changed) and unchanged."""
        return self._db.rows(_BY_SOURCE)


_BY_SOURCE = """
    WITH landed AS (
        SELECT source, sum(rows + rejected) AS read, sum(rejected) AS rejected
        FROM data_platform.packages GROUP BY source
    ), loaded AS (
        SELECT source, sink, sum(rows_inserted + rows_updated) AS loaded,
            sum(rows_unchanged + rows_superseded + rows_duplicate) AS unchanged
        FROM data_platform.loads GROUP BY source, sink
    )
    SELECT source, read, rejected, coalesce(p.loaded, 0), coalesce(p.unchanged, 0), coalesce(s.loaded, 0),
        coalesce(s.unchanged, 0)
    FROM landed
    LEFT JOIN (SELECT * FROM loaded WHERE sink = 'postgres') p USING (source)
    LEFT JOIN (SELECT * FROM loaded WHERE sink = 'snowflake') s USING (source)
    ORDER BY source"""
