"""A provider on a stage: what the simulator answers is recorded once and then served again, whole or spoilt."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests


@dataclass(frozen=True)
class Answer:
    """One answer of a provider, by the path and query it was asked with."""

    address: str
    status: int
    kind: str
    body: bytes
    location: str = ""


@dataclass
class Stage:
    """Serves what was recorded; ``spoil`` may change any answer on its way.

    Args:
        behind: Address of the simulator, asked for what is not recorded yet; addresses of it in bodies become ours.
    """

    behind: str
    url: str = ""
    recording: bool = True
    recorded: dict[str, Answer] = field(default_factory=dict)
    spoil: Callable[[Answer], Answer] = lambda answer: answer

    def base(self, provider: str) -> str:
        """Give the base address a source is configured with."""
        return f"{self.url}/{provider}"

    def answer(self, address: str, headers: Mapping[str, str]) -> Answer:
        """Give the answer of an address; one that was never asked for is not found."""
        if self.recording and address not in self.recorded:
            sent = {name: value for name, value in headers.items() if name != "Host"}
            came = requests.get(self.behind + address, headers=sent, timeout=10)
            body = came.content.replace(self.behind.encode(), self.url.encode())
            self.recorded[address] = Answer(address, came.status_code, came.headers["Content-Type"], body)
        answer = self.recorded.get(address, Answer(address, 404, "application/json", b"{}"))
        return answer if self.recording else self.spoil(answer)

    @contextmanager
    def spoiling(self, spoil: Callable[[Answer], Answer]) -> Iterator[None]:
        """Serve recorded answers only, each through ``spoil``."""
        self.recording, self.spoil = False, spoil
        try:
            yield
        finally:
            self.recording = True


@contextmanager
def raised(behind: str) -> Iterator[Stage]:
    """Serve a stage for as long as the context lasts."""
    stage = Stage(behind)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer = stage.answer(self.path, dict(self.headers))
            head = f"HTTP/1.1 {answer.status} Some\r\nContent-Type: {answer.kind}\r\n"
            head += f"Content-Length: {len(answer.body)}\r\n"
            head += f"Location: {answer.location}\r\n" if answer.location else ""
            self.wfile.write(head.encode("latin-1", "replace") + b"\r\n" + answer.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stage.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stage
    finally:
        server.shutdown()
        server.server_close()
