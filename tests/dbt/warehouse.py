"""The two warehouses the dbt project builds in, as the tests need them: load raw tables, build, query."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, Self

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from tickvault.core.stream import Area, Stream
from tickvault.local.engines import postgres_environment
from tickvault.local.postgres import create_database
from tickvault.market import streams

PROJECT = Path(__file__).parents[2] / "dbt"
CHANGES = "_changes"
"""What the name of a raw table's change table ends in."""
GHOSTS = ("0" * 32, "f" * 32)
"""The keys of the two rows that are beside those of the sources in hubs, links and satellites."""
Row = tuple[Any, ...]


class Warehouse(Protocol):
    """Where the project is built."""

    target: str

    def environment(self) -> dict[str, str]: ...
    def load(self, tables: Mapping[str, pa.Table]) -> None: ...
    def query(self, sql: str) -> list[Row]: ...
    def replace(self, relation: str, sql: str) -> None: ...
    def columns(self, relation: str) -> dict[str, str]: ...


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while; the profile reads them."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass
class Dbt:
    """dbt in this process, against one warehouse."""

    warehouse: Warehouse
    target_path: Path

    def run(self, *arguments: str, check: bool = True) -> Any:
        """Run a dbt command; with ``check`` a failed node fails the test, and says which."""
        from dbt.cli.main import dbtRunner

        command = [
            *arguments,
            "--project-dir",
            str(PROJECT),
            "--profiles-dir",
            str(PROJECT),
            "--no-use-colors",
            "--quiet",
            "--target",
            self.warehouse.target,
            "--target-path",
            str(self.target_path),
            "--log-path",
            str(self.target_path),
        ]
        with environment(self.warehouse.environment()):
            result = dbtRunner().invoke(command)
        if check and not result.success:
            raise AssertionError(f"dbt {' '.join(arguments)}: {result.exception or failures(result)}")
        return result


def failures(result: Any) -> str:
    """Return what went wrong, a line per node."""
    bad = [r for r in result.result if str(r.status) not in {"success", "pass", "skipped"}]
    return "\n".join(f"{r.node.unique_id}: {r.status}: {r.message}" for r in bad)


def _stream(table: str) -> Stream:
    return next(s for s in streams.ALL if s.name == table.removesuffix(CHANGES))


def _ddl(stream: Stream, types: Mapping[str, str]) -> str:
    columns = [f"{f.name} {types[str(f.type)]}" for f in stream.schema]
    columns += [f"row_version {types['version']}", f"package_id {types['string']}"]
    return ", ".join([*columns, f"load_timestamp {types['timestamp[us, tz=UTC]']}"])


