"""Reads from a target: PostgreSQL, Snowflake or Trino. One statement, in a read-only transaction where there is one."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

from tickvault.core.errors import SinkUnavailableError, TerminalError
from tickvault.core.settings import Settings

TARGETS = ("postgres", "snowflake", "trino")

Answer = tuple[list[str], list[tuple[Any, ...]]]


def read(settings: Settings, target: str, sql: str, limit: int) -> Answer:
    """Run one statement and return its columns and at most ``limit`` rows.

    Raises:
        ConfigError: The target is not set up.
        SinkUnavailableError: The target does not answer.
        TerminalError: The target does not understand the statement.
    """
    readers: dict[str, Callable[[Settings, str, int], Answer]] = {
        "postgres": _postgres,
        "snowflake": _snowflake,
        "trino": _trino,
    }
    return readers[target](settings, sql, limit)


def _postgres(settings: Settings, sql: str, limit: int) -> Answer:
    import psycopg2

    try:
        with closing(psycopg2.connect(settings.postgres_dsn())) as connection:
            connection.set_session(readonly=True)
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return _fetch(cursor, limit)
    except psycopg2.OperationalError as error:
        raise SinkUnavailableError(f"PostgreSQL does not answer: {_line(error)}") from error
    except psycopg2.Error as error:
        raise TerminalError(f"PostgreSQL refuses the statement: {_line(error)}") from error


def _snowflake(settings: Settings, sql: str, limit: int) -> Answer:
    from tickvault.engines.snowflake.session import Connection

    with closing(Connection(settings)) as connection:
        return connection.ask(sql, limit)


def _trino(settings: Settings, sql: str, limit: int) -> Answer:
    from tickvault.engines.trino import TrinoSession

    with TrinoSession(settings) as session:
        return session.ask(sql, limit)


def _fetch(cursor: Any, limit: int) -> Answer:
    rows = [tuple(row) for row in cursor.fetchmany(limit)] if cursor.description else []
    return [column[0] for column in cursor.description or []], rows


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
