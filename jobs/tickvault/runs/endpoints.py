"""The HTTP side of a service: ``/healthz``, ``/readyz``, ``/metrics``, and routes of its own."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Protocol
from urllib.parse import urlsplit

from prometheus_client import REGISTRY
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from tickvault.core.errors import BUG_MESSAGE, ConfigError, PlatformError, TransientError

_log = logging.getLogger(__name__)
MAX_BODY = 4 * 1024 * 1024
"""Bytes of one request's body."""
_TEXT = "text/plain; charset=utf-8"

Handler = Callable[[bytes, Message], tuple[int, str]]
"""Takes body and headers, gives status and text; a ``TransientError`` becomes 503, whatever else it raises 500."""
Routes = Mapping[tuple[str, str], Handler]
"""Handlers by method and path."""


class Health(Protocol):
    """What is asked for the state of a service; an empty answer is a good one."""

    def illness(self) -> str:
        """Say why it should be restarted."""

    def unreadiness(self) -> str:
        """Say why it takes no work."""


@contextmanager
def listening(health: Health, host: str, port: int, routes: Routes | None = None) -> Iterator[str]:
    """Answer in threads of this process for as long as the context lasts; gives the URL.

    At its end no new request is taken, and those under way are finished.

    Raises:
        ConfigError: The port is taken or the address is not of this machine.
    """
    try:
        server = _Server((host, port), health, routes or {})
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}; choose another --port") from error
    serving = threading.Thread(target=server.serve_forever, args=(0.1,), name="endpoints", daemon=True)
    with server:
        serving.start()
        try:
            yield f"http://{host}:{server.server_address[1]}"
        finally:
            server.shutdown()
            serving.join()


class _Server(ThreadingHTTPServer):
    """The listening socket, with what its requests need."""

    daemon_threads = False  # closing it waits for the requests under way
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], health: Health, routes: Routes) -> None:
        super().__init__(address, _Request)
        self.routes: Routes = {
            **routes,
            ("GET", "/healthz"): _probe(health.illness, HTTPStatus.INTERNAL_SERVER_ERROR),
            ("GET", "/readyz"): _probe(health.unreadiness, HTTPStatus.SERVICE_UNAVAILABLE),
            ("GET", "/metrics"): lambda _body, _headers: (HTTPStatus.OK, generate_latest(REGISTRY).decode()),
        }

    def server_bind(self) -> None:
        """Bind without HTTPServer's own question to the name service, which may be out of reach."""
        TCPServer.server_bind(self)


def _probe(ask: Callable[[], str], status: HTTPStatus) -> Handler:
    def answer(_body: bytes, _headers: Message) -> tuple[int, str]:
        sentence = ask()
        return (status, sentence) if sentence else (HTTPStatus.OK, "ok")

    return answer


class _Request(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10  # seconds between two bytes of a request: a silent client must not hold up the end

    def _respond(self) -> None:
        path = urlsplit(self.path).path
        handler = self.server.routes.get((self.command, path))
        length = self.headers.get("Content-Length", "0" if self.command == "GET" else "")
        if handler is None:
            known = ", ".join(" ".join(route) for route in self.server.routes)
            self._answer(HTTPStatus.NOT_FOUND, f"{self.command} {path} is nothing; there is {known}")
        elif not length.isdecimal():
            self._answer(HTTPStatus.LENGTH_REQUIRED, "say how long the body is, in Content-Length")
        elif int(length) > MAX_BODY:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body may have {MAX_BODY} bytes, not {length}")
        else:
            kind = CONTENT_TYPE_LATEST if path == "/metrics" else _TEXT
            self._answer(*self._handled(handler, self.rfile.read(int(length))), kind)

    do_GET = do_POST = do_PUT = do_DELETE = _respond  # noqa: N815 - http.server's names

    def _handled(self, handler: Handler, body: bytes) -> tuple[int, str]:
        try:
            return handler(body, self.headers)
        except PlatformError as error:
            _log.error("%s", error, extra={"error_type": type(error).__name__, "path": self.path})
            passing = isinstance(error, TransientError)
            return HTTPStatus.SERVICE_UNAVAILABLE if passing else HTTPStatus.INTERNAL_SERVER_ERROR, str(error)
        except Exception as error:  # noqa: BLE001 - one request's bug is not the end of the others
            _log.exception(BUG_MESSAGE)
            return HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: see the log"

    def _answer(self, status: int, text: str, kind: str = _TEXT) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        _log.debug(format, *args)
