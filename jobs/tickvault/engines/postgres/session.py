"""One ADBC connection to PostgreSQL, for rows in bulk; statements alone go through ``Connection``."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import adbc_driver_manager as adbc
import adbc_driver_postgresql.dbapi as driver
import pyarrow as pa
import pyarrow.compute as pc

from tickvault.core.errors import PlatformError
from tickvault.core.settings import Settings
from tickvault.core.sheet import NUMBER
from tickvault.engines.postgres.connection import where
from tickvault.engines.postgres.errors import RetryableError, mapped, one_line, refused

_STATEMENT_MINUTES = 30
_PIECE_BYTES = 65_536
_DECIMALS = """
    SELECT attname::text, ((atttypmod - 4) >> 16) & 65535, (atttypmod - 4) & 2047
    FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
        AND atttypid = 'numeric'::regtype AND atttypmod >= 4 AND (atttypmod - 4) >> 16 <= 38"""


class PostgresSession:
    """A connection whose transactions begin with their first statement and end with ``commit`` or ``rollback``.

    Args:
        settings: Where PostgreSQL is.
        reader: Whether it is for who only reads.

    Raises:
        SinkUnavailableError: PostgreSQL does not answer.
        ConfigError: PostgreSQL refuses user, password or database.
    """

    def __init__(self, settings: Settings, *, reader: bool = False) -> None:
        self.where = where(settings)
        try:
            # Keepalives do not see a peer that vanishes with unsent data under way; this does.
            self._connection = driver.connect(f"{settings.postgres_dsn(reader=reader)} tcp_user_timeout='30000'")
        except adbc.Error as error:
            raise refused(error, self.where) from error
        self.run(
            """SELECT set_config('lock_timeout', $1, false), set_config('statement_timeout', $2, false),
                set_config('idle_in_transaction_session_timeout', '5min', false),
                set_config('client_connection_check_interval', '10s', false),
                set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
                set_config('tcp_keepalives_count', '3', false), set_config('timezone', 'UTC', false),
                set_config('work_mem', '128MB', false), set_config('temp_buffers', '32MB', false)""",
            f"{max(1, int(settings.lock_wait_seconds * 1000))}ms",
            f"{_STATEMENT_MINUTES}min",
        )
        self.commit()

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement that returns rows; values are bound to ``$1``, ``$2`` and so on."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql, values or None)
                return list(cursor.fetchall())
        except adbc.Error as error:
            raise self._mapped(error) from error

    def run(self, sql: str, *values: Any) -> int:
        """Run a statement and return the number of rows it touched, -1 where it touches none by nature."""
        try:
            with self._connection.cursor() as cursor:
                statement = cursor.adbc_statement
                statement.set_sql_query(sql)
                if values:
                    statement.prepare()
                    statement.bind(pa.RecordBatch.from_pylist([{f"${i}": v for i, v in enumerate(values, 1)}]))
                return int(statement.execute_update())
        except adbc.Error as error:
            raise self._mapped(error) from error

    def copy(
        self, table: str, columns: pa.Schema, batches: Iterable[pa.RecordBatch], *, schema: str | None = None
    ) -> int:
        """Append batches to a table that exists, by binary COPY; memory holds one batch.

        Args:
            table: The table's bare name.
            columns: The columns to fill; others take their default.
            batches: The rows.
            schema: The table's schema, or None for a temporary table of this session.

        Returns:
            The number of rows copied.

        Raises:
            BaseException: Whatever ``batches`` raises comes out as itself.
        """
        raised: list[BaseException] = []
        reader = pa.RecordBatchReader.from_batches(columns, _remembering(_pieces(batches), raised))
        try:
            with self._connection.cursor() as cursor:
                return int(
                    cursor.adbc_ingest(table, reader, mode="append", db_schema_name=schema, temporary=schema is None)
                )
        except adbc.Error as error:
            # The driver wraps a Python error of the reader into text; what was raised is worth more.
            if raised:
                raise raised[0] from None
            raise self._mapped(error) from error

    def arrow(self, relation: str) -> Iterator[pa.Table]:
        """Yield a relation's rows as they arrive, first an empty table that has the columns.

        A numeric has its column's own type; one without, as an aggregate in a view, comes as text that says so.
        """
        decimals = {
            name: pa.decimal128(int(digits), int(after)) for name, digits, after in self.rows(_DECIMALS, relation)
        }
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(f"SELECT * FROM {relation}")
                reader = cursor.fetch_record_batch()
                yield _plain(reader.schema.empty_table(), decimals)
                for batch in reader:
                    yield _plain(pa.Table.from_batches([batch]), decimals)
        except adbc.Error as error:
            raise self._mapped(error) from error

    def commit(self) -> None:
        """End the transaction.

        Raises:
            RetryableError: The answer is lost, so whether it was committed is unknown.
        """
        try:
            self._connection.commit()
        except adbc.Error as error:
            raise RetryableError(f"{self.where}: the answer to COMMIT is lost: {one_line(error)}") from error

    def close(self) -> None:
        """Give the connection back, which undoes an open transaction."""
        try:
            self._connection.close()
        except adbc.Error as error:
            raise self._mapped(error) from error

    def _mapped(self, error: adbc.Error) -> PlatformError:
        # A lost connection is the one thing the driver reports as an operational error without a code.
        return mapped(error, self.where, lost=isinstance(error, adbc.OperationalError))


def _pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Cut batches so small that a piece fits into the socket: the driver encodes the next while the server reads it.

    The driver encodes a batch as a whole and then sends it. With pieces larger than the socket's buffer the two take
    turns, and a COPY takes what both need together; ``benchmarks/load.py`` has the figures.
    """
    for batch in batches:
        rows = max(1, _PIECE_BYTES * batch.num_rows // max(1, batch.nbytes))
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)


def _remembering(batches: Iterable[pa.RecordBatch], raised: list[BaseException]) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    except BaseException as error:
        raised.append(error)
        raise


def _plain(table: pa.Table, decimals: Mapping[str, pa.DataType]) -> pa.Table:
    """Make the driver's opaque numerics decimals, as they were loaded."""
    for index, field in enumerate(table.schema):
        if isinstance(field.type, pa.BaseExtensionType):
            # Text that PostgreSQL wrote; json and arrays stay text.
            chunks: list[Any] = table.column(index).chunks
            text: Any = pa.chunked_array([chunk.storage for chunk in chunks] or [pa.array([], pa.string())])
            column = pc.cast(text, decimals[field.name]) if field.name in decimals else text
            free = getattr(field.type, "type_name", "") == "numeric" and field.name not in decimals
            named = pa.field(field.name, column.type)
            table = table.set_column(index, named.with_metadata(NUMBER) if free else named, column)
    return table
