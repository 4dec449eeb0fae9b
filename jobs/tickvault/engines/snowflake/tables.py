"""Where things are in Snowflake, and the statements that make and fill them.

Times are TIMESTAMP_NTZ holding UTC: with ``TIMEZONE=UTC`` in the session nothing is ever converted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tickvault.core.settings import Settings
from tickvault.core.stream import INSTANT, LAST_SEEN_VERSION, LINEAGE, LOAD_TIMESTAMP, ROW_VERSION, Area, Stream
from tickvault.engines.changes import REPLACED_AT, SUFFIX, Changes, differs, others

STAGE = "MINIO_RAW_STAGE"
LEDGER_SCHEMA = "DATA_PLATFORM"
COUNTS = {
    "read": "ROWS_READ",
    "inserted": "ROWS_INSERTED",
    "updated": "ROWS_UPDATED",
    "unchanged": "ROWS_UNCHANGED",
    "superseded": "ROWS_SUPERSEDED",
    "duplicates": "ROWS_DUPLICATE",
    "rejected": "ROWS_REJECTED",
}
"""Fields of ``LoadResult`` and their columns in the ledger, named as in PostgreSQL's."""
INSTANT_TYPE = "TIMESTAMP_NTZ"
_NEWEST = f"COALESCE(t.{LAST_SEEN_VERSION}, t.{ROW_VERSION})"


@dataclass(frozen=True, slots=True)
class Names:
    """Full names of what the loader uses."""

    database: str
    batch: str
    prices: str

    @classmethod
    def of(cls, settings: Settings) -> "Names":
        """Take the names from the settings, in upper case: so Snowflake keeps them, whatever case they are asked in."""
        names = (settings.snowflake_database, settings.snowflake_schema, settings.snowflake_schema_staging)
        return cls(*(name.upper() for name in names))

    @property
    def stage(self) -> str:
        """The stage, without ``@``."""
        return f"{self.database}.{self.batch}.{STAGE}"

    @property
    def loads(self) -> str:
        """The ledger of what is loaded into this database."""
        return f"{self.database}.{LEDGER_SCHEMA}.LOADS"

    @property
    def lock(self) -> str:
        """One row per table; whoever updates it first loads, the others wait."""
        return f"{self.database}.{LEDGER_SCHEMA}.LOAD_LOCK"

    def schema_of(self, stream: Stream) -> str:
        """Return the schema of a stream's table."""
        return self.batch if stream.area is Area.BATCH else self.prices

    def table(self, stream: Stream) -> str:
        """Return the table of a stream."""
        return f"{self.database}.{self.schema_of(stream)}.{stream.warehouse_table}"

    def changes(self, stream: Stream) -> str:
        """Return the change table of a stream."""
        return f"{self.table(stream)}{SUFFIX.upper()}"

    def staging(self, attempt: str) -> str:
        """Return the staging table of one attempt; its name begins with the time, so that old ones can be found."""
        return f"{self.database}.{LEDGER_SCHEMA}.LOAD_{attempt}".upper()


def column_type(type_: pa.DataType) -> str:
    """Return the Snowflake type of an allowed Arrow type."""
    if pa.types.is_decimal128(type_):
        return f"NUMBER({type_.precision},{type_.scale})"
    if pa.types.is_timestamp(type_):
        return INSTANT_TYPE
    plain = {pa.string(): "VARCHAR", pa.bool_(): "BOOLEAN", pa.date32(): "DATE", pa.float64(): "FLOAT"}
    return plain.get(type_, "BIGINT")


def arrow_type(type_: str, precision: object, scale: object) -> pa.DataType | str:
    """Return the Arrow type that is stored in a column of Snowflake, or Snowflake's word where none is.

    A NUMBER without digits after the point is an integer: it holds those of 32 and of 64 bits.
    """
    if type_ == "NUMBER":
        digits, after = int(str(precision or 38)), int(str(scale or 0))
        return pa.decimal128(digits, after) if after else pa.int64()
    plain: dict[str, pa.DataType] = {
        "TEXT": pa.string(),
        "BOOLEAN": pa.bool_(),
        "DATE": pa.date32(),
        "FLOAT": pa.float64(),
    }
    if type_ == INSTANT_TYPE:
        return INSTANT
    return plain.get(type_, type_)


