"""Asks an engine: PostgreSQL, Snowflake or Trino. One statement that reads, as the reader where there is one."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

from tickvault.core.errors import PlatformError, TerminalError
from tickvault.core.settings import Settings
from tickvault.engines.postgres.connection import Connection
from tickvault.query.statement import require_reading

Answer = tuple[list[str], list[tuple[Any, ...]]]
Ask = Callable[[str, int], Answer]
"""Runs one statement and returns its columns and at most so many rows; errors as of ``read``."""


def read(settings: Settings, engine: str, sql: str, limit: int) -> Answer:
    """Run one statement and return its columns and at most ``limit`` rows.

    Raises:
        ConfigError: The engine is not set up.
        SinkUnavailableError: The engine does not answer.
        TerminalError: The statement may write, or the engine does not understand it.
    """
    text = require_reading(sql, engine)
    with _SESSIONS[engine](settings) as ask:
        return ask(text, limit)


@contextmanager
def session(settings: Settings, engine: str) -> Iterator[Ask]:
    """Hold one connection for several statements; a keyboard interrupt cancels the one that runs.

    Errors as of ``read``.
    """
    with _SESSIONS[engine](settings) as ask:
        yield lambda sql, limit: ask(require_reading(sql, engine), limit)


@contextmanager
def _postgres(settings: Settings) -> Iterator[Ask]:
    with Connection.open(settings, reader=True) as connection:
        yield connection.read


@contextmanager
def _snowflake(settings: Settings) -> Iterator[Ask]:
    from tickvault.engines.snowflake.session import Connection as Snowflake
    from tickvault.engines.snowflake.session import MissingObjectError

    with closing(Snowflake(settings, reader=True)) as connection:

        def ask(sql: str, limit: int) -> Answer:
            try:
                return connection.ask(sql, limit)
            except MissingObjectError as error:
                raise _misspelt(connection.ask, settings, error) from error

        yield ask


def _misspelt(ask: Ask, settings: Settings, error: PlatformError) -> PlatformError:
    """Return what to raise of a name Snowflake does not know: it is misspelt, unless nothing is set up yet."""
    from tickvault.query.catalogue import Catalogue

    try:
        catalogue = Catalogue.of(ask, settings, "snowflake")
    except PlatformError:
        return error
    said = str(error.__cause__ or error)
    return TerminalError(f"{said}\n{catalogue.hint(said)}".rstrip()) if catalogue.relations else error


@contextmanager
def _trino(settings: Settings) -> Iterator[Ask]:
    from tickvault.engines.trino import TrinoSession

    with TrinoSession(settings) as trino:
        yield trino.ask


_SESSIONS: dict[str, Callable[[Settings], AbstractContextManager[Ask]]] = {
    "postgres": _postgres,
    "snowflake": _snowflake,
    "trino": _trino,
}
