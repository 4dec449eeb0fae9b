"""What must exist before a load, made where it is missing; all DDL of a load outside ``init`` is here."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from tickvault.core import faults
from tickvault.core.contract import Fit, fit
from tickvault.core.errors import ConfigError, LoadRejectedError, SchemaMismatchError
from tickvault.core.stream import LAST_SEEN_VERSION, LINEAGE, ROW_VERSION, Stream, WriteMode
from tickvault.engines.snowflake import tables
from tickvault.engines.snowflake.session import LockedError, MissingObjectError, Row

_log = logging.getLogger(__name__)

TIME = "%Y%m%d%H%M%S"
"""How an attempt's name, and so its staging table's, begins."""
_STAGING_AGE = timedelta(days=1)


class Preparation:
    """Prepares each table once per process.

    Args:
        run: Executes a statement with its values.
        names: Where things are.
        held: Keeps all loaders out of a table while it is rebuilt.
    """

    def __init__(
        self, run: Callable[..., list[Row]], names: tables.Names, held: Callable[[str], AbstractContextManager[None]]
    ) -> None:
        self._run, self._names, self._held = run, names, held
        self._ready: dict[Stream, Fit] = {}

    def prepare(self, stream: Stream) -> Fit:
        """Make what a stream's load needs: schemas, stage, ledger, its table with all its columns, its lock's row.

        Returns:
            How the stream fits its table.

        Raises:
            SchemaMismatchError: The stream's contract does not allow a difference of the columns.
        """
        if known := self._ready.get(stream):
            return known
        table = self._names.table(stream)
        if not self._ready:
            self._lay_foundation()
            self._sweep()
        self._repeatedly(tables.create_table(self._names, stream))
        self._repeatedly(
            f"INSERT INTO {self._names.lock} (TARGET) SELECT '{table}'"
            f" WHERE NOT EXISTS (SELECT 1 FROM {self._names.lock} WHERE TARGET = '{table}')"
        )
        fitted = self._evolve(stream, table)
        self._ready[stream] = fitted
        return fitted

    def _lay_foundation(self) -> None:
        try:
            self._run(f"SELECT 1 FROM {self._names.loads}, {self._names.lock} LIMIT 0")
        except MissingObjectError:
            for statement in tables.foundation(self._names):
                self._repeatedly(statement)

    def _repeatedly(self, statement: str) -> None:
        # Two loaders that make the same thing at once conflict in the emulator, or violate its catalogue's keys;
        # Snowflake lets one wait.
        for pause in (0.05, 0.2, 0.5, 1.0, 2.0):
            try:
                self._run(statement)
            except (LockedError, LoadRejectedError):
                time.sleep(pause)
            else:
                return
        self._run(statement)

    def _evolve(self, stream: Stream, table: str) -> Fit:
        """Add columns the table lacks and widen those that have become too narrow, where the contract allows it."""
        fitted, found = self._fit(stream, table)
        added = [f"{field.name} {tables.column_type(field.type)}" for field in fitted.added]
        if stream.write_mode is WriteMode.UPSERT and LAST_SEEN_VERSION not in found:
            added.append(f"{LAST_SEEN_VERSION} VARCHAR")
        self._alter(table, added, fitted.widened, found)
        if fitted.widened and not self._widened_in_place(fitted.widened, found):
            with self._held(table):
                again, _ = self._fit(stream, table)  # another loader may have done it meanwhile
                if again.widened:
                    faults.at("before_widening")
                    self._repeatedly(tables.rebuild(table, again.widened))
                    faults.at("after_widening")
        if stream.write_mode is WriteMode.UPSERT:
            self._follow(stream, table)
        return fitted

    def _follow(self, stream: Stream, table: str) -> None:
        """Make a table's change table, or give it what the table has come to have; see ``engines.changes``."""
        name = self._names.changes(stream)
        faults.at("before_changes_follow")
        self._repeatedly(tables.create_changes(table))
        wanted, found = self._columns(stream, table), self._columns(stream, name)
        added = [f"{n} {_written(type_)}" for n, type_ in wanted.items() if n not in found]
        widened = tuple(
            pa.field(n, type_)
            for n, type_ in wanted.items()
            if n in found and found[n] != type_ and isinstance(type_, pa.DataType)
        )
        self._alter(name, added, widened, found)
        if widened and not self._widened_in_place(widened, found):
            with self._held(table):
                self._repeatedly(tables.rebuild(name, widened))

    def _alter(
        self,
        table: str,
        added: Sequence[str],
        widened: "tuple[pa.Field[Any], ...]",
        found: Mapping[str, pa.DataType | str],
    ) -> None:
        for column in added:
            self._repeatedly(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column}")
        for field in tables.in_place(widened, found):
            type_ = tables.column_type(field.type)
            self._repeatedly(f"ALTER TABLE {table} ALTER COLUMN {field.name} SET DATA TYPE {type_}")

    @staticmethod
    def _widened_in_place(widened: "tuple[pa.Field[Any], ...]", found: Mapping[str, pa.DataType | str]) -> bool:
        return len(tables.in_place(widened, found)) == len(widened)

    def columns(self, stream: Stream) -> list[str]:
        """Return the columns of a stream's change table."""
        return list(self._columns(stream, self._names.changes(stream)))

    def _columns(self, stream: Stream, table: str) -> dict[str, pa.DataType | str]:
        columns = f"{self._names.database}.INFORMATION_SCHEMA.COLUMNS"
        rows = self._run(
            f"SELECT LOWER(COLUMN_NAME), DATA_TYPE, NUMERIC_PRECISION, NUMERIC_SCALE FROM {columns}"
            " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s",
            self._names.schema_of(stream),
            table.rpartition(".")[2],
        )
        return {str(name): tables.arrow_type(str(type_), precision, scale) for name, type_, precision, scale in rows}

    def _fit(self, stream: Stream, table: str) -> tuple[Fit, dict[str, pa.DataType | str]]:
        """Return how the stream fits its table, and the table's columns."""
        found = self._columns(stream, table)
        if (version := found.get(ROW_VERSION)) != pa.string():
            raise SchemaMismatchError(stream.name, ROW_VERSION, "TEXT", f"{version or 'no such column'} in {table}")
        own = {name: type_ for name, type_ in found.items() if name not in {*LINEAGE, LAST_SEEN_VERSION}}
        return fit(stream, own, table), found

    def _sweep(self) -> None:
        """Drop staging tables that killed attempts left behind more than a day ago."""
        before = (datetime.now(UTC) - _STAGING_AGE).strftime(TIME)
        old = self._run(
            f"SELECT TABLE_NAME FROM {self._names.database}.INFORMATION_SCHEMA.TABLES"
            " WHERE TABLE_SCHEMA = %s AND TABLE_NAME >= 'LOAD_2' AND TABLE_NAME < %s",
            tables.LEDGER_SCHEMA,
            f"LOAD_{before}",
        )
        for (name,) in old:
            self.drop(f"{self._names.database}.{tables.LEDGER_SCHEMA}.{name}")

    def drop(self, staging: str) -> None:
        """Drop a staging table; one that stays is dropped by a later load."""
        try:
            self._run(f"DROP TABLE IF EXISTS {staging}")
        except (LockedError, LoadRejectedError, ConfigError) as error:
            _log.warning("%s is left behind and dropped by a later load: %s", staging, error)


def _written(type_: pa.DataType | str) -> str:
    return type_ if isinstance(type_, str) else tables.column_type(type_)