def foundation(names: Names) -> list[str]:
    """Return the statements that make schemas, stage and ledger; each may be repeated."""
    counts = ", ".join(f"{column} BIGINT NOT NULL" for column in COUNTS.values())
    schemas = [f"CREATE SCHEMA IF NOT EXISTS {names.database}.{s}" for s in (names.batch, names.prices, LEDGER_SCHEMA)]
    texts = ", ".join(f"{c} VARCHAR NOT NULL" for c in ("PACKAGE_ID", "SOURCE", "STREAM", "SLOT", "RUN_ID", "ATTEMPT"))
    return [
        *schemas,
        f"CREATE STAGE IF NOT EXISTS {names.stage}",
        f"CREATE TABLE IF NOT EXISTS {names.loads} ({texts}, {counts}, LOADED_AT {INSTANT_TYPE} NOT NULL)",
        f"CREATE TABLE IF NOT EXISTS {names.lock} (TARGET VARCHAR NOT NULL, HELD_BY VARCHAR, HELD_SINCE VARCHAR)",
    ]


def create_table(names: Names, stream: Stream) -> str:
    """Return the statement that makes a stream's table."""
    types = {f.name: f"{column_type(f.type)}{'' if f.nullable else ' NOT NULL'}" for f in stream.landed_schema}
    types |= {"package_id": "VARCHAR NOT NULL", LOAD_TIMESTAMP: f"{INSTANT_TYPE} NOT NULL"}
    types |= {LAST_SEEN_VERSION: "VARCHAR"}
    columns = ", ".join(f"{name} {types[name]}" for name in stream.table_columns)
    return f"CREATE TABLE IF NOT EXISTS {names.table(stream)} ({columns})"


def create_changes(table: str) -> str:
    """Return the statement that makes a table's change table, with its columns and none of its rules."""
    kept = f"SELECT t.*, CAST(NULL AS {INSTANT_TYPE}) AS {REPLACED_AT} FROM {table} t WHERE FALSE"
    return f"CREATE TABLE IF NOT EXISTS {table}{SUFFIX.upper()} AS {kept}"


def in_place(widened: "tuple[pa.Field[Any], ...]", found: Mapping[str, pa.DataType | str]) -> "list[pa.Field[Any]]":
    """Return the columns that ALTER can widen: Snowflake changes no column's digits after the point."""
    return [f for f in widened if _scale(f.type) == _scale(found[f.name])]


def _scale(type_: pa.DataType | str) -> int | None:
    return type_.scale if isinstance(type_, pa.DataType) and pa.types.is_decimal128(type_) else None


def rebuild(table: str, widened: "tuple[pa.Field[Any], ...]") -> str:
    """Return the statement that makes the table anew from itself with wider columns: all of it or nothing happens.

    The new one keeps the rows, the columns' order and the grants, not that a column must have a value: the streams do.
    """
    casts = ", ".join(f"CAST({f.name} AS {column_type(f.type)}) AS {f.name}" for f in widened)
    return f"CREATE OR REPLACE TABLE {table} COPY GRANTS AS SELECT * REPLACE ({casts}) FROM {table}"


def create_staging(stream: Stream, staging: str) -> str:
    """Return the statement that makes an empty staging table.

    Transient: a temporary table would do in Snowflake, but its emulator cannot COPY into one.
    """
    columns = ", ".join(f"{f.name} {column_type(f.type)}" for f in stream.landed_schema)
    return f"CREATE TRANSIENT TABLE IF NOT EXISTS {staging} ({columns})"


def copy(staging: str, location: str) -> str:
    """Return the statement that reads the staged Parquet files and removes them."""
    return (
        f"COPY INTO {staging} FROM @{location} FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)"
        " MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE PURGE = TRUE"
    )


