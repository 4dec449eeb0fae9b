"""``data_platform.alert_history``: what fired, when it ended, and whether the webhook knows."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tickvault.alerts.alert import Alert
from tickvault.ledger import Ledger

NOBODY = "nobody"
COLUMNS = ("alert_id", "name", "severity", "status", "started_at", "ended_at", "told", "summary")
"""What is shown of a row."""

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
    WHERE h.status <> 'resolved'
    RETURNING alert_id"""


@dataclass(frozen=True, slots=True)
class Untold:
    """A row whose status the webhook does not know yet."""

    alert_id: str
    name: str
    severity: str
    status: str
    summary: str
    labels: dict[str, str]
    annotations: dict[str, str]
    started_at: str
    ended_at: str | None


def record(ledger: Ledger, alerts: Sequence[Alert]) -> int:
    """Write a push, all of it or nothing, and return how many rows it touched. Writing it again changes nothing."""
    rows = [
        {
            "alert_id": alert.id,
            "name": alert.name,
            "severity": alert.severity,
            "status": alert.status,
            "summary": alert.summary,
            "labels": alert.labels,
            "annotations": alert.annotations,
            "started_at": alert.started_at.isoformat(),
            "ends_at": alert.ends_at.isoformat(),
        }
        for alert in alerts
    ]
    return len(ledger.query(_RECORD, json.dumps(rows))) if rows else 0


def expire(ledger: Ledger) -> int:
    """End the alerts nobody pushed again in time, and return how many those were."""
    return len(
        ledger.query(
            """UPDATE data_platform.alert_history SET status = 'expired', ended_at = expires_at
            WHERE status = 'firing' AND expires_at < now() RETURNING alert_id"""
        )
    )


def untold(ledger: Ledger) -> list[Untold]:
    """Return what the webhook has to be told, oldest first; an alert told to nobody stays so when it ends."""
    rows = ledger.query(
        f"""SELECT alert_id, name, severity, status, summary, labels, annotations,
            {_utc("started_at")}, {_utc("ended_at")} FROM data_platform.alert_history
        WHERE told IS NULL OR told NOT IN (status, 'nobody') ORDER BY received_at, alert_id"""
    )
    return [Untold(*row) for row in rows]


def mark(ledger: Ledger, alert_id: str, told: str) -> None:
    """Note what the webhook was told of an alert: a status, or ``NOBODY``."""
    ledger.query("UPDATE data_platform.alert_history SET told = %s WHERE alert_id = %s RETURNING 1", told, alert_id)


def find(ledger: Ledger, alert_id: str) -> dict[str, Any] | None:
    """Return one row by ``COLUMNS``."""
    rows = _select(ledger, "WHERE alert_id = %s", alert_id)
    return dict(zip(COLUMNS, rows[0], strict=True)) if rows else None


def latest(ledger: Ledger, pattern: str | None, only_open: bool, limit: int) -> list[tuple[Any, ...]]:
    """Return rows by ``COLUMNS``, newest first; ``pattern`` keeps the names that contain it."""
    where = "WHERE (%s::text IS NULL OR name LIKE '%%' || %s || '%%') AND (NOT %s OR status = 'firing')"
    return _select(ledger, f"{where} ORDER BY started_at DESC, alert_id LIMIT %s", pattern, pattern, only_open, limit)


def _select(ledger: Ledger, rest: str, *values: Any) -> list[tuple[Any, ...]]:
    columns = ", ".join(_utc(name) if name.endswith("_at") else name for name in COLUMNS)
    return ledger.query(f"SELECT {columns} FROM data_platform.alert_history {rest}", *values)


def _utc(column: str) -> str:
    return f"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
