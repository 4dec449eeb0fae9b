"""What a run leaves in Prometheus, through the Pushgateway: a batch job is gone before it could be scraped."""

import logging
import time
from typing import TYPE_CHECKING

from tickvault.core.settings import Settings

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_log = logging.getLogger(__name__)


def push_start(settings: Settings, job: str) -> None:
    """Push that a run begins: one that is killed never says more, and is missed by that."""
    if not settings.pushgateway_url:
        return
    from prometheus_client import CollectorRegistry, Gauge

    registry = CollectorRegistry()
    Gauge("tickvault_run_start_timestamp_seconds", "When the last run began", registry=registry).set(time.time())
    _push(settings.pushgateway_url, job, registry)


def push_run(settings: Settings, job: str, exit_code: int, seconds: float, counts: dict[str, int]) -> None:
    """Push a finished run's figures; a gateway that is away is a warning, never the run's failure."""
    if not settings.pushgateway_url:
        return
    from prometheus_client import CollectorRegistry, Gauge

    registry = CollectorRegistry()
    now = time.time()
    Gauge("tickvault_run_duration_seconds", "Duration of the last run", registry=registry).set(seconds)
    Gauge("tickvault_run_exit_code", "Exit code of the last run", registry=registry).set(exit_code)
    Gauge("tickvault_run_end_timestamp_seconds", "When the last run ended", registry=registry).set(now)
    rows = Gauge("tickvault_run_rows", "Rows of the last run", ["kind"], registry=registry)
    for name, count in counts.items():
        rows.labels(name.removeprefix("rows_")).set(count)
    if exit_code == 0:
        # Only pushed on success: pushadd leaves the value of the last green run in place otherwise.
        name = "tickvault_run_success_timestamp_seconds"
        Gauge(name, "When the last complete run ended", registry=registry).set(now)
    _push(settings.pushgateway_url, job, registry)


def _push(url: str, job: str, registry: "CollectorRegistry") -> None:
    from prometheus_client import pushadd_to_gateway

    try:
        pushadd_to_gateway(url, job=job, registry=registry, timeout=5)
    except OSError as error:
        _log.warning("metrics were not pushed to %s: %s", url, error)
