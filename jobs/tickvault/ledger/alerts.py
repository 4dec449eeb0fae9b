"""``data_platform.alert_history``: what fired, when it ended, and whether the webhook knows."""

import json
from typing import Any

from tickvault.engines.postgres.connection import Connection, Row

COLUMNS = ("alert_id", "name", "severity", "status", "started_at", "ended_at", "told", "summary")
"""What is shown of an alert."""

# What was resolved stays so. What only expired was a sender gone silent: it may speak again.
_RECORD = """
    INSERT INTO data_platform.alert_history AS h
        (alert_id, name, severity, status, summary, labels, annotations, started_at, ended_at, expires_at)
    SELECT alert_id, name, severity, status, summary, labels, annotations, started_at,
        CASE status WHEN 'resolved' THEN ends_at END, ends_at
    FROM jsonb_to_recordset(%s::jsonb) AS pushed (alert_id text, name text, severity text, status text, summary text,
        labels jsonb, annotations jsonb, started_at timestamptz, ends_at timestamptz)
    ORDER BY alert_id
    ON CONFLICT (alert_id) DO UPDATE SET status = EXCLUDED.status, ended_at = EXCLUDED.ended_at,
        expires_at = greatest(h.expires_at, EXCLUDED.expires_at)
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

    def untold(self) -> list[Row]:
        """Return what the webhook has to be told, oldest first; an alert told to nobody stays so when it ends."""
        return self._db.rows(
            f"""SELECT alert_id, name, severity, status, summary, labels, annotations,
                {_utc("started_at")}, {_utc("ended_at")} FROM data_platform.alert_history
            WHERE told IS NULL OR told NOT IN (status, 'nobody') ORDER BY received_at, alert_id"""
        )

    def mark(self, alert_id: str, told: str) -> None:
        """Note what the webhook was told of an alert."""
        self._db.run("UPDATE data_platform.alert_history SET told = %s WHERE alert_id = %s", told, alert_id)

    def find(self, alert_id: str) -> dict[str, Any] | None:
        """Return one row by ``COLUMNS``."""
        rows = self._select("WHERE alert_id = %s", alert_id)
        return dict(zip(COLUMNS, rows[0], strict=True)) if rows else None

    def latest(self, pattern: str | None, only_open: bool, limit: int) -> list[Row]:
        """Return rows by ``COLUMNS``, newest first; ``pattern`` keeps the names that contain it."""
        where = "WHERE (%s::text IS NULL OR name LIKE '%%' || %s || '%%') AND (NOT %s OR status = 'firing')"
        return self._select(f"{where} ORDER BY started_at DESC, alert_id LIMIT %s", pattern, pattern, only_open, limit)

    def _select(self, rest: str, *values: Any) -> list[Row]:
        columns = ", ".join(_utc(name) if name.endswith("_at") else name for name in COLUMNS)
        return self._db.rows(f"SELECT {columns} FROM data_platform.alert_history {rest}", *values)


def _utc(column: str) -> str:
    return f"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
