"""A stream: one kind of row, from where it lies in the lake to the tables it fills."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

import pyarrow as pa

from tickvault.core.errors import ConfigError

MONEY = pa.decimal128(38, 10)
"""Amounts and quantities: exact, ten digits after the point."""
PRICE = pa.decimal128(38, 18)
"""Prices: exact, eighteen digits after the point, since a coin may cost 0.0000000012."""
INSTANT = pa.timestamp("us", tz="UTC")
"""A point in time, UTC, microseconds."""

ROW_VERSION = "row_version"
"""Sortable text ``<source time or day>|<slot>|r<revision>``: what decides which of two rows with one key stays."""
LOAD_TIMESTAMP = "load_timestamp"
LAST_SEEN_VERSION = "last_seen_version"
"""The highest version that had the same content again; null where it is the row's own. Of tables that are upserted."""
LINEAGE = (ROW_VERSION, "package_id", LOAD_TIMESTAMP)
"""Columns every raw table has beside its own; the lake adds the first, a sink the other two."""


class WriteMode(StrEnum):
    """What a sink does with rows whose key it already holds."""

    UPSERT = "upsert"
    """The higher version stays, whatever order packages arrive in."""
    APPEND = "append"
    """Rows without a key: a package is appended once, guarded by the ledger alone."""


class ContractMode(StrEnum):
    """What a load does when a package's columns are not those of its table."""

    EVOLVE = "evolve"
    """A new column is added and a type is widened where nothing is lost; another type is refused."""
    FREEZE = "freeze"
    """The table stays as it is: a package with other columns is refused and stays pending."""
    QUARANTINE = "quarantine"
    """The table stays as it is: columns that do not fit are left out, said, and stay in the lake."""


class Area(StrEnum):
    """Which of the two Snowflake schemas of the reference a table belongs to."""

    BATCH = "batch"  # SNOWFLAKE_SCHEMA
    PRICES = "prices"  # SNOWFLAKE_SCHEMA_STAGING


def required(name: str, type_: pa.DataType) -> "pa.Field[Any]":
    """Declare a column that must have a value."""
    return pa.field(name, type_, nullable=False)


def amount(name: str, *, nullable: bool = True) -> "pa.Field[Any]":
    """Declare a price, quantity or amount: decimal, never negative."""
    return pa.field(name, MONEY, nullable=nullable, metadata={b"min": b"0"})


def price(name: str, *, nullable: bool = True) -> "pa.Field[Any]":
    """Declare a price: decimal, never negative, and never one that storing would make another number."""
    return pa.field(name, PRICE, nullable=nullable, metadata={b"min": b"0", b"exact": b"true"})


def address(name: str) -> "pa.Field[Any]":
    """Declare a column that must have the address of a web page, as ``core.address`` knows one."""
    return pa.field(name, pa.string(), nullable=False, metadata={b"form": b"address"})


def is_allowed(type_: pa.DataType) -> bool:
    """Tell whether every engine stores this Arrow type without loss.

    ADBC wraps uint64 to -1 and turns decimal256 into text, so types are allowed by name, not refused by name.
    """
    return (
        pa.types.is_string(type_)
        or pa.types.is_boolean(type_)
        or pa.types.is_date32(type_)
        or type_ in (pa.int32(), pa.int64(), pa.float64(), INSTANT)
        or pa.types.is_decimal128(type_)
    )


