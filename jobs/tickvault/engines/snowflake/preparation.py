"""What must exist before a load, made where it is missing; all DDL of a load outside ``init`` is here."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tickvault.core.errors import ConfigError, LoadRejectedError, SchemaMismatchError
from tickvault.core.stream import Stream
from tickvault.engines.snowflake import tables
from tickvault.engines.snowflake.session import LockedError, MissingObjectError, Row

_log = logging.getLogger(__name__)

TIME = "%Y%m%d%H%M%S"
"""How an attempt's name, and so its staging table's, begins."""
_STAGING_AGE = timedelta(days=1)


class Preparation:
    """Prepares each target once per process.

    Args:
        run: Executes a statement with its values.
        names: Where things are.
    """

    def __init__(self, run: Callable[..., list[Row]], names: tables.Names) -> None:
        self._run, self._names = run, names
        self._ready: set[str] = set()

    def prepare(self, stream: Stream) -> None:
        """Make what a stream's load needs: schemas, stage, ledger, its table with all its columns, its lock's row.

        Raises:
            SchemaMismatchError: A column of the table has another type.
        """
        target = self._names.target(stream)
        if target in self._ready:
            return
        if not self._ready:
            self._lay_foundation()
            self._sweep()
        self._repeatedly(tables.create_target(self._names, stream))
        self._fit(stream, target)
        self._repeatedly(
            f"INSERT INTO {self._names.lock} (TARGET) SELECT '{target}'"
            f" WHERE NOT EXISTS (SELECT 1 FROM {self._names.lock} WHERE TARGET = '{target}')"
        )
        self._ready.add(target)

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

    def _fit(self, stream: Stream, target: str) -> None:
        """Add columns the table lacks, and refuse those of another type."""
        columns = f"{self._names.database}.INFORMATION_SCHEMA.COLUMNS"
        found = self._run(
            f"SELECT UPPER(COLUMN_NAME), DATA_TYPE, NUMERIC_SCALE FROM {columns}"
            " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s",
            self._names.schema_of(stream),
            stream.warehouse_table,
        )
        has = {str(name): _family(str(type_), scale) for name, type_, scale in found}
        for field in stream.landed_schema:
            wanted = tables.column_type(field.type)
            if field.name.upper() not in has:
                self._repeatedly(f"ALTER TABLE {target} ADD COLUMN {field.name} {wanted}")
            elif has[field.name.upper()] != (family := _family_of_declaration(wanted)):
                raise SchemaMismatchError(stream.name, field.name, family, f"{has[field.name.upper()]} in {target}")

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


def _family(type_: str, scale: object) -> str:
    return f"NUMBER with {int(str(scale or 0))} digits" if type_ == "NUMBER" else type_


def _family_of_declaration(declared: str) -> str:
    if declared.startswith("NUMBER"):
        return _family("NUMBER", declared.rstrip(")").rsplit(",", 1)[1])
    return {"VARCHAR": "TEXT", "BIGINT": _family("NUMBER", 0)}.get(declared, declared)
