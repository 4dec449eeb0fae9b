"""Reads a whole relation in batches and writes it to a file; memory does not grow with its rows."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tickvault.core.errors import ConfigError, SinkUnavailableError
from tickvault.core.settings import Settings
from tickvault.core.sheet import Sheet
from tickvault.engines.postgres.session import PostgresSession
from tickvault.engines.trino import TrinoSession

_TIME = pa.timestamp("us")
_STANDARD_OUTPUT = 1
_STANDARD_OUTPUTS = frozenset({"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})


class _Writer(Protocol):
    def write_table(self, table: pa.Table) -> None: ...
    def close(self) -> None: ...


def is_standard_output(path: Path) -> bool:
    """Tell whether a path stands for the standard output: ``-``, or one of the system's names for it."""
    return str(path) in _STANDARD_OUTPUTS


def export(settings: Settings, engine: str, relation: str, path: Path, form: str) -> int:
    """Write every row of a relation to a file and return how many there were.

    Args:
        settings: Where the engine is.
        engine: postgres, snowflake or trino.
        relation: The relation's full name.
        path: The file; it appears when it is complete, and a link goes on naming it. CSV may go to a pipe, a device or
            the standard output (``is_standard_output``).
        form: parquet or csv. Times are UTC; CSV is a ``Sheet``.

    Raises:
        ConfigError: The file cannot be written there.
        SinkUnavailableError: The engine does not answer, or there is no room for the file.
        TerminalError: The engine refuses the statement, for instance since there is no such relation.
        BrokenPipeError: Whoever read the standard output has enough.
    """
    readers: dict[str, Callable[[Settings, str], Iterator[pa.Table]]] = {
        "postgres": _postgres,
        "snowflake": _snowflake,
        "trino": _trino,
    }
    with _placed(path, form) as place, _writing(place, form) as write:
        rows = 0
        for table in readers[engine](settings, relation):
            write(table)
            rows += table.num_rows
    return rows


@contextmanager
def _placed(path: Path, form: str) -> Iterator[Path | int]:
    """Give the place to write to, which becomes the file at the end; what is no regular file is written to itself."""
    streams = is_standard_output(path)
    try:
        # Asked of the path as it is: a pipe behind /dev/fd exists, but what that link resolves to does not.
        if streams or (path.exists() and not path.is_file()):
            if form == "parquet" or path.is_dir():
                raise ConfigError(f"{path} is no regular file; name one, or write CSV to a pipe")
            yield _STANDARD_OUTPUT if streams else path
            return
        place = path.resolve()
        part = place.with_name(f".{place.name}.{os.getpid()}.part")
        try:
            part.touch()
            yield part
            part.replace(place)
        finally:
            part.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:  # of a link that leads to itself, a RuntimeError
        if streams and isinstance(error, BrokenPipeError):
            raise
        reason = f"{path} cannot be written: {getattr(error, 'strerror', None) or error}"
        if getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT, errno.EPIPE, errno.EIO}:
            raise SinkUnavailableError(f"{reason}; try again when there is room, or a reader") from error
        raise ConfigError(f"{reason}; name a file in a folder that exists and may be written to") from error


@contextmanager
def _writing(place: Path | int, form: str) -> Iterator[Callable[[pa.Table], None]]:
    """Give a function that writes one table after the other; the first, also an empty one, decides the columns."""
    writer: _Writer | None = None

    def write(table: pa.Table) -> None:
        nonlocal writer
        if writer is None:
            if form == "csv" or isinstance(place, int):
                writer = Sheet(place, table.schema)
            else:
                writer = pq.ParquetWriter(place, table.schema)
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
