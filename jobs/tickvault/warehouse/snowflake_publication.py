"""Publication on Snowflake and its emulator: a generation is a zero-copy clone."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from tickvault.core.errors import LoadRejectedError
from tickvault.core.settings import Settings
from tickvault.engines.snowflake.session import Connection, MissingObjectError
from tickvault.engines.snowflake.tables import LEDGER_SCHEMA
from tickvault.ledger.publications import RECENT
from tickvault.warehouse.publication import Generation, Mart, Stamp, count_statement

_GENERATIONS = "GENERATIONS"


class SnowflakeShelf:
    """Clones in schema ``GENERATIONS``, noted in ``DATA_PLATFORM.PUBLICATION`` of the same database.

    Args:
        connection: A session.
        settings: Name database and reader role, and say how long notes are kept.
    """

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._run = connection.run
        self._database, self._reader = settings.snowflake_database, settings.snowflake_reader_role
        self._emulated = settings.snowflake_host is not None
        self._note_days = settings.retention_publication_days
        self._notes = f"{self._database}.{LEDGER_SCHEMA}.PUBLICATION"
        self._columns: dict[tuple[str, str], tuple[object, ...]] = {}

    def count(self, relations: Sequence[str]) -> dict[str, int]:
        """Return the rows of tables."""
        return {str(name): int(str(n)) for name, n in self._run(count_statement(relations))} if relations else {}

    def values(self, relation: str, column: str) -> list[str]:
        """Return the values of a table's column, each once, in order."""
        return [str(value) for (value,) in self._run(f"SELECT DISTINCT {column} FROM {relation} ORDER BY 1")]

    def prepare(self, schemas: Iterable[str]) -> None:
        """Make schemas and the table of publications; the reader may enter the public ones."""
        schemas = [s.upper() for s in schemas]
        for schema in (LEDGER_SCHEMA, _GENERATIONS, *schemas):
            self._run(f"CREATE SCHEMA IF NOT EXISTS {self._database}.{schema}")
        self._run(
            f"CREATE TABLE IF NOT EXISTS {self._notes} (MART VARCHAR NOT NULL, GENERATION VARCHAR NOT NULL,"
            " SLOT VARCHAR NOT NULL, RUN_ID VARCHAR NOT NULL, RECORDED_AT TIMESTAMP_NTZ(6) NOT NULL,"
            " IS_PUBLISHED BOOLEAN NOT NULL)"
        )
        for schema in schemas:
            self._grant(f"USAGE ON SCHEMA {self._database}.{schema}")
        rows = self._run(
            f"SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE FROM {self._database}.INFORMATION_SCHEMA.COLUMNS"
            f" WHERE TABLE_SCHEMA = '{_GENERATIONS}' OR TABLE_SCHEMA LIKE 'BUILD%%'"
            " ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION"
        )
        for schema, table, *column in rows:
            key = (str(schema).upper(), str(table).upper())
            self._columns[key] = (*self._columns.get(key, ()), *column)

    def history(self) -> dict[str, list[Generation]]:
        """Return what was noted, of each mart the latest, newest first."""
        found: dict[str, list[Generation]] = {}
        newest = "ORDER BY RECORDED_AT DESC, GENERATION DESC"
        sql = (
            f"SELECT MART, GENERATION, IS_PUBLISHED FROM {self._notes}"
            f" QUALIFY ROW_NUMBER() OVER (PARTITION BY MART {newest}) <= {RECENT} {newest}"
        )
        for mart, generation, published in self._run(sql):
            found.setdefault(str(mart), []).append(Generation(str(generation), bool(published)))
        return found

    def holds(self, mart: Mart, generation: Generation) -> bool:
        """Compare columns, number of rows and rows: every mart has a key, so none of them is there twice."""
        built = self._columns.get((mart.aside.upper(), mart.name.upper()))
        if built is None or built != self._columns.get((_GENERATIONS, generation.name)):
            return False
        here, there = self._aside(mart), self._frozen(generation.name)
        try:
            counts = self._run(f"SELECT (SELECT COUNT(*) FROM {here}), (SELECT COUNT(*) FROM {there})")[0]
            if counts[0] != counts[1]:
                return False
            return not self._run(f"SELECT * FROM {here} EXCEPT SELECT * FROM {there} LIMIT 1")
        except (MissingObjectError, LoadRejectedError):  # not comparable any more
            return False

    def freeze(self, mart: Mart, stamp: Stamp) -> str:
        """Clone what was built; transient, since dbt's tables are and their clones have to be."""
        generation = f"{mart.name}__{stamp.slot.id}_{stamp.build_id[:12]}".upper()
        self._run(f"CREATE TRANSIENT TABLE {self._frozen(generation)} CLONE {self._aside(mart)}")
        return generation

    def note(self, mart: Mart, generation: str, stamp: Stamp) -> None:
        """Write a row, not confirmed yet."""
        self._run(
            f"INSERT INTO {self._notes} SELECT %s, %s, %s, %s, CAST(%s AS TIMESTAMP_NTZ(6)), FALSE"
            f" WHERE NOT EXISTS (SELECT 1 FROM {self._notes} WHERE GENERATION = %s)",
            *(mart.name, generation, stamp.slot.id, stamp.run_id),
            *(_written(datetime.now(UTC)), generation),
        )

    def show(self, mart: Mart, generation: str) -> None:
        """Replace the view."""
        self.define(mart, f"SELECT * FROM {self._frozen(generation)}")

    def define(self, view: Mart, sql: str) -> None:
        """Replace a view; its grants stay on it through the replacement."""
        name = f"{self._database}.{view.schema}.{view.name}".upper()
        self._run(f"CREATE OR REPLACE VIEW {name} COPY GRANTS AS {sql}")
        self._grant(f"SELECT ON VIEW {name}")

    def confirm(self, mart: Mart, generation: str) -> None:
        """Mark the row."""
        self._run(
            f"UPDATE {self._notes} SET IS_PUBLISHED = TRUE WHERE MART = %s AND GENERATION = %s", mart.name, generation
        )

    def clear(self, mart: Mart, retained: list[str]) -> None:
        """Drop the mart's clones other than these, also one that was never noted, and forget old notes on others."""
        prefix = f"{mart.name}__".upper()
        rows = self._run(
            f"SELECT TABLE_NAME FROM {self._database}.INFORMATION_SCHEMA.TABLES"
            f" WHERE TABLE_SCHEMA = '{_GENERATIONS}' AND STARTSWITH(TABLE_NAME, %s)",
            prefix,
        )
        for (name,) in rows:
            if name not in retained:
                self._run(f"DROP TABLE IF EXISTS {self._frozen(str(name))}")
        if self._note_days:
            self._run(
                f"DELETE FROM {self._notes} WHERE MART = %s AND RECORDED_AT < CAST(%s AS TIMESTAMP_NTZ(6))"
                f" AND GENERATION NOT IN ({', '.join(['%s'] * len(retained))})",
                *(mart.name, _written(datetime.now(UTC) - timedelta(days=self._note_days)), *retained),
            )

    def _grant(self, right: str) -> None:
        if not self._emulated:  # which knows no roles
            self._run(f"GRANT {right} TO ROLE {self._reader}")

    def _aside(self, mart: Mart) -> str:
        return f"{self._database}.{mart.aside}.{mart.name}".upper()

    def _frozen(self, generation: str) -> str:
        return f"{self._database}.{_GENERATIONS}.{generation}"


def _written(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S.%f")
