"""What runs until it is told to stop: signals, a drain with an end, health and figures over HTTP, an honest exit code.

``run_service`` is to a Deployment what ``run_job`` is to a CronJob. The work is a function that gets the ``Service``,
beats while it is well, and returns soon after ``stopping`` is set; routes of its own, or ``runs.child``, do without.
"""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tickvault.core import faults, log
from tickvault.core.errors import BUG, BUG_MESSAGE, ExitCode, PlatformError
from tickvault.core.settings import Settings
from tickvault.runs.endpoints import Routes, listening

_log = logging.getLogger(__name__)
SILENCE_SECONDS = 60.0
"""How long work may go without a beat before it counts as hung."""


class Service:
    """What the work of a service is given, and what its health is read from. Methods may be called by any thread.

    Attributes:
        stopping: Set when the service is to stop: take nothing new, finish what is under way, return.
        waits_for: What it waits for before it is ready, as a noun («its partitions»); empty: ready.
        cut_short: Called when the drain is over and the work is not: the last moment to end what would outlive us.
    """

    def __init__(self, name: str, silence_seconds: float = SILENCE_SECONDS) -> None:
        self.name = name
        self.stopping = threading.Event()
        self.waits_for = ""
        self.cut_short: list[Callable[[], object]] = []
        self._silence = silence_seconds
        self._heard = time.monotonic()
        self._ended = threading.Event()
        self._code: int = BUG

    def beat(self) -> None:
        """Say that the work goes on."""
        self._heard = time.monotonic()

    def wait(self, seconds: float) -> bool:
        """Wait, which counts as beating; True, at once, when the service is to stop."""
        self._heard = time.monotonic() + seconds
        stopping = self.stopping.wait(seconds)
        self.beat()
        return stopping

    def stop(self) -> None:
        """Have the service drain and end, as SIGTERM does."""
        self.stopping.set()

    def illness(self) -> str:
        """Say why it should be restarted; empty: it lives. Whoever stops is bounded by the drain instead."""
        silent = time.monotonic() - self._heard
        if self._ended.is_set():
            return f"the work of {self.name} has ended with {self._code}"
        if silent > self._silence and not self.stopping.is_set():
            return f"{self.name} has not beaten for {silent:.0f} s, more than {self._silence:g} s: it hangs"
        return ""

    def unreadiness(self) -> str:
        """Say why it takes no work; empty: it does."""
        waiting = f"{self.name} waits for {self.waits_for}" if self.waits_for else ""
        return f"{self.name} is stopping" if self.stopping.is_set() else self.illness() or waiting

    def perform(self, work: "Work") -> int:
        """Do the work in a thread, so that signals and probes are answered whatever it does; returns its exit code."""
        threading.Thread(target=self._work, args=(work,), name=self.name, daemon=True).start()
        self._ended.wait()
        return self._code

    def _work(self, work: "Work") -> None:
        try:
            self._code = work(self) or ExitCode.COMPLETE
        except PlatformError as error:
            self._code = error.exit_code
            _log.error("%s", error, extra={"error_type": type(error).__name__})
        except Exception:  # noqa: BLE001 - whatever happened, the process ends with a code that says so
            _log.exception(BUG_MESSAGE)
        finally:
            self.stop()
            self._ended.set()


Work = Callable[[Service], int | None]
"""Returns the exit code, None for 0; a ``PlatformError`` has its own, any other is a bug, 1."""


def run_service(
    name: str,
    settings: Settings,
    work: Work | None = None,
    *,
    routes: Routes | None = None,
    host: str = "0.0.0.0",  # noqa: S104 - probes and Prometheus come from other machines
    port: int = 8080,
    silence_seconds: float = SILENCE_SECONDS,
    announce: Callable[[str], None] = lambda _url: None,
) -> int:
    """Run a service, from the main thread, until SIGTERM, SIGINT or the end of its work, and return its exit code.

    It is not ready from the signal on. Work and open requests may finish for ``SERVICE_DRAIN_SECONDS``; what is not
    done by then, or at a second signal, is given up: the process ends at once with 75.

    Args:
        name: Names it in log lines and sentences.
        settings: The settings.
        work: What it does; without, it answers ``routes`` until it is stopped.
        routes: Answers of its own, by method and path, beside ``/healthz``, ``/readyz`` and ``/metrics``.
        host: Address to listen on.
        port: Port to listen on; 0 chooses a free one.
        silence_seconds: How long ``work`` may go without a beat before ``/healthz`` fails.
        announce: Called with the URL once requests are answered.
    """
    log.configure(settings, service=name)
    service = Service(name, silence_seconds if work else float("inf"))
    try:
        faults.arm(settings.fault_at)
        with _drained(service, settings.service_drain_seconds), listening(service, host, port, routes) as url:
            _log.info("listening", extra={"url": url})
            announce(url)
            code = service.perform(work or _stand)
    except PlatformError as error:
        code = error.exit_code
        _log.error("%s", error, extra={"error_type": type(error).__name__})
    _log.info("ended", extra={"exit_code": int(code)})
    return int(code)


def _stand(service: Service) -> None:
    service.stopping.wait()


@contextmanager
def _drained(service: Service, seconds: float) -> Iterator[None]:
    """Stop the service at a signal, and end the process if that takes longer than ``seconds`` or at a second one."""
    over, hurried = threading.Event(), threading.Event()

    def hear(signals: socket.socket) -> None:
        with signals:
            if signals.recv(1):
                service.stop()
            if signals.recv(1):
                hurried.set()
                over.set()

    def watch() -> None:
        service.stopping.wait()
        if not over.is_set():
            _log.info("stopping", extra={"drain_seconds": seconds})
        if over.wait(seconds) and not hurried.is_set():
            return
        reason = "it was told to stop twice" if hurried.is_set() else f"it was not done in {seconds:g} s"
        _log.error("ended with work undone: %s", reason)
        for end in service.cut_short:
            end()
        os._exit(ExitCode.TRANSIENT)

    watcher = threading.Thread(target=watch, name="drain", daemon=True)
    watcher.start()
    try:
        with _signals() as signals:
            threading.Thread(target=hear, args=(signals,), name="signals", daemon=True).start()
            yield
    finally:
        over.set()
        service.stop()
        watcher.join()


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """Give a socket that gets a byte for each SIGTERM and SIGINT.

    A handler would wait for the main thread, which may be inside a call that does not come back, or about to sleep.
    """
    signals, wakeup = socket.socketpair()
    wakeup.setblocking(False)
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    descriptor = signal.set_wakeup_fd(wakeup.fileno(), warn_on_full_buffer=False)
    try:
        yield signals
    finally:
        signal.set_wakeup_fd(descriptor)
        for number, handler in before.items():
            signal.signal(number, handler)
        wakeup.close()
