"""Raw tables in PostgreSQL: made from streams, widened when a stream gains a column, refused when they do not fit."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tickvault.core import faults
from tickvault.core.contract import Fit, fit
from tickvault.core.errors import SchemaMismatchError
from tickvault.core.stream import INSTANT, LAST_SEEN_VERSION, ROW_VERSION, Stream, WriteMode
from tickvault.engines.changes import REPLACED_AT, SUFFIX
from tickvault.engines.postgres.connection import quoted
from tickvault.engines.postgres.session import PostgresSession

_TYPES: dict[pa.DataType, str] = {
    pa.string(): "text",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float64(): "double precision",
    INSTANT: "timestamp with time zone",
}
_LINEAGE = {
    ROW_VERSION: 'text COLLATE "C"',
    "package_id": "text",
    "load_timestamp": "timestamp with time zone",
}
_SEEN = {LAST_SEEN_VERSION: _LINEAGE[ROW_VERSION]}
"""Of tables that are upserted; null until a row is seen again, so that an older table gets it without being written."""
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
_DEFAULTS = {"load_timestamp": " DEFAULT now()"}

_COLUMNS = """
    SELECT a.attname::text, format_type(a.atttypid, a.atttypmod)
            || CASE WHEN a.attcollation <> t.typcollation THEN ' COLLATE "' || c.collname || '"' ELSE '' END,
        a.attnotnull AND NOT a.atthasdef
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_collation c ON c.oid = a.attcollation
    WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
_KEY = """
    SELECT a.attname::text FROM pg_index i
    CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, ordinal)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = to_regclass($1) AND i.indisprimary ORDER BY k.ordinal"""


@dataclass(frozen=True, slots=True)
class _Column:
    """A column as the table has it; ``required`` is NOT NULL without a default."""

    type: str
    required: bool


def table(stream: Stream) -> str:
    """Return a stream's raw table, qualified and quoted."""
    return f"public.{quoted(stream.name)}"


def changes(stream: Stream) -> str:
    """Return a stream's change table, qualified and quoted."""
    return f"public.{quoted(stream.name + SUFFIX)}"


def change_tables(session: PostgresSession) -> list[str]:
    """Return all change tables there are, qualified and quoted."""
    rows = session.rows(
        """SELECT table_name::text FROM information_schema.columns
        WHERE table_schema = 'public' AND column_name = $1 AND right(table_name, length($2)) = $2 ORDER BY 1""",
        *(REPLACED_AT, SUFFIX),
    )
    return [f"public.{quoted(name)}" for (name,) in rows]


def columns(session: PostgresSession, name: str) -> dict[str, str]:
    """Return a table's columns in order and their types, as a statement writes them."""
    return {column: type_ for column, type_, _ in session.rows(_COLUMNS, name)}


def sql_type(type_: pa.DataType) -> str:
    """Return PostgreSQL's own name of an Arrow type that a stream may have."""
    if pa.types.is_decimal128(type_):
        return f"numeric({type_.precision},{type_.scale})"
    return _TYPES[type_]


def stage(session: PostgresSession, stream: Stream, name: str) -> None:
    """Make the session's temporary table of a stream's landed columns; it is empty at the start of a transaction."""
    wanted = ", ".join(f"{quoted(f.name)} {_landed_type(f)}" for f in stream.landed_schema)
    session.run(f"CREATE TEMPORARY TABLE IF NOT EXISTS {quoted(name)} ({wanted}) ON COMMIT DELETE ROWS")


def prepare(session: PostgresSession, stream: Stream) -> Fit:
    """Bring a stream's tables into being or up to date, in a transaction of its own, and say how the stream fits.

    Raises:
        SchemaMismatchError: The stream's contract does not allow a difference, or the key is another one.
    """
    fitted = _fit(stream, _columns(session, stream))
    if fitted is None or fitted.added or fitted.widened or _lagging(session, stream):
        # One job at a time, so that two that start together do not both create what is missing.
        session.run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"tickvault.table.{stream.name}")
        fitted = _fit(stream, _columns(session, stream))
        if fitted is None:
            _create(session, stream)
        elif fitted.added or fitted.widened:
            wanted = {f.name: sql_type(f.type) for f in (*fitted.added, *fitted.widened)}
            faults.at("before_widening")
            _alter(session, table(stream), wanted, columns(session, table(stream)))
            faults.at("after_widening")
        if fitted and _is_kept(stream):
            _alter(session, table(stream), _SEEN, columns(session, table(stream)))
    _check_key(session, stream)
    if _lagging(session, stream):
        _follow(session, stream)
    session.commit()
    return fitted or Fit(stream, known=frozenset(stream.landed_schema.names))


