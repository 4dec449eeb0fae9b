"""A target with raw tables, a ledger and the jobs that build it: what a flow has."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import raw_data
from warehouse import PROJECT, RawPostgres, Trino, Warehouse

from tickvault.core.settings import Settings
from tickvault.core.stream import Area, Stream
from tickvault.ledger import Ledger
from tickvault.local.engines import postgres_environment

SLOT = "20261120T130000Z"
WAIT_SECONDS = 900


@dataclass
class Shop:
    """One target with its raw tables, its ledger, and the jobs that build it."""

    warehouse: Warehouse
    settings: Settings
    variables: dict[str, str]
    tables: raw_data.Tables

    def ask(self) -> "subprocess.Popen[str]":
        """Ask for a build as a flow does."""
        command = [sys.executable, "-m", "tickvault", "dbt", "build", "--target", self.warehouse.target, "--slot", SLOT]
        return subprocess.Popen(
            command, env=os.environ | self.variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def build(self) -> tuple[int, str]:
        asked = self.ask()
        output, _ = asked.communicate(timeout=WAIT_SECONDS)
        return asked.returncode, output

    def load(self, package: str, stream: Stream, rows: list[raw_data.Row]) -> None:
        """Put rows in place of those with their keys as the loader does, and note the load in the ledger."""
        names = [f.name for f in stream.landed_schema] + ["package_id", "load_timestamp"]
        values = ", ".join("(" + ", ".join(literal(row.get(name)) for name in names) + ")" for row in rows)
        schema = "RAW" if stream.area is Area.BATCH else "STAGING"
        postgres = isinstance(self.warehouse, RawPostgres)
        table = stream.name if postgres else f"{schema}.{stream.warehouse_table}"
        keys = [" AND ".join(f"{name} = {literal(row[name])}" for name in stream.primary_key) for row in rows]
        old = f"DELETE FROM {table} WHERE {' OR '.join(keys)}"
        sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES {values}"
        if postgres:
            with psycopg.connect(self.warehouse.postgres) as connection, connection.cursor() as cursor:
                cursor.execute(old)
                cursor.execute(sql)
        else:
            self.warehouse.query(old)
            self.warehouse.query(sql)
        self.note(package)

    def note(self, package: str) -> None:
        sink = "postgres" if isinstance(self.warehouse, RawPostgres) else "snowflake"
        self.ledger(
            """INSERT INTO data_platform.loads (package_id, sink, source, stream, slot, run_id)
            VALUES (%s, %s, 'test', 'test', now(), 'test') RETURNING package_id""",
            package,
            sink,
        )

    def ledger(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with Ledger.open(self.settings) as ledger:
            return ledger._db.rows(sql, *values)

    def builds(self) -> list[str]:
        return [status for (status,) in self.ledger("SELECT status FROM data_platform.builds ORDER BY started_at")]

    def generations(self) -> int:
        """How many frozen states of fct_transactions there are."""
        if isinstance(self.warehouse, Trino):
            return self.warehouse.query('SELECT count(*) FROM lake.build_marts."fct_transactions$snapshots"')[0][0]
        sql = "SELECT count(*) FROM information_schema.tables WHERE upper(table_schema) = 'GENERATIONS'"
        return self.warehouse.query(f"{sql} AND upper(table_name) LIKE 'FCT_TRANSACTIONS%'")[0][0]


def literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, datetime):
        return f"'{value:%Y-%m-%d %H:%M:%S.%f}'"
    return str(value) if isinstance(value, Decimal | int) else "'" + str(value).replace("'", "''") + "'"


def shop(
    warehouse: Warehouse, postgres_uri: str, folder: Path, make: Callable[..., Settings], tables: raw_data.Tables
) -> Shop:
    """Load the raw tables, and note the load."""
    warehouse.load(tables)
    variables = {
        **warehouse.environment(), **postgres_environment(postgres_uri), "DBT_PROJECT_DIR": str(PROJECT),
        "SEEDS_PATH": str(raw_data.SEEDS), "DBT_TARGET_PATH": str(folder), "TICKVAULT_HOME": str(folder),
        "LAKE_PATH": str(folder / "lake"),
    }  # fmt: skip
    made = Shop(warehouse, make(**{k.lower(): v for k, v in variables.items()}), variables, tables)
    made.note("first")
    return made
