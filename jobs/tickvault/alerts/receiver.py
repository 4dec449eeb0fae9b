"""What Prometheus pushes its alerts to, beside Alertmanager: the part of Alertmanager's API v2 that it uses.

``POST /api/v2/alerts`` answers 200 when the alerts are in the table, 400 with a sentence when they are none, and 503
when PostgreSQL is away: Prometheus sends what still fires again every minute, and what has ended for 15 minutes.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus

from tickvault.alerts.alert import BadAlertError, read_push
from tickvault.core.errors import PlatformError
from tickvault.core.settings import Settings
from tickvault.ledger import Ledger

_log = logging.getLogger(__name__)
ROUTE = ("POST", "/api/v2/alerts")
EXPIRY_SECONDS = 30.0
"""Time between two looks at what nobody pushes any more."""


def receiver(settings: Settings) -> Callable[[bytes, object], tuple[int, str]]:
    """Give the handler of ``ROUTE``: body and headers in, status and text out.

    Raises:
        PlatformError: By the handler, when PostgreSQL is away; nothing of that push is written.
    """

    def take(body: bytes, _headers: object) -> tuple[int, str]:
        try:
            alerts = read_push(body, datetime.now(UTC))
        except BadAlertError as error:
            _log.warning("a push was refused: %s", error)
            return HTTPStatus.BAD_REQUEST, str(error)
        with Ledger.open(settings) as ledger:
            ledger.alerts.record([alert.row() for alert in alerts])
        return HTTPStatus.OK, ""

    return take


def expire(settings: Settings) -> None:
    """End the alerts nobody pushed again in time; with PostgreSQL away they end next time."""
    try:
        with Ledger.open(settings) as ledger:
            ledger.alerts.expire()
    except PlatformError as error:
        _log.warning("what has expired stays as it is for now: %s", error)
