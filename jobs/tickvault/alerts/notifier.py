"""Alertmanager, as `tickvault alert test` asks it: it takes alerts as the receiver does, and counts whom it told.

It has no answer to whether people heard of one alert, only figures of all its notifications:
https://github.com/prometheus/alertmanager/blob/main/notify/notify.go
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

from tickvault.core.errors import ConfigError
from tickvault.engines.http.client import HttpClient, Provider, RefusedRequestError

_RECEIVER = Provider("the alert receiver", 600, url_setting="ALERT_RECEIVER_URL", attempts=2)
_ALERTMANAGER = Provider("Alertmanager", 600, url_setting="ALERTMANAGER_URL", attempts=2)
_LOOK_SECONDS = 0.5


def push(client: HttpClient, url: str, alerts: Sequence[dict[str, Any]], provider: Provider = _RECEIVER) -> None:
    """Send alerts as Prometheus does: to the receiver, unless another provider is named.

    Raises:
        ConfigError: It refuses them: whoever answers there takes no alerts.
        SourceUnavailableError: It does not answer, or could not write them down.
    """
    with _named(provider):
        client.post_json(provider, f"{url.rstrip('/')}/api/v2/alerts", list(alerts))


@contextmanager
def _named(provider: Provider) -> Iterator[None]:
    """Name the setting where whoever answers does not know the question."""
    try:
        yield
    except RefusedRequestError as error:
        raise ConfigError(f"{error}; check {provider.url_setting}") from error


@dataclass(frozen=True, slots=True)
class Tally:
    """Requests to those whom Alertmanager tells, since it started.

    Args:
        integrations: How many it is to tell: a Slack, a mailbox, a webhook each.
        sent: Requests that were taken.
        failed: Requests that were not, by the kind of integration.
    """

    integrations: int
    sent: int
    failed: dict[str, int]

    @classmethod
    def read(cls, metrics: str) -> Self:
        """Read what ``/metrics`` answers.

        Raises:
            ConfigError: They are not Alertmanager's.
        """
        from prometheus_client.parser import text_string_to_metric_families

        prefix = "alertmanager_notification_requests"
        found: dict[str, dict[str, int]] = {}
        with suppress(ValueError):  # a web page, for instance
            for sample in (s for family in text_string_to_metric_families(metrics) for s in family.samples):
                kind, kinds = sample.labels.get("integration", ""), found.setdefault(sample.name, {})
                kinds[kind] = kinds.get(kind, 0) + int(sample.value)
        if "alertmanager_integrations" not in found:
            raise ConfigError("whoever answers has no figures of Alertmanager's; check ALERTMANAGER_URL")
        failed = found.get(f"{prefix}_failed_total", {})
        requests = found.get(f"{prefix}_total", {})
        integrations = sum(found["alertmanager_integrations"].values())
        return cls(integrations, sum(requests.values()) - sum(failed.values()), failed)


class Alertmanager:
    """One Alertmanager, by its address."""

    def __init__(self, client: HttpClient, url: str) -> None:
        self._client, self.url = client, url.rstrip("/")

    def tally(self) -> Tally:
        """Return what it has told until now.

        Raises:
            ConfigError: Whoever answers is no Alertmanager.
            SourceUnavailableError: It does not answer.
        """
        with _named(_ALERTMANAGER):
            return Tally.read(self._client.get_text(_ALERTMANAGER, f"{self.url}/metrics"))

    def notify(self, alert: dict[str, Any], wait_seconds: float) -> str:
        """Hand it an alert and wait until it told somebody; returns why it did not, empty when it did.

        The figures are of all alerts: what it tells of another one meanwhile is taken for this one.

        Raises:
            ConfigError: Whoever answers is no Alertmanager.
            SourceUnavailableError: It does not answer.
        """
        before = self.tally()
        push(self._client, self.url, [alert], _ALERTMANAGER)
        if not before.integrations:
            return "Alertmanager has no receiver to tell people: give it one, for instance ALERT_WEBHOOK_URL"
        deadline = time.monotonic() + wait_seconds
        while time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            now = self.tally()
            failed = [kind for kind, count in now.failed.items() if count > before.failed.get(kind, 0)]
            if failed:
                return f"Alertmanager could not tell {', '.join(failed)}: its log says why"
            if now.sent > before.sent:
                return ""
        return f"Alertmanager told nobody within {wait_seconds:g} s: a silence, an inhibition, or a longer group_wait"
