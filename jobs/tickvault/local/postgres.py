"""PostgreSQL from a wheel: a real server on a folder, reached through a Unix socket and, if wished, a loopback port.

One process at a time has it, by a lock on a file, which the system frees for the dead; whoever wants to share it goes
through ``local.supervisor``.
"""

import fcntl
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tickvault.core.errors import ConfigError, SinkUnavailableError
from tickvault.engines.postgres.connection import Connection, quoted
from tickvault.local import child, cluster

READER = "tickvault_reader"
_PORT = 5432
"""Part of the socket's name; nobody listens on it."""
_START_SECONDS = 900.0
"""Recovery after a power failure reads the whole journal; as long as the process lives, it is at it."""
_STOP_SECONDS = 150.0
_LOG_BYTES = 2**20
"""A log longer than this is begun anew by the next start."""
_ORPHANS = "shared memory block"


@dataclass(slots=True)
class Server:
    """A running server; ``process`` ends when it does.

    Args:
        data_dir: Its folder.
        sockets: Folder of its socket.
        port: Its port, by which also the socket is named.
        process: The guard that runs it.
    """

    data_dir: Path
    sockets: Path
    port: int
    process: "subprocess.Popen[bytes]"

    def uri(self, database: str) -> str:
        """Return a libpq URI of a database, with superuser rights and no password."""
        return f"postgresql://postgres:@:{self.port}/{database}?host={self.sockets}"

    def stop(self) -> None:
        """Let it end its sessions, write what it has and stop."""
        child.stop(self.process, _STOP_SECONDS)
        if self.sockets != self.data_dir:
            shutil.rmtree(self.sockets, ignore_errors=True)


@contextmanager
def start(data_dir: Path, database: str = "stock_data") -> Iterator[str]:
    """Run PostgreSQL on a folder for as long as the context lasts; it also ends when this process is killed.

    Works as root too: the server then runs as a user of its own, and the folder's parents become readable for all.

    Args:
        data_dir: Folder of the server's data, made if missing.
        database: Database to create if it is missing.

    Yields:
        A libpq URI of that database, with superuser rights and no password.

    Raises:
        ConfigError: No wheel with PostgreSQL is installed, or the folder is in use.
        SinkUnavailableError: The server did not start.
    """
    data_dir = data_dir.expanduser().resolve()
    with held(data_dir):
        server = run(data_dir)
        try:
            create_database(server.uri("postgres"), database)
            yield server.uri(database)
        finally:
            server.stop()


@contextmanager
def held(data_dir: Path) -> Iterator[None]:
    """Be the one who runs a server on this folder.

    Raises:
        ConfigError: Another process is.
    """
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{data_dir}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"another process runs PostgreSQL on {data_dir}; choose another folder") from None
        yield


def run(data_dir: Path, port: int | None = None) -> Server:
    """Start a server and wait until it takes connections, as long as its process lives; the caller holds the folder.

    Args:
        data_dir: Absolute path of its folder.
        port: Also listen on this port of 127.0.0.1, where ``READER`` may log in with a password.

    Raises:
        ConfigError: No wheel is installed, or the folder holds something else.
        SinkUnavailableError: It ended; the log's end is in the message.
    """
    cluster.prepare(data_dir, READER)
    cluster.end_leftover(data_dir)
    log = Path(f"{data_dir}.log")
    deadline = time.monotonic() + _START_SECONDS
    while True:
        sockets = cluster.socket_folder(data_dir)
        command = cluster.command(data_dir, sockets, port or _PORT, loopback=port is not None)
        with log.open("wb" if log.exists() and log.stat().st_size > _LOG_BYTES else "ab") as messages:
            begin = messages.tell()
            server = Server(data_dir, sockets, port or _PORT, _spawn(command, messages))
        if _ready(server, deadline):
            return server
        server.stop()
        said = log.read_bytes()[begin:].decode(errors="replace")[-2000:]
        # Sessions of a server that was killed go away by themselves; until then they hold its memory.
        if _ORPHANS not in said or time.monotonic() > deadline:
            raise SinkUnavailableError(f"PostgreSQL does not start on {data_dir}: {said.strip() or 'it says nothing'}")
        time.sleep(0.2)


def _spawn(command: list[str], messages: IO[bytes]) -> "subprocess.Popen[bytes]":
    return child.start(command, stdout=messages.fileno(), stderr=messages)


def _ready(server: Server, deadline: float) -> bool:
    """Wait for the word «ready» in its file; False when it ended, lost its folder or takes too long."""
    file = server.data_dir / "postmaster.pid"
    while server.process.poll() is None and time.monotonic() < deadline and server.data_dir.exists():
        try:
            if file.read_text(encoding="utf-8").splitlines()[7].strip() == "ready":
                return True
        except (FileNotFoundError, IndexError):
            pass
        time.sleep(0.02)
    return False


def create_database(uri: str, database: str) -> None:
    """Create a database on the server of ``uri`` if it is missing; others may do so at the same time.

    Raises:
        SinkUnavailableError: The server does not answer.
    """
    with Connection.to(uri, "the embedded PostgreSQL") as connection:
        # CREATE DATABASE knows no IF NOT EXISTS and two of them collide, so one session at a time.
        connection.run("SELECT pg_advisory_lock(hashtext('tickvault.create_database'))")
        if connection.first("SELECT 1 FROM pg_database WHERE datname = %s", database) is None:
            connection.run(f"CREATE DATABASE {quoted(database)} ENCODING 'UTF8'")


def create_reader(uri: str, password: str = "") -> str:
    """Create the role that may only read, in the database of ``uri``, and return its name; it may be there already.

    It reads raw tables and ledger, also those that the user of ``uri`` will make. A build lets it read what is
    published; what is built aside it never reads. The socket asks for no password.

    Args:
        uri: The database, as its owner.
        password: What the role shows on the loopback port; "" lets nobody in there.

    Raises:
        SinkUnavailableError: The server does not answer.
    """
    with Connection.to(uri, "the embedded PostgreSQL") as connection, connection.transaction():
        connection.run("SELECT pg_advisory_xact_lock(hashtext('tickvault.create_reader'))")
        if connection.first("SELECT 1 FROM pg_roles WHERE rolname = %s", READER) is None:
            connection.run(f"CREATE ROLE {READER} LOGIN")
        if password:
            connection.run(f"ALTER ROLE {READER} PASSWORD '{connection.scrambled(password, READER)}'")
        connection.run(f"ALTER ROLE {READER} SET default_transaction_read_only = on")
        connection.run(f"ALTER ROLE {READER} SET search_path = public, marts, semantic")
        connection.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        database = quoted(str(connection.one("SELECT current_database()")[0]))
        connection.run(f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")
        # A folder of before could also be read in every schema that was made later.
        connection.run(f"ALTER DEFAULT PRIVILEGES REVOKE USAGE ON SCHEMAS FROM {READER}")
        connection.run(f"ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM {READER}")
        connection.run("CREATE SCHEMA IF NOT EXISTS data_platform")
        for schema in ("public", "data_platform"):
            connection.run(f"GRANT USAGE ON SCHEMA {schema} TO {READER}")
            connection.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {READER}")
            connection.run(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {READER}")
    return READER
