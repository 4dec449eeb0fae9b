"""Runs steps as local processes, each a fork of one warm process."""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from tickvault.core.errors import SinkUnavailableError
from tickvault.core.settings import environment as own_environment
from tickvault.core.slot import Slot
from tickvault.engines.scratch import scratch
from tickvault.runners.runner import Runner, StepEnd, parse_report
from tickvault.runners.step import Step

_GRACE_SECONDS = 15.0


class ProcessRunner(Runner):
    """Forks ``tickvault`` off a warm process: a step costs about 0.1 s before its own work instead of 1.5 s.

    Args:
        environment: Variables of every step, over this process's own.
        parallel: Steps that run at once, whichever flow they belong to.
        timeout_seconds: A step that runs longer is ended, and counts as transient.
    """

    def __init__(
        self, environment: Mapping[str, str] | None = None, parallel: int = 2, timeout_seconds: float = 3600.0
    ) -> None:
        self.parallel = parallel
        self._environment = dict(environment or {})
        self._timeout = timeout_seconds
        self._places = threading.Semaphore(parallel)
        self._lock = threading.Lock()
        self._server: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._closed = False

    def warm(self) -> None:
        """Start the warm process without waiting for it; the first step does so too."""
        with self._lock:
            self._connected()

    def perform(
        self, step: Step, slot: Slot, environment: Mapping[str, str], on_line: Callable[[str], None], owner: str
    ) -> StepEnd:
        """Run a step; at most ``parallel`` at once, the others wait here."""
        _ = owner
        with self._places, scratch("step") as folder:
            report = folder / "termination"
            variables = own_environment() | self._environment | dict(environment)
            variables |= {"TICKVAULT_SLOT": slot.id, "TICKVAULT_TERMINATION_LOG": str(report)}
            started = time.monotonic()
            with _Child(*self._fork(step.argv, variables)) as child:
                code, late = child.follow(on_line, started + self._timeout)
            reason = None
            if late:
                reason = f"ended after {self._timeout:g} s, the longest a step may take (STEP_TIMEOUT_SECONDS)"
            elif code > 128:  # noqa: PLR2004 - the shell's way to say «by a signal»
                reason = f"killed by {_signal_name(code - 128)}"
            text = report.read_text(encoding="utf-8") if report.exists() else None
            seconds = time.monotonic() - started
            return StepEnd(code, parse_report(text), reason, seconds, f"process {child.pid}")

    def close(self) -> None:
        """End the warm process and with it every step still running."""
        with self._lock:
            self._closed = True
            if self._channel is not None:
                self._channel.close()
                self._channel = None
            if self._server is not None:
                with suppress(subprocess.TimeoutExpired):
                    self._server.wait(_GRACE_SECONDS)
                self._server.kill()
                self._server.wait()
                self._server = None

    def _fork(self, argv: tuple[str, ...], variables: dict[str, str]) -> tuple[int, socket.socket]:
        """Ask for a fork; returns its output and the socket that tells its id and its exit code."""
        request = {"arguments": argv, "environment": variables, "folder": str(Path.cwd())}
        output, theirs = os.pipe()
        status, status_theirs = socket.socketpair()
        try:
            with self._lock:
                socket.send_fds(self._connected(), [json.dumps(request).encode()], [theirs, status_theirs.fileno()])
        except OSError as error:
            os.close(output)
            status.close()
            raise SinkUnavailableError(f"the warm process does not take a step: {error}") from error
        finally:
            os.close(theirs)
            status_theirs.close()
        return output, status

    def _connected(self) -> socket.socket:
        if self._closed:
            raise SinkUnavailableError("the runner is closed: it takes no more steps")
        if self._channel is None or self._server is None or self._server.poll() is not None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                command = [sys.executable, "-m", "tickvault.runners.warm", str(theirs.fileno())]
                self._server = subprocess.Popen(command, pass_fds=[theirs.fileno()])
            self._channel = ours
        return self._channel


class _Child:
    """A step's process, as far as it is seen through its output and its status socket."""

    def __init__(self, output: int, status: socket.socket) -> None:
        self.output, self.status = output, status
        self.pid = 0
        self._status_text, self._rest = b"", b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._kill(signal.SIGTERM)
        os.close(self.output)
        self.status.close()

    def follow(self, on_line: Callable[[str], None], deadline: float) -> tuple[int, bool]:
        """Pass lines on until the process ended; returns its exit code and whether time ran out."""
        late = False
        with selectors.DefaultSelector() as selector:
            selector.register(self.output, selectors.EVENT_READ)
            selector.register(self.status, selectors.EVENT_READ)
            while True:
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    self._kill(signal.SIGKILL if late else signal.SIGTERM)
                    late, deadline = True, time.monotonic() + _GRACE_SECONDS
                for key, _ in sorted(ready, key=lambda item: item[0].fileobj is self.status):
                    if key.fileobj is not self.status:
                        if not self._read(on_line):
                            selector.unregister(self.output)
                    elif not self._listen():
                        os.set_blocking(self.output, False)  # a grandchild may hold it open for ever
                        while self._read(on_line):
                            pass
                        return self._exit_code(), late

    def _read(self, on_line: Callable[[str], None]) -> bool:
        try:
            data = os.read(self.output, 65536)
        except BlockingIOError:
            data = b""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if not data and self._rest:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            on_line(line.decode(errors="replace"))
        return bool(data)

    def _listen(self) -> bool:
        """Read the status; False once it is all."""
        data = self.status.recv(64)
        self._status_text += data
        if not self.pid and b"\n" in self._status_text:
            self.pid = int(self._status_text.split(b"\n")[0])
        return bool(data)

    def _exit_code(self) -> int:
        lines = self._status_text.split()
        return int(lines[1]) if len(lines) == 2 else 128 + signal.SIGKILL  # noqa: PLR2004 - id and exit code

    def _kill(self, number: signal.Signals) -> None:
        if self.pid:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