def _is_kept(stream: Stream) -> bool:
    """Tell whether what a stream's table held before is kept: what is only appended to replaces nothing."""
    return stream.write_mode is WriteMode.UPSERT


def _lagging(session: PostgresSession, stream: Stream) -> bool:
    """Tell whether a stream's change table is not as its raw table is: missing, or of other columns."""
    if not _is_kept(stream):
        return False
    wanted = columns(session, table(stream))
    return LAST_SEEN_VERSION not in wanted or bool(wanted.items() - columns(session, changes(stream)).items())


def _follow(session: PostgresSession, stream: Stream) -> None:
    """Make a stream's change table, or give it what its raw table has come to have; see ``engines.changes``."""
    name, wanted, found = changes(stream), columns(session, table(stream)), columns(session, changes(stream))
    faults.at("before_changes_follow")
    if found:
        _alter(session, name, wanted, found)
    else:
        kept = f"SELECT t.*, now() AS {REPLACED_AT} FROM {table(stream)} t"
        session.run(f"CREATE TABLE {name} AS {kept} WITH NO DATA")
        key = ", ".join(map(quoted, (*stream.primary_key, ROW_VERSION)))
        session.run(f"ALTER TABLE {name} ADD PRIMARY KEY ({key}), ALTER {REPLACED_AT} SET NOT NULL")


def _alter(session: PostgresSession, name: str, wanted: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Add the columns a table lacks, and change the type of those that have another one."""
    added = [f"ADD COLUMN {quoted(n)} {type_}" for n, type_ in wanted.items() if n not in found]
    retyped = [
        f"ALTER COLUMN {quoted(n)} TYPE {type_}" for n, type_ in wanted.items() if n in found and found[n] != type_
    ]
    if added or retyped:
        session.run(f"ALTER TABLE {name} {', '.join(added + retyped)}")


def _create(session: PostgresSession, stream: Stream) -> None:
    types = {f.name: f"{sql_type(f.type)}{'' if f.nullable else ' NOT NULL'}" for f in stream.schema}
    types |= {name: f"{type_} NOT NULL{_DEFAULTS.get(name, '')}" for name, type_ in _LINEAGE.items()} | _SEEN
    parts = [f"{quoted(name)} {types[name]}" for name in stream.table_columns]
    if stream.primary_key:
        parts.append(f"PRIMARY KEY ({', '.join(map(quoted, stream.primary_key))})")
    session.run(f"CREATE TABLE {table(stream)} ({', '.join(parts)})")
    time = next((k for k in stream.primary_key if _is_time(stream.schema.field(k).type)), None)
    if time and session.rows("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"):
        session.run(
            "SELECT create_hypertable($1::regclass, $2::name, if_not_exists => TRUE, migrate_data => TRUE)",
            *(table(stream), time),
        )


def _columns(session: PostgresSession, stream: Stream) -> dict[str, _Column]:
    return {name: _Column(type_, required) for name, type_, required in session.rows(_COLUMNS, table(stream))}


def _fit(stream: Stream, found: dict[str, _Column]) -> Fit | None:
    """Compare the stream with its table; None where there is no table."""
    if not found:
        return None
    for name, type_ in _LINEAGE.items():
        if name not in found:
            raise SchemaMismatchError(stream.name, name, type_, "no such column in PostgreSQL")
        if found[name].type != type_:
            raise SchemaMismatchError(stream.name, name, type_, f"{found[name].type} in PostgreSQL")
    own = {name: column for name, column in found.items() if name not in {*_LINEAGE, *_SEEN}}
    for name in own.keys() - set(stream.schema.names):
        if own[name].required:
            raise SchemaMismatchError(stream.name, name, "no such column", "one that must have a value in PostgreSQL")
    return fit(stream, {name: _arrow_type(column.type) for name, column in own.items()}, "PostgreSQL")


def _arrow_type(name: str) -> pa.DataType | str:
    """Return the Arrow type that is stored as one of PostgreSQL's, or its own name where none is."""
    if match := _NUMERIC.fullmatch(name):
        return pa.decimal128(int(match[1]), int(match[2]))
    for type_, own in _TYPES.items():
        if own == name:
            return type_
    return name


def _check_key(session: PostgresSession, stream: Stream) -> None:
    found = tuple(name for (name,) in session.rows(_KEY, table(stream)))
    if found != stream.primary_key:
        raise SchemaMismatchError(stream.name, "primary key", str(stream.primary_key), f"{found} in PostgreSQL")


def _landed_type(field: "pa.Field[Any]") -> str:
    return _LINEAGE[ROW_VERSION] if field.name == ROW_VERSION else sql_type(field.type)


def _is_time(type_: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(type_) or pa.types.is_date(type_))
