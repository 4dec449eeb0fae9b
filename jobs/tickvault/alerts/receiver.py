"""The server Prometheus pushes its alerts to: the part of Alertmanager's API v2 that it uses.

``POST /api/v2/alerts`` answers 200 when the alerts are in the table, 400 with a sentence when they are none, and 503
when PostgreSQL is away: Prometheus sends what still fires again every minute, and what has ended for 15 minutes.
"""

import json
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tickvault.alerts import history
from tickvault.alerts.alert import BadAlertError, read_push
from tickvault.alerts.courier import Courier
from tickvault.core.errors import ConfigError, PlatformError
from tickvault.core.settings import Settings
from tickvault.ledger import Ledger

_log = logging.getLogger(__name__)
MAX_BODY = 4 * 1024 * 1024
"""Bytes of one push; Prometheus sends at most 64 alerts at a time."""
_PATH = "/api/v2/alerts"


class _Server(ThreadingHTTPServer):
    """The listening socket, with what its requests need."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], settings: Settings, courier: Courier) -> None:
        super().__init__(address, _Request)
        self.settings, self.courier = settings, courier


class _Request(BaseHTTPRequestHandler):
    server: _Server
    timeout = 30  # seconds between two bytes of a request

    def do_GET(self) -> None:
        if self.path != "/healthz":
            self._answer(HTTPStatus.NOT_FOUND, f"alerts go to {_PATH} by POST; /healthz says whether all is well")
        elif self.server.courier.is_alive():
            self._answer(HTTPStatus.OK, "ok")
        else:
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, "nobody tells the webhook any more: restart the receiver")

    def do_POST(self) -> None:
        if self.path != _PATH:
            self._answer(HTTPStatus.NOT_FOUND, f"alerts go to {_PATH}")
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self._answer(HTTPStatus.LENGTH_REQUIRED, "say how long the body is, in Content-Length")
        elif int(length) > MAX_BODY:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a push may have {MAX_BODY} bytes, not {length}")
        else:
            self._take(self.rfile.read(int(length)))

    def _take(self, body: bytes) -> None:
        try:
            alerts = read_push(body, datetime.now(UTC))
            with Ledger.open(self.server.settings) as ledger:
                history.record(ledger, alerts)
        except BadAlertError as error:
            _log.warning("a push was refused: %s", error)
            self._answer(HTTPStatus.BAD_REQUEST, str(error))
        except PlatformError as error:
            _log.error("a push could not be written down: %s", error)
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        else:
            self.server.courier.wake()
            self._answer(HTTPStatus.OK, "")

    def _answer(self, status: HTTPStatus, text: str) -> None:
        """Answer text, or an error as Alertmanager does: a JSON string."""
        body = (text if status < HTTPStatus.BAD_REQUEST else json.dumps(text)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if status < HTTPStatus.BAD_REQUEST else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        _log.debug(format, *args)


@contextmanager
def listening(settings: Settings, host: str, port: int, interval: float = 30.0) -> Iterator[str]:
    """Serve in threads of this process; gives the URL.

    Args:
        settings: Where PostgreSQL is, and the webhook.
        host: Address to listen on.
        port: Port to listen on; 0 chooses a free one.
        interval: Seconds between two attempts to tell what could not be told.

    Raises:
        ConfigError: The port is taken or the address is not of this machine.
    """
    courier = Courier(settings, interval)
    try:
        server = _Server((host, port), settings, courier)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}; choose another --port") from error
    serving = threading.Thread(target=server.serve_forever, name="receiver", daemon=True)
    with server:
        courier.start()
        serving.start()
        try:
            yield f"http://{host}:{server.server_address[1]}"
        finally:
            server.shutdown()
            courier.stop()
            serving.join()
            courier.join(timeout=15)


def serve(settings: Settings, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigError: The port is taken or the address is not of this machine.
    """
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with listening(settings, host, port) as url:
        announce(url)
        stopped.wait()
