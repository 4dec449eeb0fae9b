"""A synthetic alert on the way a real one goes: into the table, through Alertmanager to people, and out again."""

import socket
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from tickvault.alerts.alert import FIRING, RESOLVED, Alert
from tickvault.alerts.notifier import Alertmanager, push
from tickvault.core.errors import TerminalError
from tickvault.core.settings import Settings
from tickvault.engines.http.client import HttpClient
from tickvault.ledger import Ledger


def rehearse(
    ledger: Ledger, settings: Settings, name: str, severity: str, wait_seconds: float
) -> tuple[dict[str, Any], str]:
    """Let an alert fire and end, pushed to both as Prometheus does.

    Args:
        ledger: The ledger the receiver writes to.
        settings: Where the receiver is, and Alertmanager; without the latter only the table's way is tried.
        name: Its ``alertname``.
        severity: Its severity.
        wait_seconds: How long Alertmanager may take to tell each of the two.

    Returns:
        Its row by ``ledger.alerts.COLUMNS``, and why Alertmanager told nobody; empty when it did or there is none.

    Raises:
        ConfigError: Whoever answers at one of the addresses takes no alerts.
        TransientError: The receiver, Alertmanager or PostgreSQL does not answer.
        TerminalError: The receiver said yes and the row is not there: it writes to another database.
    """
    alert = _alert(name, severity)
    row: dict[str, Any] = {}
    untold = ""
    with HttpClient(settings) as client:
        notifier = Alertmanager(client, settings.alertmanager_url) if settings.alertmanager_url else None
        for status in (FIRING, RESOLVED):
            pushed = _wire(alert, datetime.now(UTC) if status == RESOLVED else alert.ends_at)
            push(client, settings.alert_receiver_url, [pushed])
            row = _row(ledger, settings.alert_receiver_url, alert, status)
            if notifier:
                reason = notifier.notify(pushed, 0 if untold else wait_seconds)
                untold = untold or reason
    return row, untold


def _alert(name: str, severity: str) -> Alert:
    now = datetime.now(UTC)
    labels = {"alertname": name, "severity": severity, "instance": socket.gethostname(), "test": uuid.uuid4().hex[:8]}
    annotations = {
        "summary": f"A test of the alerts' way from {socket.gethostname()}",
        "description": "Nothing is wrong: somebody ran `tickvault alert test`.",
    }
    return Alert(labels, annotations, now, now + timedelta(minutes=5), FIRING)


def _wire(alert: Alert, ends_at: datetime) -> dict[str, Any]:
    return {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": alert.started_at.isoformat(),
        "endsAt": ends_at.isoformat(),
    }


def _row(ledger: Ledger, url: str, alert: Alert, status: str) -> dict[str, Any]:
    """Return the row: it is there before the receiver answers, or never."""
    row = ledger.alerts.find(alert.id)
    if row is None or row["status"] != status:
        found = "no row" if row is None else f"a row that says '{row['status']}'"
        raise TerminalError(
            f"{url} took the alert, but alert_history has {found} of {alert.id}, not '{status}': "
            "does the receiver use another PostgreSQL than POSTGRES_HOST?"
        )
    return row