@dataclass
class Snowflake:
    """The emulator, through the genuine driver."""

    variables: dict[str, str]
    database: str
    target: str = "dev-snowflake"
    _connection: Any = field(default=None, repr=False)

    TYPES = {  # noqa: RUF012
        "string": "varchar",
        "version": "varchar",
        "date32[day]": "date",
        "int64": "number(38,0)",
        "timestamp[us, tz=UTC]": "timestamp_ntz(6)",
        "decimal128(38, 10)": "number(38,10)",
        "decimal128(38, 18)": "number(38,18)",
    }

    def environment(self) -> dict[str, str]:
        return {**self.variables, "SNOWFLAKE_DATABASE": self.database}

    def connection(self) -> Any:
        if self._connection is None:
            import snowflake.connector

            v = self.variables
            self._connection = snowflake.connector.connect(
                account=v["SNOWFLAKE_ACCOUNT"],
                user="tickvault",
                password="tickvault",
                host=v["SNOWFLAKE_HOST"],
                port=int(v["SNOWFLAKE_PORT"]),
                protocol=v["SNOWFLAKE_PROTOCOL"],
                network_timeout=60,
            )
            cursor = self._connection.cursor()
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS {self.database}")
            cursor.execute(f"USE DATABASE {self.database}")
            for schema in ("RAW", "STAGING"):
                cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            cursor.execute("USE SCHEMA RAW")
            cursor.execute("CREATE FILE FORMAT IF NOT EXISTS parts TYPE = PARQUET")
        return self._connection

    def load(self, tables: Mapping[str, pa.Table]) -> None:
        cursor = self.connection().cursor()
        cursor.execute("USE SCHEMA RAW")
        folder = Path(tempfile.mkdtemp(prefix="raw"))
        stage = f"stage_{folder.name}"
        cursor.execute(f"CREATE STAGE {stage}")
        made = set()
        for name, rows in tables.items():
            stream = _stream(name)
            schema = "RAW" if stream.area is Area.BATCH else "STAGING"
            relation = f"{schema}.{stream.warehouse_table}{CHANGES.upper() if name.endswith(CHANGES) else ''}"
            if relation not in made:
                cursor.execute(f"CREATE OR REPLACE TABLE {relation} ({_ddl(stream, self.TYPES)})")
                made.add(relation)
            if not rows.num_rows:
                continue
            pq.write_table(_naive(rows), folder / f"{name}.parquet")
            cursor.execute(f"PUT file://{folder}/{name}.parquet @{stage} AUTO_COMPRESS=FALSE")
            cursor.execute(
                f"COPY INTO {relation} FROM @{stage}/{name}.parquet FILE_FORMAT = (FORMAT_NAME = 'RAW.parts') "
                "MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE"
            )
        shutil.rmtree(folder)

    def query(self, sql: str) -> list[Row]:
        return self.connection().cursor().execute(sql).fetchall()

    def replace(self, relation: str, sql: str) -> None:
        self.query(f"CREATE OR REPLACE TABLE {relation} AS {sql}")

    def columns(self, relation: str) -> dict[str, str]:
        return _columns(self, relation.upper(), f"{self.database}.information_schema")


def _naive(rows: pa.Table) -> pa.Table:
    fields = [pa.field(f.name, pa.timestamp("us")) if pa.types.is_timestamp(f.type) else f for f in rows.schema]
    return rows.cast(pa.schema(fields))


@dataclass
class RawPostgres:
    """Raw tables in PostgreSQL, as the loader makes them; what is built from them is elsewhere or beside them."""

    postgres: str

    TYPES = {  # noqa: RUF012
        "string": "text",
        "version": 'text COLLATE "C"',
        "date32[day]": "date",
        "int64": "bigint",
        "timestamp[us, tz=UTC]": "timestamptz",
        "decimal128(38, 10)": "numeric(38,10)",
        "decimal128(38, 18)": "numeric(38,18)",
    }

    def load(self, tables: Mapping[str, pa.Table]) -> None:
        import adbc_driver_postgresql.dbapi as adbc

        with adbc.connect(self.postgres) as connection, connection.cursor() as cursor:
            for name, rows in tables.items():
                cursor.execute(f"DROP TABLE IF EXISTS {name}")
                cursor.execute(f"CREATE TABLE {name} ({_ddl(_stream(name), self.TYPES)})")
                if rows.num_rows:
                    cursor.adbc_ingest("staged", rows, mode="create", temporary=True)
                    names = ", ".join(f'"{c}"' for c in rows.schema.names)
                    cursor.execute(f"INSERT INTO {name} ({names}) SELECT {names} FROM staged")
                    cursor.execute("DROP TABLE staged")
            connection.commit()


