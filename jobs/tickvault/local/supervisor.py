"""Keeps engines alive for whoever comes: a process of its own for each folder, that ends when nobody came for long.

A user connects to its socket, is told the environment of the engines, and keeps the connection for as long as it uses
them: the system closes it when the user is gone, however that came. Who holds the lock on ``engines.lock`` is the
supervisor; numbers of processes are for people alone, so no wrong one is ever ended.

A message is a line of JSON. ``use`` (with ``who``, and ``passing`` where the engines are to end with that user unless
it says ``keep``), ``borrow_clock`` (that user stops the market's clock: it is set going when the user is gone),
``facts``, ``end`` (with ``force`` to end them under their users).
"""

import fcntl
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from tickvault.core.errors import PlatformError
from tickvault.local import postgres
from tickvault.local.edition import edition
from tickvault.local.home import Home
from tickvault.local.running import Engines

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.5


class Supervisor:
    """The engines of one folder and their users.

    Args:
        home: The folder.
        idle_seconds: How long nobody may come before they end.
        engines: What is kept alive.
    """

    def __init__(self, home: Home, idle_seconds: float, engines: Engines) -> None:
        self._home, self._idle_seconds, self._engines = home, idle_seconds, engines
        self._edition = edition()
        self._users: dict[socket.socket, str] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._last_use = time.monotonic()

    def serve(self, control: socket.socket, lock: int) -> None:
        """Take users until it is over: told to, idle for too long, or the folder is gone."""
        threading.Thread(target=self._accept, args=[control], name="users", daemon=True).start()
        while not self._over.wait(_TICK_SECONDS):
            self._engines.mend()
            with self._lock:
                if self._users:
                    self._last_use = time.monotonic()
                    continue
            idle = time.monotonic() - self._last_use
            if idle > self._idle_seconds:
                idle = min(idle, self._engines.idle_seconds())
                self._last_use = time.monotonic() - idle
            if idle > self._idle_seconds:
                log.warning("nobody used the engines for %.0f s: they end", idle)
                return
            if not _same_file(lock, self._home.lock):
                log.warning("the folder is gone: the engines end")
                return

    def end(self) -> None:
        """Make it over."""
        self._over.set()

    def _accept(self, control: socket.socket) -> None:
        with suppress(OSError):  # it is closed at the end
            while True:
                user, _ = control.accept()
                threading.Thread(target=self._attend, args=[user], daemon=True).start()

    def _attend(self, user: socket.socket) -> None:
        passing = borrows = False
        with suppress(OSError, ValueError), user, user.makefile("rw", encoding="utf-8", newline="\n") as channel:
            for line in channel:
                message = json.loads(line)
                passing = message.get("passing", passing) and message["do"] != "keep"
                borrows = borrows or message["do"] == "borrow_clock"
                channel.write(json.dumps(self._answer(user, message)) + "\n")
                channel.flush()
        with self._lock:  # it is gone, however that came
            if self._users.pop(user, None) is None:
                return
            self._last_use = time.monotonic()
            if passing and not self._users:
                self.end()
                return
        if borrows:
            self._engines.set_clock_going()

    def _answer(self, user: socket.socket, message: dict[str, Any]) -> dict[str, Any]:
        if message["do"] == "use":
            with self._lock:
                if self._over.is_set():
                    return {"again": True}
                self._users[user] = str(message["who"])
            try:
                return self._engines.wake() | {"edition": self._edition}
            except PlatformError as error:
                return {"error": str(error)}
        if message["do"] == "end":
            with self._lock:
                users = sorted(self._users.values())
                if not users or message.get("force"):
                    self.end()
            return {"users": users}
        return {
            "users": sorted(self._users.values()),
            "idle_minutes": self._idle_seconds / 60,
            "engines": self._engines.facts(),
            "failures": self._engines.failures(),
            "pid": os.getpid(),
        }


def _same_file(opened: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(opened), path.stat())
    except FileNotFoundError:
        return False


def run(home: Home, idle_seconds: float) -> None:
    """Be the supervisor of a folder until it is over; one that is just ending is waited for."""
    lock = os.open(home.lock, os.O_RDWR | os.O_CREAT, 0o644)  # never closed: held until the very end of this process
    fcntl.flock(lock, fcntl.LOCK_EX)
    with ExitStack() as stack:
        data_dir = home.folder / "postgres"
        stack.enter_context(postgres.held(data_dir))
        control = home.control
        control.unlink(missing_ok=True)  # of one that was killed
        engines = Engines(home)
        stack.callback(engines.stop)
        supervisor = Supervisor(home, idle_seconds, engines)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: supervisor.end())
        opened = socket.socket(socket.AF_UNIX)
        stack.enter_context(opened)
        before = os.umask(0o177)
        opened.bind(str(control))
        os.umask(before)
        opened.listen(64)
        stack.callback(control.unlink, missing_ok=True)
        supervisor.serve(opened, lock)


if __name__ == "__main__":
    folder, live, idle = sys.argv[1:]
    logging.basicConfig(format="%(asctime)s %(message)s")
    run(Home(Path(folder), live == "live"), float(idle))
