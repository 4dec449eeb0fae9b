"""The platform's engines as processes of this machine, shared by all who use them; ``local.supervisor`` keeps them."""

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from tickvault.core.errors import SinkUnavailableError
from tickvault.core.program import pasted
from tickvault.local import child
from tickvault.local.edition import edition
from tickvault.local.home import Home

if TYPE_CHECKING:
    from tickvault.local.simulator import Simulator

_START_SECONDS = 900.0
_LOG_BYTES = 2**20
"""A log longer than this is begun anew by the next start."""


class Line:
    """A connection to the supervisor of a folder; as long as it is open, its holder counts as a user."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._channel = connected.makefile("rw", encoding="utf-8", newline="\n")

    def ask(self, what: str, **details: object) -> dict[str, Any]:
        """Send a message and return the answer; {} where the supervisor ended meanwhile."""
        with suppress(OSError, ValueError):
            self._channel.write(json.dumps({"do": what, **details}) + "\n")
            self._channel.flush()
            if line := self._channel.readline():
                answer: dict[str, Any] = json.loads(line)
                return answer
        return {}

    def wait_for_the_end(self) -> None:
        """Return when the supervisor is gone."""
        with suppress(OSError):
            while self._channel.readline():
                pass

    def close(self) -> None:
        """Use the engines no more."""
        with suppress(OSError):
            self._channel.close()
        self._socket.close()


@dataclass(slots=True)
class Local:
    """Engines in use, and the environment that points the platform at them.

    Args:
        environment: The variables.
        simulator: The simulated market, None where the public APIs are used.
        notes: Sentences for whoever started it, for instance of a port that had to change.
        line: What keeps them in use.
    """

    environment: dict[str, str]
    simulator: "Simulator | None"
    notes: list[str] = field(default_factory=list)
    line: Line | None = None

    kept: bool = False
    """Whether the engines outlive their user, although it is only passing."""

    def wake(self) -> None:
        """Wait until the emulator is up, however slow the machine; else the first call wakes it, within a minute.

        Raises:
            SinkUnavailableError: It does not start.
        """
        import urllib.request  # few commands wait

        address = f"http://{self.environment['SNOWFLAKE_HOST']}:{self.environment['SNOWFLAKE_PORT']}/healthz"
        try:
            urllib.request.urlopen(address, timeout=_START_SECONDS).close()
        except OSError as error:
            log = f"{self.environment['TICKVAULT_HOME']}/snowflake/emulator.log"
            raise SinkUnavailableError(f"the Snowflake emulator does not start; see {log}: {error}") from error

    def borrow_clock(self) -> None:
        """Have the market's time follow the wall clock again when this user is gone, however that comes."""
        if self.line is not None:
            self.line.ask("borrow_clock")

    def keep(self) -> None:
        """Have the engines outlive their user, as they do unless it was only ``passing``."""
        if self.line is not None:
            self.line.ask("keep")
        self.kept = True


@contextmanager
def use(home: Home, who: str, *, idle_minutes: float, passing: bool = False) -> Iterator[Local]:
    """Use the engines of a folder, starting what is not running; they stay for the next one.

    Args:
        home: The folder.
        who: What uses them, for whoever asks.
        idle_minutes: How long they stay when nobody uses them; said by who starts them.
        passing: Whether engines we start end with us, however we end, unless ``keep`` is called.

    Raises:
        SinkUnavailableError: An engine does not start.
        ConfigError: An extra is not installed.
    """
    from tickvault.local.simulator import Simulator

    home.folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _START_SECONDS
    line, started = _reached(home, idle_minutes)
    ends_with_us = passing and started
    try:
        name = f"{who} (process {os.getpid()})"
        while "environment" not in (answer := line.ask("use", who=name, passing=ends_with_us)):
            if "error" in answer or time.monotonic() > deadline:
                again = f"the engines of {home.folder} end again and again; see {home.log}"
                raise SinkUnavailableError(answer.get("error", again))
            line.close()  # they were just ending
            line, started = _reached(home, idle_minutes)
            ends_with_us = passing and started
        market = Simulator(answer["market"]) if answer["market"] else None
        outdated = [_outdated(home)] if answer.get("edition") != edition() else []
        local = Local(answer["environment"], market, answer["notes"] + outdated, line)
        yield local
        ends_with_us = ends_with_us and not local.kept
    finally:
        line.close()
        if ends_with_us:
            _wait_until_gone(home)