@dataclass(frozen=True, slots=True)
class Stream:
    """One kind of row.

    Args:
        name: The raw table in PostgreSQL, lower case.
        schema: The row's own columns in order; lineage columns are added by the platform. Non-nullable fields are
            required; field metadata ``min`` is the least value allowed, ``exact`` refuses a number that the column's
            digits would make another one, ``form`` is what a text has to be.
        primary_key: Columns that identify a row; empty only for ``WriteMode.APPEND``.
        cursor_field: The source's own time of a row. It leads the row's version and is the watermark's column.
        version_field: What leads the row's version instead, where a row is of a day: its ``date``. Then the later read
            of a day wins, whatever time the earlier one stamped on it.
        lake_path: Prefix in the lake's bucket, without slashes at its ends.
        warehouse_table: The raw table in Snowflake, upper case; the name's own where it is left out.
        area: Which Snowflake schema that table is in.
        write_mode: What a sink does with a key it already holds.
        contract: What a load does when the columns change.
    """

    name: str
    schema: pa.Schema
    primary_key: tuple[str, ...]
    cursor_field: str | None
    lake_path: str
    warehouse_table: str = ""
    area: Area = Area.BATCH
    write_mode: WriteMode = WriteMode.UPSERT
    contract: ContractMode = ContractMode.EVOLVE
    version_field: str | None = None
    landed_schema: pa.Schema = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse at import what could never load: unknown key columns and types an engine would distort."""
        names = set(self.schema.names)
        for column in (*self.primary_key, *filter(None, (self.cursor_field, self.version_field))):
            if column not in names:
                raise ConfigError(f"stream {self.name}: '{column}' is not one of its columns")
        for f in self.schema:
            if not is_allowed(f.type):
                raise ConfigError(f"stream {self.name}: column '{f.name}' has type {f.type}, which no sink may store")
            if f.name in (*LINEAGE, LAST_SEEN_VERSION):
                raise ConfigError(f"stream {self.name}: column '{f.name}' is one the platform adds itself")
        if not self.primary_key and self.write_mode is not WriteMode.APPEND:
            raise ConfigError(f"stream {self.name}: an upsert needs a primary key")
        if not self.warehouse_table:
            object.__setattr__(self, "warehouse_table", self.name.upper())
        landed = self.schema.append(pa.field(ROW_VERSION, pa.string(), nullable=False))
        object.__setattr__(self, "landed_schema", landed)

    @property
    def table_columns(self) -> tuple[str, ...]:
        """All columns of a raw table as a sink makes it; a price's ``load_timestamp`` is where the reference has it.

        Nothing may rely on the order: a table that exists keeps its own, and new columns are added at its end.
        """
        columns = [*self.schema.names, *LINEAGE]
        if self.area is Area.PRICES and "observed_at" in columns:
            columns.remove(LOAD_TIMESTAMP)
            columns.insert(columns.index("observed_at") + 1, LOAD_TIMESTAMP)
        if self.write_mode is WriteMode.UPSERT:
            columns.append(LAST_SEEN_VERSION)
        return tuple(columns)

    def to_dict(self) -> dict[str, Any]:
        """Return everything a load needs to know of the stream, JSON-able: what a manifest carries."""
        return {
            "name": self.name,
            "columns": [_column(f) for f in self.schema],
            "primary_key": list(self.primary_key),
            "cursor_field": self.cursor_field,
            "lake_path": self.lake_path,
            "warehouse_table": self.warehouse_table,
            "area": self.area.value,
            "write_mode": self.write_mode.value,
            "contract": self.contract.value,
            "version_field": self.version_field,
        }

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` wrote.

        Raises:
            ConfigError: It names a type that no sink may store.
        """
        return cls(
            name=body["name"],
            schema=pa.schema([_field(body["name"], column) for column in body["columns"]]),
            primary_key=tuple(body["primary_key"]),
            cursor_field=body["cursor_field"],
            lake_path=body["lake_path"],
            warehouse_table=body["warehouse_table"],
            area=Area(body["area"]),
            write_mode=WriteMode(body["write_mode"]),
            contract=ContractMode(body["contract"]),
            version_field=body.get("version_field"),
        )


_TYPES = {str(t): t for t in (pa.string(), pa.bool_(), pa.date32(), pa.int32(), pa.int64(), pa.float64(), INSTANT)}
_DECIMAL = re.compile(r"decimal128\((\d+), (\d+)\)")


def type_named(name: str) -> pa.DataType | None:
    """Return the allowed type that Arrow writes like this, None where there is none."""
    if match := _DECIMAL.fullmatch(name):
        return pa.decimal128(int(match[1]), int(match[2]))
    return _TYPES.get(name)


_RULES = ("min", "exact", "form")


def _column(field: "pa.Field[Any]") -> dict[str, Any]:
    rules = {name.decode(): value.decode() for name, value in (field.metadata or {}).items()}
    return {"name": field.name, "type": str(field.type), "nullable": field.nullable, **rules}


def _field(stream: str, column: Mapping[str, Any]) -> "pa.Field[Any]":
    type_ = type_named(column["type"])
    if type_ is None:
        raise ConfigError(
            f"stream {stream}: column '{column['name']}' has type {column['type']}, which no sink may store"
        )
    metadata = {name.encode(): column[name].encode() for name in _RULES if name in column} or None
    return pa.field(column["name"], type_, nullable=column["nullable"], metadata=metadata)
