"""One session with Trino, with the client's errors turned into the platform's."""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from tickvault.core.errors import ConfigError, PlatformError, SinkUnavailableError, TerminalError
from tickvault.core.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

Row = tuple[Any, ...]
_ROWS = 50_000


class TrinoSession:
    """Runs statements; each commits by itself.

    Args:
        settings: Where Trino is.
        properties: Session properties.

    Raises:
        ConfigError: No Trino is set.
    """

    def __init__(self, settings: Settings, properties: dict[str, str] | None = None) -> None:
        if not settings.trino_host:
            raise ConfigError("no Trino: set TRINO_HOST")
        from trino.auth import BasicAuthentication
        from trino.dbapi import connect

        password = settings.trino_password
        self._connection = connect(  # type: ignore[no-untyped-call, unused-ignore]  # the client ships no types
            host=settings.trino_host,
            port=settings.trino_port,
            user=settings.trino_user,
            http_scheme=settings.trino_scheme,
            auth=BasicAuthentication(settings.trino_user, password.get_secret_value()) if password else None,
            catalog=settings.trino_lake_catalog,
            session_properties=properties or {},
            timezone="UTC",
        )

    def cursor(self, sql: str) -> Any:
        """Execute one statement and return the client's cursor.

        Raises:
            SinkUnavailableError: Trino does not answer or is still starting.
            TerminalError: Trino refuses the statement.
        """
        import requests
        from trino.exceptions import Error

        cursor = self._connection.cursor()
        try:
            cursor.execute(sql.strip().rstrip(";"))
        except KeyboardInterrupt:
            _cancel(cursor)
            raise
        except (requests.RequestException, Error) as error:
            raise self._mapped(error) from error
        return cursor

    def run(self, sql: str) -> list[Row]:
        """Execute one statement and return its rows; errors as of ``cursor``."""
        return self.ask(sql)[1]

    def ask(self, sql: str, limit: int | None = None) -> tuple[list[str], list[Row]]:
        """Execute one statement and return its columns and at most ``limit`` rows; errors as of ``cursor``."""
        import requests
        from trino.exceptions import Error

        cursor = self.cursor(sql)
        try:
            rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit)
        except KeyboardInterrupt:
            _cancel(cursor)
            raise
        except (requests.RequestException, Error) as error:
            raise self._mapped(error) from error
        return [column[0] for column in cursor.description or []], [tuple(row) for row in rows]

    def arrow(self, sql: str) -> "Iterator[pa.Table]":
        """Run one reading statement and yield its rows as they arrive, first an empty table that has the columns."""
        import pyarrow as pa
        import requests
        from trino.exceptions import Error

        cursor = self.cursor(sql)
        schema = pa.schema([pa.field(column[0], _type(column)) for column in cursor.description])
        yield schema.empty_table()
        while True:
            try:
                rows = cursor.fetchmany(_ROWS)
            except (requests.RequestException, Error) as error:
                raise self._mapped(error) from error
            if not rows:
                return
            columns = zip(zip(*rows, strict=True), schema, strict=True)
            yield pa.Table.from_arrays([pa.array(column, field.type) for column, field in columns], schema=schema)

    def _mapped(self, error: Exception) -> PlatformError:
        """Return the platform's error for one of the client's."""
        import requests
        from trino.exceptions import TrinoConnectionError, TrinoQueryError

        text = " ".join(str(error).split())
        away = isinstance(error, requests.RequestException | TrinoConnectionError)
        if away or (isinstance(error, TrinoQueryError) and error.error_name == "SERVER_STARTING_UP"):
            return SinkUnavailableError(f"Trino does not answer: {text}")
        return TerminalError(f"Trino refuses the statement: {text}")

    def close(self) -> None:
        """End the session."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _cancel(cursor: Any) -> None:
    """Have the server stop what nobody waits for any more; what it says is not asked."""
    import requests
    from trino.exceptions import Error

    with suppress(requests.RequestException, Error):
        cursor.cancel()


def _type(column: Any) -> "pa.DataType":
    """Return the Arrow type of a column of Trino's answer."""
    name, precision, scale = str(column[1]), column[4], column[5]
    import pyarrow as pa

    if name.startswith("decimal"):
        return pa.decimal128(int(precision), int(scale))
    if name.startswith("timestamp"):
        return pa.timestamp("us", "UTC") if "zone" in name else pa.timestamp("us")
    plain: dict[str, pa.DataType] = {
        "bigint": pa.int64(),
        "integer": pa.int32(),
        "double": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
    }
    return plain.get(name, pa.string())
