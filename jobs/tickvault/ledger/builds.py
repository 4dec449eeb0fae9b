"""``data_platform.builds`` and ``models``: what a build was made from, how it ended, what each node took."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tickvault.engines.postgres.connection import Connection, Row
from tickvault.ledger.pruning import Pruning
from tickvault.ledger.runs import Run

_NEEDED = """
    SELECT DISTINCT ON (target, selection) build_id FROM data_platform.builds
    ORDER BY target, selection, started_at DESC"""
_NEWEST_WHOLE = """
    SELECT DISTINCT ON (target) build_id FROM data_platform.builds WHERE selection = '' AND status = 'green'
    ORDER BY target, started_at DESC"""
_OLD = Pruning(
    "builds",
    """t.started_at < %s AND t.status <> 'running' AND t.build_id <> ALL (%s) AND t.started_at < coalesce((
        SELECT max(w.started_at) FROM data_platform.builds w WHERE w.build_id = ANY (%s) AND w.target = t.target
    ), 'infinity')""",
)
_OLD_NODES = Pruning("models", "t.noted_at < %s AND t.build_id <> ALL (%s)")


@dataclass(frozen=True, slots=True)
class Build:
    """One build of one target.

    Args:
        id: Unique; the run's id is not, since every request for a slot is the same run.
        run: The run that asked for it.
        inputs: What it was made from: the loads its target held when it started, and the project.
    """

    id: str
    run: Run
    inputs: str


class Builds:
    """The builds of all targets."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def covering(self, target: str, inputs: str, selection: str) -> tuple[str, str] | None:
        """Return id and time of the green build that these inputs have had already, if the newest one was green."""
        found = self._db.first(
            """SELECT build_id, to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), status, inputs
            FROM data_platform.builds WHERE target = %s AND selection IN ('', %s)
            ORDER BY started_at DESC LIMIT 1""",
            *(target, selection),
        )
        # Only what the newest one left counts: the same inputs come back when the project is rolled back.
        return (found[0], found[1]) if found and found[2:] == ("green", inputs) else None

    def green_since_whole(self, target: str) -> bool:
        """Whether no build has failed since the last one of everything that was green."""
        sql = """SELECT coalesce(bool_and(status = 'green'), false) FROM data_platform.builds
            WHERE target = %s AND status <> 'running' AND started_at >= (
                SELECT max(started_at) FROM data_platform.builds
                WHERE target = %s AND selection = '' AND status = 'green')"""
        return bool(self._db.one(sql, target, target)[0])

    def interrupted(self, target: str) -> bool:
        """Whether the newest build did not come to a good end. Whoever asks holds the target's lock."""
        sql = "SELECT status FROM data_platform.builds WHERE target = %s ORDER BY started_at DESC LIMIT 1"
        newest = self._db.first(sql, target)
        return bool(newest and newest[0] != "green")

    def taken_in(self, targets: Sequence[str]) -> datetime | None:
        """Return what was loaded before which time all these targets have taken in; None where one has not yet.

        Of each target that was ever built it is the start of its newest green build of everything that counts.
        """
        sql = """SELECT min(coalesce(seen, '-infinity')) FROM (
                SELECT max(started_at) FILTER (WHERE status = 'green' AND selection = '') AS seen
                FROM data_platform.builds WHERE target = ANY (%s) GROUP BY target) of_each
            HAVING min(coalesce(seen, '-infinity')) > '-infinity'"""
        found = self._db.first(sql, list(targets))
        return found[0] if found else None

    def start(self, target: str, build: Build, selection: str) -> None:
        """Note that a build begins. It holds the target's lock: one still said to be running was killed."""
        self._db.run(
            """UPDATE data_platform.builds SET status = 'red', finished_at = now()
            WHERE target = %s AND status = 'running'""",
            target,
        )
        self._db.run(
            """INSERT INTO data_platform.builds (build_id, run_id, target, slot, selection, inputs, status, started_at)
            VALUES (%s, %s, %s, %s, %s, %s, 'running', clock_timestamp())""",
            *(build.id, build.run.run_id, target, build.run.slot.time, selection, build.inputs),
        )

    def finish(self, build: Build, *, green: bool) -> None:
        """Note how a build ended; green is built, tested and published."""
        self._db.run(
            "UPDATE data_platform.builds SET status = %s, finished_at = clock_timestamp() WHERE build_id = %s",
            *("green" if green else "red", build.id),
        )

    def note_nodes(self, target: str, build: Build, columns: Sequence[Sequence[object]]) -> None:
        """Note what every node did, in one statement.

        Args:
            target: The target.
            build: The build.
            columns: Names, kinds, statuses, seconds, rows and messages, each as long as there are nodes.
        """
        self._db.run(
            """INSERT INTO data_platform.models (build_id, run_id, target, node, kind, status, seconds, rows, message)
            SELECT %s, %s, %s, * FROM unnest(%s::text[], %s::text[], %s::text[], %s::float8[], %s::bigint[], %s::text[])
            ON CONFLICT DO NOTHING""",
            *(build.id, build.run.run_id, target, *(list(column) for column in columns)),
        )

    def last_green(self) -> list[Row]:
        """Return what the last green build of everything left: per mart, and per kind of the vault's tables.

        Each row is a name, the number of tables, their rows, and the seconds they took.
        """
        return self._db.rows(
            """SELECT CASE WHEN node ~ '^(hub|link|sat)_' THEN substring(node FROM '^[a-z]+') || '_*' ELSE node END,
                count(*), sum(rows), sum(seconds)
            FROM data_platform.models
            WHERE kind = 'model' AND rows IS NOT NULL AND build_id = (
                SELECT build_id FROM data_platform.builds WHERE status = 'green' AND selection = ''
                ORDER BY started_at DESC LIMIT 1)
            GROUP BY 1
            ORDER BY min(CASE WHEN node ~ '^(hub|link|sat)_' THEN 0 WHEN node LIKE 'semantic_%' THEN 2 ELSE 1 END), 1"""
        )

    def count_due(self, before: datetime) -> int:
        """Return how many builds may go."""
        return _OLD.count(self._db, before, self._ids(_NEEDED), self._ids(_NEWEST_WHOLE))

    def prune(self, before: datetime, limit: int) -> int:
        """Delete at most ``limit`` builds that began before a time; return how many those were.

        Of each target stay the newest of every selection and all since the newest green one of everything: by them
        ``covering`` and ``green_since_whole`` decide.
        """
        return _OLD.run(self._db, limit, before, self._ids(_NEEDED), self._ids(_NEWEST_WHOLE))

    def count_due_nodes(self, before: datetime) -> int:
        """Return how many nodes of builds may go."""
        return _OLD_NODES.count(self._db, before, self._ids(_NEWEST_WHOLE))

    def prune_nodes(self, before: datetime, limit: int) -> int:
        """Delete at most ``limit`` nodes noted before a time; each target's newest green build of everything keeps its.

        Returns:
            How many those were.
        """
        return _OLD_NODES.run(self._db, limit, before, self._ids(_NEWEST_WHOLE))

    def _ids(self, sql: str) -> list[str]:
        return [build_id for (build_id,) in self._db.rows(sql)]
