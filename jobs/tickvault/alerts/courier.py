"""Carries alerts to the webhook, in a thread of its own: Prometheus does not wait for Slack."""

import logging
import threading

from tickvault.alerts import history, webhook
from tickvault.core.errors import PlatformError, TerminalError
from tickvault.core.settings import Settings
from tickvault.engines.http.client import HttpClient
from tickvault.ledger import Ledger

_log = logging.getLogger(__name__)
_LOCK = "alert-courier"


class Courier(threading.Thread):
    """Tells the webhook what it does not know, after every push and every ``interval`` seconds.

    What cannot be told now stays in the table and is tried again next time. Between telling and noting it a crash can
    come: then the webhook hears twice, but never not at all. Of two receivers one carries at a time.
    """

    def __init__(self, settings: Settings, interval: float = 30.0) -> None:
        super().__init__(name="courier", daemon=True)
        self._settings, self._interval = settings, interval
        self._work, self._stopping = threading.Event(), threading.Event()

    def wake(self) -> None:
        """Say that there is something to tell."""
        self._work.set()

    def stop(self) -> None:
        """End after the round that is under way."""
        self._stopping.set()
        self._work.set()

    def run(self) -> None:
        """Go round until stopped."""
        while not self._stopping.is_set():
            self._work.clear()
            try:
                self.round()
            except PlatformError as error:
                _log.warning("alerts wait to be told: %s", error)
            self._work.wait(self._interval)

    def round(self) -> None:
        """End what has expired, then tell everything untold.

        Raises:
            PlatformError: PostgreSQL or the webhook is away; what was told until then is noted.
        """
        with Ledger.open(self._settings) as ledger, ledger.lock(_LOCK, self._settings.lock_wait_seconds):
            history.expire(ledger)
            self._tell(ledger)

    def _pause(self, seconds: float) -> None:
        self._stopping.wait(seconds)

    def _tell(self, ledger: Ledger) -> None:
        url = self._settings.alert_webhook_url
        with HttpClient(self._settings, sleep=self._pause) as client:
            for alert in history.untold(ledger):
                if url is None:
                    history.mark(ledger, alert.alert_id, history.NOBODY)
                    continue
                try:
                    webhook.tell(client, url.get_secret_value(), alert)
                except TerminalError as error:
                    # This one displeases it; the next may not.
                    _log.error("alert %s was refused and will be tried again: %s", alert.alert_id, error)
                    continue
                history.mark(ledger, alert.alert_id, alert.status)
                _log.info("told the webhook", extra={"alert": alert.name, "status": alert.status})
                if self._stopping.is_set():
                    return
