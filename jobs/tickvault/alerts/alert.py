"""One alert, and how a push of Alertmanager's API v2 is read.

The format is that of ``POST /api/v2/alerts``:
https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tickvault.core.errors import TerminalError

FIRING, RESOLVED = "firing", "resolved"
SILENCE = timedelta(minutes=5)
"""How long an alert without ``endsAt`` counts as firing after it was last heard of; Alertmanager's default."""


class BadAlertError(TerminalError):
    """A push that is not what the API documents; the message says which part of it."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as it was pushed.

    Args:
        labels: Who it is; ``alertname`` among them.
        annotations: What it says; ``summary``, ``description``, ``runbook``.
        started_at: Since when.
        ends_at: In the past: it is over. In the future: until then it counts as firing without being pushed again.
        status: ``firing`` or ``resolved``.
    """

    labels: dict[str, str]
    annotations: dict[str, str]
    started_at: datetime
    ends_at: datetime
    status: str

    @property
    def id(self) -> str:
        """The same for every push of this alert: a hash of its labels and its start."""
        identity = json.dumps([self.labels, self.started_at.isoformat()], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(identity.encode()).hexdigest()[:32]

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.labels["alertname"]

    @property
    def severity(self) -> str:
        """``critical``, ``warning``, or what else the rule says."""
        return self.labels.get("severity", "none")

    @property
    def summary(self) -> str:
        """One line for people."""
        return self.annotations.get("summary") or self.annotations.get("description") or self.name

    def row(self) -> dict[str, Any]:
        """What the ledger writes down of it."""
        return {
            "alert_id": self.id,
            "name": self.name,
            "severity": self.severity,
            "status": self.status,
            "summary": self.summary,
            "labels": self.labels,
            "annotations": self.annotations,
            "started_at": self.started_at.isoformat(),
            "ends_at": self.ends_at.isoformat(),
        }


def read_push(body: bytes, now: datetime) -> list[Alert]:
    """Read the body of a push; of two mentions of one alert the later counts.

    Raises:
        BadAlertError: It is not a JSON list of alerts with the name label and a start.
    """
    try:
        pushed = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadAlertError(f"the body is not JSON: {error}") from error
    if not isinstance(pushed, list):
        raise BadAlertError("the body is not a JSON list of alerts")
    alerts = [_alert(item, f"alert {number}", now) for number, item in enumerate(pushed, 1)]
    return list({alert.id: alert for alert in alerts}.values())


def _alert(item: Any, where: str, now: datetime) -> Alert:
    if not isinstance(item, dict):
        raise BadAlertError(f"{where} is not an object")
    labels = _texts(item.get("labels"), f"{where}: labels")
    if not labels.get("alertname"):
        raise BadAlertError(f"{where} has no label 'alertname'")
    started_at = _time(item.get("startsAt"), f"{where}: startsAt")
    if started_at is None:
        raise BadAlertError(f"{where} has no startsAt, so that it cannot be told from the next of its name")
    ends_at = _time(item.get("endsAt"), f"{where}: endsAt") or now + SILENCE
    annotations = _texts(item.get("annotations") or {}, f"{where}: annotations")
    return Alert(labels, annotations, started_at, ends_at, RESOLVED if ends_at <= now else FIRING)


def _texts(value: Any, where: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise BadAlertError(f"{where} are not an object of texts")
    everything = "".join(text for pair in value.items() for text in pair)
    if "\0" in everything or (not everything.isascii() and any("\ud800" <= c <= "\udfff" for c in everything)):
        raise BadAlertError(f"{where} hold a character PostgreSQL cannot keep: NUL, or half of a surrogate pair")
    return dict(value)


def _time(value: Any, where: str) -> datetime | None:
    """Read RFC 3339; Go's zero time, year 1, means that there is none."""
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise BadAlertError(f"{where} is not a time such as 2026-11-20T13:00:00Z: {value!r}") from error
    if time.tzinfo is None:
        raise BadAlertError(f"{where} has no time zone: {value!r}")
    return time.astimezone(UTC) if time.year > 1 else None
