"""``data_platform.alert_history``: what fired, when it ended, and whether the webhook knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tickvault.alerts.alert import Alert
from tickvault.ledger import Ledger
from tickvault.ledger.alerts import COLUMNS

NOBODY = "nobody"
__all__ = ["COLUMNS", "NOBODY", "Untold", "expire", "find", "latest", "mark", "record", "untold"]


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
    return ledger.alerts.record(rows)


def expire(ledger: Ledger) -> int:
    """End the alerts nobody pushed again in time, and return how many those were."""
    return ledger.alerts.expire()


def untold(ledger: Ledger) -> list[Untold]:
    """Return what the webhook has to be told, oldest first; an alert told to nobody stays so when it ends."""
    return [Untold(*row) for row in ledger.alerts.untold()]


def mark(ledger: Ledger, alert_id: str, told: str) -> None:
    """Note what the webhook was told of an alert: a status, or ``NOBODY``."""
    ledger.alerts.mark(alert_id, told)


def find(ledger: Ledger, alert_id: str) -> dict[str, Any] | None:
    """Return one row by ``COLUMNS``."""
    return ledger.alerts.find(alert_id)


def latest(ledger: Ledger, pattern: str | None, only_open: bool, limit: int) -> list[tuple[Any, ...]]:
    """Return rows by ``COLUMNS``, newest first; ``pattern`` keeps the names that contain it."""
    return ledger.alerts.latest(pattern, only_open, limit)
