"""The folder of local engines: where their data, their lock, their log and their address are.

What a bookmark or a key holds is remembered from one start to the next: ports, and the reader's password.
"""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tickvault.core.errors import ConfigError

MARKET_PORT = 8931
"""The simulated market's, if it is free: the addresses of its news articles, which are keys, hold it."""
_LONGEST = 100
"""Bytes of a socket's name; the system takes 103 (macOS) or 107."""
_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Access:
    """What is remembered: ports of 127.0.0.1, 0 before the first start, and the reader's password."""

    postgres_port: int = 0
    snowflake_port: int = 0
    market_port: int = 0
    reader_password: str = ""


@dataclass(frozen=True, slots=True)
class Home:
    """A folder of engines.

    Args:
        folder: Absolute.
        live: The market is left out: sources use the public APIs.
    """

    folder: Path
    live: bool = False

    @classmethod
    def of(cls, base: Path, *, live: bool) -> "Home":
        """Return the demo's folder in ``TICKVAULT_HOME``, or that one itself where engines were already started in it.

        So a command finds them too in a shell that took over ``tickvault local env``.
        """
        base = base.expanduser().resolve()
        own = cls(base, live=base.name == "live")
        return own if own.access_file.exists() else cls(base / ("live" if live else "demo"), live)

    @property
    def access_file(self) -> Path:
        """What is remembered; only its owner reads it."""
        return self.folder / "access.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.folder / "engines.lock"

    @property
    def starting(self) -> Path:
        """Held by whoever starts a supervisor."""
        return self.folder / "engines.starting"

    @property
    def log(self) -> Path:
        """What supervisor and engines say."""
        return self.folder / "engines.log"

    @property
    def control(self) -> Path:
        """The supervisor's socket; where the folder's name is too long for one, in a folder of our own below /tmp.

        Raises:
            ConfigError: That folder is somebody else's.
        """
        here = self.folder / "engines.socket"
        if len(os.fsencode(here)) < _LONGEST:
            return here
        name = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
        folder = Path(tempfile.gettempdir(), f"tickvault-{os.geteuid()}-{name}")
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.geteuid() or folder.is_symlink():
            raise ConfigError(f"{folder} belongs to somebody else; set TICKVAULT_HOME to a shorter path")
        return folder / "engines.socket"

    def access(self) -> Access:
        """Return what is remembered; a file nobody can read, or of another version, is forgotten."""
        try:
            return Access(**json.loads(self.access_file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return Access()

    def remember(self, access: Access) -> None:
        """Write it, for the owner's eyes only."""
        part = self.access_file.with_suffix(".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(access), file, indent=1)
        part.replace(self.access_file)

    def choose_market_port(self, port: int) -> None:
        """Have the simulated market at this port from the next start on; 0 chooses a free one."""
        with listening(port) as free:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.remember(replace(self.access(), market_port=_port(free)))

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """Be the only one of its kind in this folder.

        Raises:
            ConfigError: Another one is; who, is said.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{what}.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise ConfigError(
                    f"another {what} (process {lock.read().strip() or 'unknown'}) runs in {self.folder}:"
                    " wait for it, or set TICKVAULT_HOME to another folder"
                ) from None
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            yield

    def empty(self) -> None:
        """Remove everything but locks, which their holders hold by the file."""
        for path in self.folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.suffix != ".lock":
                path.unlink(missing_ok=True)

    def settle(self) -> tuple[Access, tuple[socket.socket, socket.socket | None], list[str]]:
        """Choose the ports and the password: those of before, as far as they are free.

        Returns:
            What is chosen, the open listening sockets of the emulator and, unless live, the market, and a sentence for
            each port that had to change.
        """
        before, notes = self.access(), []
        snowflake = listening(before.snowflake_port)
        market = None if self.live else listening(before.market_port or MARKET_PORT)
        with listening(before.postgres_port) as free:
            postgres_port = _port(free)
        chosen = replace(
            before,
            postgres_port=postgres_port,
            snowflake_port=_port(snowflake),
            market_port=_port(market) if market else before.market_port,
            reader_password=before.reader_password or secrets.token_urlsafe(18),
        )
        if before.postgres_port and chosen.postgres_port != before.postgres_port:
            notes.append(f"port {before.postgres_port} is taken: PostgreSQL listens on {chosen.postgres_port} now")
        if market and chosen.market_port != (before.market_port or MARKET_PORT):
            notes.append(
                f"port {before.market_port or MARKET_PORT} is taken: the simulated market is at {chosen.market_port}"
                " (the addresses of its news articles, which are keys, hold the port)"
            )
        if chosen != before:
            self.remember(chosen)
        return chosen, (snowflake, market), notes


def listening(port: int) -> socket.socket:
    """Open a listening socket on this port of 127.0.0.1, on another one if it is taken or 0."""
    try:
        return socket.create_server((_HOST, port), backlog=128)
    except OSError:
        return socket.create_server((_HOST, 0), backlog=128)


def _port(opened: socket.socket) -> int:
    return int(opened.getsockname()[1])