def _outdated(home: Home) -> str:
    # Said, not done: a notebook or psql may be at work on them, which no supervisor counts as a user.
    down = pasted(f"tickvault local {'--live ' if home.live else ''}down")
    return f"these engines run the code of before an update: '{down}' ends them, the next command starts today's"


def running(home: Home) -> Line | None:
    """Return a connection to the supervisor of a folder, None where there is none."""
    connected = socket.socket(socket.AF_UNIX)
    try:
        connected.connect(str(home.control))
    except (FileNotFoundError, ConnectionRefusedError):
        connected.close()
        return None
    return Line(connected)


def are_running(home: Home) -> bool:
    """Tell whether a folder has a supervisor."""
    if line := running(home):
        line.close()
    return line is not None


def end(home: Home, *, force: bool = False) -> list[str] | None:
    """End the engines of a folder, and return when they are gone.

    Returns:
        Who uses them: they run on then, unless ``force`` says otherwise. None where nothing ran.
    """
    line = running(home)
    if line is None:
        return None
    users: list[str] = line.ask("end", force=force).get("users", [])
    if not users or force:
        line.wait_for_the_end()
        _wait_until_gone(home)
    line.close()
    return users


def _wait_until_gone(home: Home) -> None:
    with home.lock.open("a") as lock:  # it holds it until the last engine has ended
        fcntl.flock(lock, fcntl.LOCK_EX)


def _reached(home: Home, idle_minutes: float) -> tuple[Line, bool]:
    """Connect to the supervisor, and start it if there is none; says whether it was started."""
    with home.starting.open("w") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)  # one starts it, the others wait here
        if line := running(home):
            return line, False
        with home.log.open("wb" if home.log.exists() and home.log.stat().st_size > _LOG_BYTES else "ab") as log:
            begin = log.tell()
            process = _spawn(home, idle_minutes, log)
        found: list[Line] = []

        def answers() -> bool:
            found.extend(filter(None, [running(home)]))
            return bool(found)

        try:
            child.await_start(process, answers, f"what keeps the engines of {home.folder}", ())
        except SinkUnavailableError as error:
            said = home.log.read_bytes()[begin:].decode(errors="replace").strip()[-2000:]
            raise SinkUnavailableError(f"{error}; {home.log} says: {said}") from error
        finally:
            if not found:  # nobody knows of it yet
                process.terminate()
                process.wait()
    return found[0], True


def _spawn(home: Home, idle_minutes: float, log: IO[bytes]) -> "subprocess.Popen[bytes]":
    # In a session of its own, so that neither Ctrl-C nor the end of a terminal reaches it.
    arguments = [str(home.folder), "live" if home.live else "", str(idle_minutes * 60)]
    return subprocess.Popen(
        [sys.executable, "-m", "tickvault.local.supervisor", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def postgres_environment(uri: str) -> dict[str, str]:
    """Return the ``POSTGRES_*`` variables of a libpq URI; a socket's folder is a host to libpq."""
    parts = urlsplit(uri)
    host = parse_qs(parts.query).get("host", [parts.hostname or "localhost"])[0]
    return {
        "POSTGRES_HOST": unquote(host),
        "POSTGRES_PORT": str(parts.port or 5432),
        "POSTGRES_DB": parts.path.lstrip("/"),
        "POSTGRES_USER": unquote(parts.username or "postgres"),
        "POSTGRES_PASSWORD": unquote(parts.password or ""),
    }
