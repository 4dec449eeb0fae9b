"""A warm process that forks one child per step, so that a step does not pay for importing its libraries again.

It is started by ``ProcessRunner`` as ``python -m tickvault.runners.warm <fd>`` and talks over that socket: a message
is one JSON request with two open files, the step's output and a socket that gets ``<pid>`` and then ``<exit code>``.
It ends, and ends its children, when the other side of the socket closes, even by a kill.
"""

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import warnings
from typing import Any, NoReturn

from tickvault.core.settings import replace_environment

PRELOAD = (
    "tickvault.cli.extract",
    "tickvault.cli.load",
    "tickvault.transfer.extraction",
    "tickvault.transfer.loading",
    "tickvault.sinks.postgres",
    "tickvault.sinks.snowflake",
    "pyarrow.parquet",
    "psycopg",
    "requests",
    "adbc_driver_postgresql.dbapi",
    "numpy",
    "snowflake.connector",
    "faker",
    "yfinance",
)
"""Imported once; what is not installed is left out. Importing these starts no thread, which a fork would lose."""

MESSAGE_BYTES = 200_000


class _Forks:
    """The children, by process id, with the socket each one's end is told to."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.running: dict[int, socket.socket] = {}

    def accept(self) -> bool:
        """Start the step of one request; False when the runner is gone."""
        message, files, _, _ = socket.recv_fds(self.channel, MESSAGE_BYTES, 2)
        if not message:
            return False
        output, status = files
        pid = os.fork()
        if pid == 0:
            _become(json.loads(message), output)
        os.close(output)
        self.running[pid] = socket.socket(fileno=status)
        self._send(pid, str(pid))
        return True

    def reap(self) -> None:
        """Tell of every child that ended."""
        while self.running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            self._send(pid, str(code if code >= 0 else 128 - code))
            self.running.pop(pid).close()

    def _send(self, pid: int, text: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # the runner gave this step up
            self.running[pid].sendall(f"{text}\n".encode())

    def end(self) -> None:
        """Ask every child to stop, and wait for it."""
        for pid in self.running:
            try:
                os.killpg(pid, signal.SIGTERM)
            except ProcessLookupError:  # it is so young that it leads no group yet
                os.kill(pid, signal.SIGTERM)
        while self.running:
            pid, _ = os.waitpid(-1, 0)
            self.running.pop(pid, None)


def serve(channel: socket.socket) -> None:
    """Import what steps need, then fork until the channel closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the runner, which closes the channel
    cold = list(PRELOAD)
    forks = _Forks(channel)
    woken, waker = socket.socketpair()
    woken.setblocking(False)
    waker.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker.fileno())
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select(0 if cold else None):
                if key.fileobj is woken:
                    woken.recv(4096)
                    forks.reap()
                elif not forks.accept():
                    forks.end()
                    return
            if cold:  # one at a time: a step that comes early imports for itself what is not there yet
                _import(cold.pop(0))
                if not cold:
                    gc.collect()
                    gc.freeze()  # what is shared stays shared: the collector would write into every page


def _import(name: str) -> None:
    with contextlib.suppress(ImportError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module(name)


def _become(request: dict[str, Any], output: int) -> NoReturn:
    """Turn this fork into ``tickvault <arguments>`` and end with its exit code."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number, handler in (
            (signal.SIGCHLD, signal.SIG_DFL),
            (signal.SIGTERM, signal.SIG_DFL),
            (signal.SIGINT, signal.default_int_handler),
        ):
            signal.signal(number, handler)
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", closefd=False)
        os.chdir(request["folder"])
        replace_environment(request["environment"])
        sys.argv = ["tickvault", *request["arguments"]]
        from tickvault.cli import main

        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:  # noqa: BLE001 - a fork must never return into the server's loop
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
