"""Asks an engine: PostgreSQL, Snowflake or Trino. One statement that reads, as the reader where there is one."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

from tickvault.core.settings import Settings
from tickvault.engines.postgres.connection import Connection
from tickvault.query.statement import require_reading

Answer = tuple[list[str], list[tuple[Any, ...]]]


def read(settings: Settings, engine: str, sql: str, limit: int) -> Answer:
    """Run one statement and return its columns and at most ``limit`` rows.

    Raises:
        ConfigError: The engine is not set up.
        SinkUnavailableError: The engine does not answer.
        TerminalError: The statement may write, or the engine does not understand it.
    """
    readers: dict[str, Callable[[Settings, str, int], Answer]] = {
        "postgres": _postgres,
        "snowflake": _snowflake,
        "trino": _trino,
    }
    return readers[engine](settings, require_reading(sql, engine), limit)


def _postgres(settings: Settings, sql: str, limit: int) -> Answer:
    with Connection.open(settings, reader=True) as connection:
        return connection.read(sql, limit)


def _snowflake(settings: Settings, sql: str, limit: int) -> Answer:
    from tickvault.engines.snowflake.session import Connection as Snowflake
    from tickvault.engines.snowflake.session import MissingObjectError
    from tickvault.query.missing import missing

    with closing(Snowflake(settings, reader=True)) as connection:
        try:
            return connection.ask(sql, limit)
        except MissingObjectError as error:
            raise missing(connection, settings, sql, error) from error


def _trino(settings: Settings, sql: str, limit: int) -> Answer:
    from tickvault.engines.trino import TrinoSession

    with TrinoSession(settings) as session:
        return session.ask(sql, limit)