@dataclass
class Postgres(RawPostgres):
    """The platform's own PostgreSQL, building beside the raw tables."""

    target: str = "dev-postgres"

    @classmethod
    def fresh(cls, server: str, database: str) -> Self:
        """Give a database of its own on a server."""
        create_database(server, database)
        return cls(server.replace("/postgres?", f"/{database}?"))

    def environment(self) -> dict[str, str]:
        return postgres_environment(self.postgres)

    def query(self, sql: str) -> list[Row]:
        with psycopg.connect(self.postgres, options="-c timezone=UTC") as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def replace(self, relation: str, sql: str) -> None:
        """Replace a table as dbt does here: what stood on the one before goes with it."""
        self.query(f"CREATE TABLE {relation}_ AS {sql}; DROP TABLE IF EXISTS {relation} CASCADE;"
                   f" ALTER TABLE {relation}_ RENAME TO {relation.split('.')[1]}")  # fmt: skip

    def generations(self, mart: str) -> list[str]:
        """Return the names of a mart's copies."""
        return [n for (n,) in self.query(
            f"SELECT tablename FROM pg_tables WHERE schemaname = 'generations' AND tablename LIKE '{mart}\\_\\_%'"
        )]  # fmt: skip

    def columns(self, relation: str) -> dict[str, str]:
        return _columns(self, relation, "information_schema")


@dataclass
class Trino(RawPostgres):
    """Trino over PostgreSQL's raw tables, building in Iceberg."""

    host: str = "127.0.0.1"
    port: int = 8080
    target: str = "dev-trino"
    built: Any = field(default=None, repr=False)
    """The raw tables of the last build that passed."""
    _connection: Any = field(default=None, repr=False)

    def environment(self) -> dict[str, str]:
        return {"TRINO_HOST": self.host, "TRINO_PORT": str(self.port)}

    def query(self, sql: str) -> list[Row]:
        if self._connection is None:
            import trino

            self._connection = trino.dbapi.connect(host=self.host, port=self.port, user="test", catalog="lake")
        cursor = self._connection.cursor()
        cursor.execute(sql)
        return [tuple(row) for row in cursor.fetchall()]

    def replace(self, relation: str, sql: str) -> None:
        self.query(f"CREATE OR REPLACE TABLE lake.{relation} AS {sql}")

    def columns(self, relation: str) -> dict[str, str]:
        return _columns(self, relation, "lake.information_schema")

    def reset(self) -> None:
        """Drop everything that dbt built, and the changes that raw tables of before had."""
        with psycopg.connect(self.postgres, autocommit=True) as connection:
            for (table,) in connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            ).fetchall():
                if table.endswith(CHANGES):
                    connection.execute(f"DROP TABLE {table}".encode())
        for schema, table, kind in self.query(
            "SELECT table_schema, table_name, table_type FROM lake.information_schema"
            ".tables WHERE table_schema NOT IN ('information_schema', 'system')"
        ):
            self.query(f"DROP {'VIEW' if kind == 'VIEW' else 'TABLE'} IF EXISTS lake.{schema}.{table}")


def _columns(warehouse: Warehouse, relation: str, catalogue: str) -> dict[str, str]:
    schema, table = relation.split(".")
    found = warehouse.query(
        f"SELECT column_name, data_type FROM {catalogue}.columns WHERE table_schema = '{schema}' "
        f"AND table_name = '{table}' ORDER BY ordinal_position"
    )
    return {name.lower(): type_.lower() for name, type_ in found}


def read(warehouse: Warehouse, relation: str, without: frozenset[str] = frozenset()) -> list[dict[str, Any]]:
    """Return a relation's rows. Times come as text and are parsed: a driver would give null times as 1970."""
    types = {name: type_ for name, type_ in warehouse.columns(relation).items() if name not in without}
    if not types:
        raise AssertionError(f"{relation} is not there")
    times = {name for name, type_ in types.items() if type_.startswith("timestamp")}
    select = ", ".join(f"cast({name} as varchar) as {name}" if name in times else name for name in types)

    def value(name: str, given: Any) -> Any:
        return datetime.fromisoformat(given) if name in times and given is not None else given

    return [
        {name: value(name, given) for name, given in zip(types, row, strict=True)}
        for row in warehouse.query(f"SELECT {select} FROM {relation}")
    ]


def manifest(dbt: Dbt) -> dict[str, dict[str, Any]]:
    """Return the models of the project as dbt parsed them last."""
    nodes = json.loads((dbt.target_path / "manifest.json").read_text(encoding="utf-8"))["nodes"]
    return {key: node for key, node in nodes.items() if node["resource_type"] == "model"}
