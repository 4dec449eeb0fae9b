"""Telling a webhook, in Slack's words: https://api.slack.com/reference/messaging/attachments."""

import json
from typing import Any
from urllib.parse import urlsplit

import requests

from tickvault.alerts.alert import EXPIRED, FIRING
from tickvault.alerts.history import Untold
from tickvault.core.errors import ConfigError, SourceUnavailableError
from tickvault.engines.http.answer import Provider, refuse
from tickvault.engines.http.client import HttpClient

_WEBHOOK = Provider("the alert webhook", 60, url_setting="ALERT_WEBHOOK_URL", attempts=3, read_timeout=10.0)
_EXCERPT = 2000


def message(alert: Untold) -> dict[str, Any]:
    """Return the JSON of one alert: a line of text, and the alert's own values as fields."""
    more = " (its sender has gone silent)" if alert.status == EXPIRED else ""
    fields = {
        "status": alert.status,
        "alert": alert.name,
        "severity": alert.severity,
        "started": alert.started_at,
        "ended": alert.ended_at,
        **{name: text for name, text in alert.labels.items() if name not in {"alertname", "severity"}},
        "id": alert.alert_id,
    }
    more_to_say = (alert.annotations.get(name) for name in ("description", "runbook"))
    attachment = {
        "color": "good" if alert.status != FIRING else "danger" if alert.severity == "critical" else "warning",
        "text": _escape("\n".join(text for text in more_to_say if text)),
        "fields": [
            {"title": _escape(name), "value": _escape(text), "short": True} for name, text in fields.items() if text
        ],
    }
    return {
        "text": _escape(f"[{alert.status.upper()}] {alert.severity} {alert.name}: {alert.summary}{more}"),
        "attachments": [attachment],
    }


def tell(client: HttpClient, url: str, alert: Untold) -> None:
    """Post one alert, by the platform's rules for retries; the address, which holds Slack's key, is never shown.

    Raises:
        ConfigError: The address is none.
        SourceUnavailableError: It does not answer, or not well, after all attempts.
        SourceRejectedError: It answers 4xx: the address is wrong, or the message displeases it.
    """
    where = f"{_WEBHOOK.name} ({_host(url)})"
    body = json.dumps(message(alert), ensure_ascii=False).encode()

    def attempt() -> None:
        try:
            answer = requests.post(
                url,
                data=body,
                headers={"Content-Type": "application/json; charset=utf-8"},
                timeout=(_WEBHOOK.connect_timeout, _WEBHOOK.read_timeout),
                allow_redirects=False,
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
            raise ConfigError(f"{where}: not an address to call; check ALERT_WEBHOOK_URL") from None
        except requests.RequestException as error:
            # Its text would name the address.
            raise SourceUnavailableError(f"{where}: cannot be reached, {type(error).__name__}") from None
        if answer.is_redirect:
            raise ConfigError(f"{where}: redirects elsewhere; check ALERT_WEBHOOK_URL")
        refuse(_WEBHOOK, where, answer, answer.content[:_EXCERPT])

    client.call(_WEBHOOK, attempt)


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        raise ConfigError(f"{_WEBHOOK.name}: not an address to call; check ALERT_WEBHOOK_URL") from None


def _escape(text: str) -> str:
    """Slack's three characters with a meaning: https://api.slack.com/reference/surfaces/formatting#escaping."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
