"""``data_platform.alert_history``: what fired, and when it ended."""

import json
from datetime import datetime
from typing import Any

from tickvault.engines.postgres.connection import Connection, Row
from tickvault.ledger.pruning import Pruning

COLUMNS = ("alert_id", "name", "severity", "status", "started_at", "ended_at", "summary")
"""What is shown of an alert."""
_OLD = Pruning("alert_history", "t.ended_at < %s AND t.status <> 'firing'")

# What was resolved stays so. What only expired was a sender gone silent: it may speak again.
# `told` is of the time when the platform told people by itself; 'nobody' keeps a version that still does from telling
# them, after a rollback, what Alertmanager has told them already.
_RECORD = """
    INSERT INTO data_platform.alert_history AS h
        (alert_id, name, severity, status, summary, labels, annotations, started_at, ended_at, expires_at, told)
    SELECT alert_id, name, severity, status, summary, labels, annotations, started_at,
        CASE status WHEN 'resolved' THEN ends_at END, ends_at, 'nobody'
    FROM jsonb_to_recordset(%s::jsonb) AS pushed (alert_id text, name text, severity text, status text, summary text,
        labels jsonb, annotations jsonb, started_at timestamptz, ends_at timestamptz)
    ORDER BY alert_id
    ON CONFLICT (alert_id) DO UPDATE SET status = EXCLUDED.status, ended_at = EXCLUDED.ended_at,
        expires_at = greatest(h.expires_at, EXCLUDED.expires_at), told = EXCLUDED.told
    WHERE h.status <> 'resolved'"""


class Alerts:
    """Every alert that was ever pushed."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def record(self, alerts: list[dict[str, Any]]) -> int:
        """Write alerts, all of them or none, and return how many rows it touched. Writing it again changes nothing."""
        return self._db.run(_RECORD, json.dumps(alerts)) if alerts else 0

    def expire(self) -> int:
        """End the alerts nobody pushed again in time, and return how many those were."""
        return self._db.run(
            """UPDATE data_platform.alert_history SET status = 'expired', ended_at = expires_at
            WHERE status = 'firing' AND expires_at < now()"""
        )

    def find(self, alert_id: str) -> dict[str, Any] | None:
        """Return one row by ``COLUMNS``."""
        rows = self._select("WHERE alert_id = %s", alert_id)
        return dict(zip(COLUMNS, rows[0], strict=True)) if rows else None

    def latest(self, pattern: str | None, only_open: bool, limit: int) -> list[Row]:
        """Return rows by ``COLUMNS``, newest first; ``pattern`` keeps the names that contain it."""
        where = "WHERE (%s::text IS NULL OR name LIKE '%%' || %s || '%%') AND (NOT %s OR status = 'firing')"
        return self._select(f"{where} ORDER BY started_at DESC, alert_id LIMIT %s", pattern, pattern, only_open, limit)

    def count_due(self, before: datetime) -> int:
        """Return how many alerts ended before a time."""
        return _OLD.count(self._db, before)

    def prune(self, before: datetime, limit: int) -> int:
        """Delete at most ``limit`` alerts that ended before a time; return how many those were."""
        return _OLD.run(self._db, limit, before)

    def _select(self, rest: str, *values: Any) -> list[Row]:
        columns = ", ".join(_utc(name) if name.endswith("_at") else name for name in COLUMNS)
        return self._db.rows(f"SELECT {columns} FROM data_platform.alert_history {rest}", *values)


def _utc(column: str) -> str:
    return f"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
