"""``data_platform.runs``: one row per job and slot, whoever tries it and how often."""

import json
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tickvault.core.errors import ConfigError
from tickvault.core.slot import Slot
from tickvault.engines.postgres.connection import Connection, Row
from tickvault.ledger.pruning import Pruning

_SLOT = """to_char(slot AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISS"Z"')"""
COLUMNS = ("run", "job", "slot", "status", "attempts", "seconds", "read", "loaded", "unchanged", "rejected", "missing")
"""What ``latest`` shows of a run."""
_OLD = Pruning("runs", "t.started_at < %s AND t.finished_at < %s AND t.status <> 'running'")
_GUARD = "hashtextextended(run_id || ':' || attempts, 1)"
"""The lock a run holds for as long as its session lives; PostgreSQL frees it when the process or its host is gone."""
_UNSETTLED = "started_at >= %s AND (attempts > 1 OR status NOT IN ('complete', 'partial'))"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one job for one slot; ``status`` is what an earlier attempt left."""

    run_id: str
    job: str
    slot: Slot
    status: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Trace:
    """A run as a person asks for it: who it was, how it ended, and where its log is."""

    run_id: str
    job: str
    slot: str
    status: str
    job_name: str | None
    log_uri: str | None


class Runs:
    """The runs of all jobs."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def remembered_slot(self, job_name: str | None) -> Slot | None:
        """Return the slot this very Kubernetes Job ran before."""
        if not job_name:
            return None
        row = self._db.first(
            "SELECT slot FROM data_platform.runs WHERE job_name = %s ORDER BY started_at DESC LIMIT 1", job_name
        )
        return Slot.of(row[0]) if row else None

    def start(self, job: str, slot: Slot, job_name: str | None) -> Run:
        """Note that a run begins; the same job and slot is the same run, whoever tries it again."""
        sql = """
            INSERT INTO data_platform.runs AS r (run_id, job, slot, job_name, status, guarded)
            VALUES (%s, %s, %s, %s, 'running', true)
            ON CONFLICT (job, slot) DO UPDATE SET attempts = r.attempts + 1, started_at = now(), finished_at = NULL,
                job_name = COALESCE(EXCLUDED.job_name, r.job_name), status = 'running', guarded = true
            RETURNING run_id, attempts"""
        with self._db.transaction():
            before = self._db.first(
                "SELECT status FROM data_platform.runs WHERE job = %s AND slot = %s FOR UPDATE", job, slot.time
            )
            run_id, attempts = self._db.one(sql, uuid.uuid4().hex, job, slot.time, job_name)
            # Taken before anybody sees the row: whoever finds the row without the lock knows that its owner is gone.
            self._db.one(f"SELECT pg_try_advisory_lock({_GUARD}) FROM data_platform.runs WHERE run_id = %s", run_id)
        return Run(run_id, job, slot, before[0] if before else "new", attempts)

    def finish(self, run: Run, status: str, exit_code: int, counts: dict[str, int], outcome: dict[str, Any]) -> None:
        """Note how a run ended. ``counts`` may hold rows_read, rows_loaded, rows_unchanged, rows_rejected."""
        self._db.run(
            """UPDATE data_platform.runs SET status = %s, exit_code = %s, finished_at = now(), outcome = %s,
                rows_read = %s, rows_loaded = %s, rows_unchanged = %s, rows_rejected = %s WHERE run_id = %s""",
            status,
            exit_code,
            json.dumps(outcome, default=str),
            *(counts.get(k, 0) for k in ("rows_read", "rows_loaded", "rows_unchanged", "rows_rejected")),
            run.run_id,
        )
        self._db.rows(f"SELECT pg_advisory_unlock({_GUARD}) FROM data_platform.runs WHERE run_id = %s", run.run_id)

    def settle(self) -> list[str]:
        """End the runs that say «running» while their process is gone; return them as ``job/slot``.

        Those of Kubernetes Jobs are left to the cluster's reconciliation, which asks the cluster and keeps their logs.
        """
        rows = self._db.rows(
            f"""WITH running AS (
                SELECT run_id, attempts, {_GUARD} AS key FROM data_platform.runs
                WHERE status = 'running' AND guarded AND job_name IS NULL
            ), gone AS (
                SELECT run_id, attempts FROM running WHERE NOT EXISTS (
                    SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
                        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                        AND classid::bigint = (key >> 32) & 4294967295 AND objid::bigint = key & 4294967295)
            )
            UPDATE data_platform.runs r SET status = 'interrupted', finished_at = now(),
                outcome = r.outcome || jsonb_build_object('error',
                    jsonb_build_object('type', 'Killed', 'message', %s::text))
            FROM gone WHERE r.run_id = gone.run_id AND r.attempts = gone.attempts AND r.status = 'running'
            RETURNING r.job, {_SLOT}""",
            "its process is gone: killed, or cut off from PostgreSQL before it could say how it ended",
        )
        return [f"{job}/{slot}" for job, slot in rows]

    def link_log(self, run: Run, key: str) -> None:
        """Note where a run's log lies in the lake."""
        self._db.run("UPDATE data_platform.runs SET log_uri = %s WHERE run_id = %s", key, run.run_id)

    def find(self, name: str) -> Trace | None:
        """Return the newest run of a name: the beginning of its id, a job, ``job/slot``, or a Kubernetes Job's name."""
        job, _, slot = name.rpartition("/")
        time = None
        if job:
            with suppress(ConfigError):
                time = Slot.parse(slot).time
        # One look into one index each; a condition of all four would look at every run ever.
        which = "SELECT run_id, job, slot, status, job_name, log_uri, started_at FROM data_platform.runs WHERE"
        found = self._db.first(
            f"""SELECT run_id, job, {_SLOT}, status, job_name, log_uri FROM (
                ({which} run_id LIKE %s ORDER BY started_at DESC LIMIT 1)
                UNION ALL ({which} job = %s ORDER BY started_at DESC LIMIT 1)
                UNION ALL ({which} job_name = %s ORDER BY started_at DESC LIMIT 1)
                UNION ALL ({which} job = %s AND slot = %s LIMIT 1)
            ) found ORDER BY started_at DESC LIMIT 1""",
            *(f"{name}%" if name.isalnum() else "/", name, name, job, time),
        )
        return Trace(*found) if found else None

    def latest(self, pattern: str | None, limit: int) -> list[Row]:
        """Return runs by ``COLUMNS``, newest first; ``pattern`` keeps the jobs whose name contains it."""
        return self._db.rows(
            f"""SELECT left(run_id, 8), job, {_SLOT}, status, attempts,
                round(extract(epoch FROM coalesce(finished_at, now()) - started_at), 1)::float, rows_read, rows_loaded,
                rows_unchanged, rows_rejected, coalesce(jsonb_array_length(outcome -> 'missing'), 0)
            FROM data_platform.runs WHERE (%s::text IS NULL OR job LIKE '%%' || %s || '%%')
            ORDER BY started_at DESC LIMIT %s""",
            *(pattern, pattern, limit),
        )

    def count(self) -> int:
        """Return how many runs there are."""
        return int(self._db.one("SELECT count(*) FROM data_platform.runs")[0])

    def settled_before(self) -> datetime:
        """Return the time, by PostgreSQL's clock, before which a run must have begun to be judged by what is gone."""
        time: datetime = self._db.one("SELECT now() - interval '30 seconds'")[0]
        return time

    def under_way(self, before: datetime) -> list[tuple[Run, str]]:
        """Return the runs of Kubernetes Jobs that began before a time and say «running», with their Job's name."""
        rows = self._db.rows(
            """SELECT run_id, job, slot, attempts, job_name FROM data_platform.runs
            WHERE status = 'running' AND job_name IS NOT NULL AND started_at < %s ORDER BY started_at""",
            before,
        )
        return [(Run(run_id, job, Slot.of(slot), "interrupted", n), name) for run_id, job, slot, n, name in rows]

    def interrupt(self, run: Run, why: str) -> bool:
        """End a run that cannot end itself; False when it did, or began anew, in this very moment."""
        return bool(
            self._db.run(
                """UPDATE data_platform.runs SET status = 'interrupted', finished_at = now(),
                    outcome = outcome || jsonb_build_object('error',
                        jsonb_build_object('type', 'Killed', 'message', %s::text))
                WHERE run_id = %s AND attempts = %s AND status = 'running'""",
                *(why, run.run_id, run.attempts),
            )
        )

    def arriving(self, sink: str) -> list[str]:
        """Return the jobs that are reading, or loading into a sink.

        One that was killed may be called running for longer than it lives: after 15 minutes it counts no more.
        """
        rows = self._db.rows(
            """SELECT DISTINCT job FROM data_platform.runs WHERE status = 'running'
            AND (job LIKE 'extract-%%' OR job LIKE %s) AND started_at > now() - interval '15 minutes' ORDER BY job""",
            f"load-{sink}%",
        )
        return [str(job) for (job,) in rows]

    def unsettled(self, since: datetime) -> set[Slot]:
        """Return the slots for which an attempt since a time may have left parts in the lake that no manifest names.

        Those that were read by a run that ended badly, has not ended, or began again; where a replay did, all that
        have open rejects.
        """
        rows = self._db.rows(
            f"""SELECT slot FROM data_platform.runs WHERE job LIKE 'extract-%%' AND {_UNSETTLED}
            UNION SELECT slot FROM data_platform.rejects WHERE replayed_by IS NULL
                AND EXISTS (SELECT FROM data_platform.runs WHERE job = 'replay-rejects' AND {_UNSETTLED})""",
            *(since, since),
        )
        return {Slot.of(slot) for (slot,) in rows}

    def count_due(self, before: datetime) -> int:
        """Return how many runs ended before a time."""
        return _OLD.count(self._db, before, before)

    def prune(self, before: datetime, limit: int) -> int:
        """Delete at most ``limit`` runs that ended before a time; return how many those were."""
        return _OLD.run(self._db, limit, before, before)
