"""A synthetic alert on the way a real one goes: to the receiver, into the table, to the webhook, and out again."""

import socket
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from tickvault.alerts import history
from tickvault.alerts.alert import FIRING, RESOLVED, Alert
from tickvault.core.errors import ConfigError, SinkUnavailableError, TerminalError
from tickvault.ledger import Ledger


def rehearse(ledger: Ledger, url: str, name: str, severity: str, wait_seconds: float) -> dict[str, Any]:
    """Let an alert fire and end, and return its row by ``history.COLUMNS``; ``told`` says what the webhook heard last.

    Args:
        ledger: The ledger the receiver writes to.
        url: The receiver's address.
        name: Its ``alertname``.
        severity: Its severity.
        wait_seconds: How long the webhook may take to hear of each of the two.

    Raises:
        ConfigError: Whoever answers at ``url`` is no receiver.
        SinkUnavailableError: The receiver or PostgreSQL does not answer.
        TerminalError: The receiver said yes and the row is not there: it writes to another database.
    """
    now = datetime.now(UTC)
    labels = {"alertname": name, "severity": severity, "instance": socket.gethostname(), "test": uuid.uuid4().hex[:8]}
    annotations = {
        "summary": f"A test of the alerts' way from {socket.gethostname()}",
        "description": "Nothing is wrong: somebody ran `tickvault alert test`.",
    }
    alert = Alert(labels, annotations, now, now + timedelta(minutes=5), FIRING)
    row: dict[str, Any] | None = None
    for status, ends_at in ((FIRING, alert.ends_at), (RESOLVED, now)):
        push(url, [_wire(alert, ends_at)])
        row = _await(lambda: history.find(ledger, alert.id), (status, history.NOBODY), wait_seconds)
        if row is None or row["status"] != status:
            found = "no row" if row is None else f"a row that says '{row['status']}'"
            raise TerminalError(
                f"{url} took the alert, but alert_history has {found} of {alert.id}, not '{status}': "
                "does the receiver use another PostgreSQL than POSTGRES_HOST?"
            )
    return row or {}


def push(url: str, alerts: list[dict[str, Any]]) -> None:
    """Send alerts to a receiver, as Prometheus does.

    Raises:
        ConfigError: It refuses them: whoever answers there is no receiver of alerts.
        SinkUnavailableError: It does not answer, or could not write them down.
    """
    try:
        answer = requests.post(f"{url.rstrip('/')}/api/v2/alerts", json=alerts, timeout=20)
    except requests.RequestException as error:
        raise SinkUnavailableError(f"the alert receiver at {url} does not answer; check ALERT_RECEIVER_URL") from error
    if answer.status_code >= 500:  # noqa: PLR2004
        raise SinkUnavailableError(f"the alert receiver at {url} answers {answer.status_code}: {answer.text[:500]}")
    if answer.status_code != 200:  # noqa: PLR2004
        raise ConfigError(f"{url} answers {answer.status_code}: {answer.text[:500]}; check ALERT_RECEIVER_URL")


def _wire(alert: Alert, ends_at: datetime) -> dict[str, Any]:
    return {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": alert.started_at.isoformat(),
        "endsAt": ends_at.isoformat(),
    }


def _await(
    look: Callable[[], dict[str, Any] | None], told: tuple[str, ...], wait_seconds: float
) -> dict[str, Any] | None:
    """Look until the webhook was told, or time is up; the row itself is there before the receiver answers, or never."""
    deadline = time.monotonic() + wait_seconds
    while (row := look()) is not None and row["told"] not in told and time.monotonic() < deadline:
        time.sleep(0.2)
    return row