def classify(stream: Stream, staging: str, table: str) -> str:
    """Return the query that counts what a merge will do: inserted, updated, unchanged, superseded, winners."""
    another = differs("s", "t", _content(stream))
    newer = f"s.{ROW_VERSION} > {_NEWEST}"
    return (
        f"SELECT COUNT_IF(t.{ROW_VERSION} IS NULL), COUNT_IF({newer} AND ({another})),"
        f" COUNT_IF(({newer} AND NOT ({another})) OR s.{ROW_VERSION} = {_NEWEST}),"
        f" COUNT_IF(s.{ROW_VERSION} < {_NEWEST}), COUNT(*)"
        f" FROM ({winners(stream, staging)}) s LEFT JOIN {table} t ON {_same_key(stream)}"
    )


def merge(stream: Stream, staging: str, table: str) -> str:
    """Return the merge: one row per key, and only a higher version replaces. Values: package id, load time.

    A row whose content stays keeps its lineage, and is noted as seen again.
    """
    columns = [*stream.schema.names, *LINEAGE]
    lineage = f"%s AS package_id, CAST(%s AS {INSTANT_TYPE}) AS load_timestamp"
    newer, another = f"s.{ROW_VERSION} > {_NEWEST}", differs("s", "t", _content(stream))
    changed = ", ".join(f"{c} = s.{c}" for c in columns if c not in stream.primary_key)
    return (
        f"MERGE INTO {table} t USING ({winners(stream, staging, lineage)}) s ON {_same_key(stream)}"
        f" WHEN MATCHED AND {newer} AND ({another}) THEN UPDATE SET {changed}, {LAST_SEEN_VERSION} = NULL"
        f" WHEN MATCHED AND {newer} THEN UPDATE SET {LAST_SEEN_VERSION} = s.{ROW_VERSION}"
        f" WHEN NOT MATCHED THEN INSERT ({', '.join(columns)}) VALUES ({', '.join(f's.{c}' for c in columns)})"
    )


def kept(names: Names, stream: Stream, staging: str, found: Sequence[str]) -> Changes:
    """Return the statements of a stream's change table, of which ``found`` are the columns there are."""
    return Changes(
        table=names.table(stream),
        changes=names.changes(stream),
        staged=staging,
        key=stream.primary_key,
        content=_content(stream),
        others=others(found, stream.schema.names),
        package_id="%s",
        now=f"CAST(%s AS {INSTANT_TYPE})",
    )


def append(stream: Stream, staging: str, table: str) -> str:
    """Return the insert of rows without a key, which does nothing when repeated. Values: package id, load time, id."""
    own = ", ".join(stream.landed_schema.names)
    return (
        f"INSERT INTO {table} ({own}, package_id, load_timestamp)"
        f" SELECT {own}, %s, CAST(%s AS {INSTANT_TYPE}) FROM {staging}"
        f" WHERE NOT EXISTS (SELECT 1 FROM {table} WHERE package_id = %s)"
    )


def winners(stream: Stream, staging: str, lineage: str = "") -> str:
    """Return the query of one staged row per key, that with the highest version."""
    # Rows of one key and version can differ only if the source contradicts itself; then the order of their contents
    # decides, so that every run and every engine decides alike.
    own = stream.landed_schema.names
    ties = ", ".join(f"{c} DESC NULLS LAST" for c in own if c not in {ROW_VERSION, *stream.primary_key})
    order = f"{ROW_VERSION} DESC{', ' + ties if ties else ''}"
    return (
        f"SELECT {', '.join([*own, *([lineage] if lineage else [])])} FROM {staging}"
        f" QUALIFY ROW_NUMBER() OVER (PARTITION BY {', '.join(stream.primary_key)} ORDER BY {order}) = 1"
    )


def _content(stream: Stream) -> list[str]:
    return [name for name in stream.schema.names if name not in stream.primary_key]


def _same_key(stream: Stream) -> str:
    return " AND ".join(f"t.{c} = s.{c}" for c in stream.primary_key)
