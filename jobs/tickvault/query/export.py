"""Reads a whole relation in batches and writes it to a file; memory does not grow with its rows."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from tickvault.core.settings import Settings
from tickvault.engines.postgres.session import PostgresSession
from tickvault.engines.trino import TrinoSession

_TIME = pa.timestamp("us")


class _Writer(Protocol):
    def write_table(self, table: pa.Table) -> None: ...
    def close(self) -> None: ...


def export(settings: Settings, engine: str, relation: str, path: Path, form: str) -> int:
    """Write every row of a relation to a file and return how many there were.

    Args:
        settings: Where the engine is.
        engine: postgres, snowflake or trino.
        relation: The relation's full name.
        path: The file; it appears when it is complete.
        form: parquet or csv. Times are UTC; CSV has a header and quotes what needs it.

    Raises:
        SinkUnavailableError: The engine does not answer.
        TerminalError: The engine refuses the statement, for instance since there is no such relation.
    """
    readers: dict[str, Callable[[Settings, str], Iterator[pa.Table]]] = {
        "postgres": _postgres,
        "snowflake": _snowflake,
        "trino": _trino,
    }
    part, rows = path.with_name(f".{path.name}.part"), 0
    try:
        with _writing(part, form) as write:
            for table in readers[engine](settings, relation):
                write(table)
                rows += table.num_rows
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return rows


@contextmanager
def _writing(path: Path, form: str) -> Iterator[Callable[[pa.Table], None]]:
    """Give a function that writes one table after the other; the first, also an empty one, decides the columns."""
    writer: _Writer | None = None

    def write(table: pa.Table) -> None:
        nonlocal writer
        if writer is None:
            parquet = form == "parquet"
            writer = pq.ParquetWriter(path, table.schema) if parquet else csv.CSVWriter(path, table.schema)
        writer.write_table(table)

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()


def _postgres(settings: Settings, relation: str) -> Iterator[pa.Table]:
    with closing(PostgresSession(settings, reader=True)) as session:
        yield from session.arrow(relation)


def _snowflake(settings: Settings, relation: str) -> Iterator[pa.Table]:
    from tickvault.engines.snowflake.session import Connection  # its driver takes a second to import

    with closing(Connection(settings, reader=True)) as connection:
        columns, _ = connection.ask(f"SELECT * FROM {relation} LIMIT 0", 1)
        database, schema, name = relation.split(".")
        kinds = connection.run(
            f"SELECT COLUMN_NAME, DATA_TYPE FROM {database}.INFORMATION_SCHEMA.COLUMNS"
            " WHERE UPPER(TABLE_SCHEMA) = %s AND UPPER(TABLE_NAME) = %s",
            *(schema.upper(), name.upper()),
        )
        times = {str(column).upper() for column, kind in kinds if str(kind).startswith("TIMESTAMP")}
        # Times travel as text: the driver gives a null time of the emulator as 1970.
        selected = ", ".join(f"TO_VARCHAR({c}) AS {c}" if c.upper() in times else c for c in columns)
        for table in connection.arrow(f"SELECT {selected} FROM {relation}"):
            yield _named(table, times)


def _named(table: pa.Table, times: set[str]) -> pa.Table:
    """Name columns in lower case as everywhere else, make times times, and forget the driver's notes on columns."""
    arrays, fields = [], []
    for field, column in zip(table.schema, table.columns, strict=True):
        array = pc.cast(column, _TIME) if field.name.upper() in times else column
        arrays.append(array)
        fields.append(pa.field(field.name.lower(), array.type))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _trino(settings: Settings, relation: str) -> Iterator[pa.Table]:
    with TrinoSession(settings) as session:
        yield from session.arrow(f"SELECT * FROM {relation}")
