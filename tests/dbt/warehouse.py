"""The two warehouses the dbt project builds in, as the tests need them: load raw tables, build, query."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from tickvault import streams
from tickvault.stream import Area, Stream

PROJECT = Path(__file__).parents[2] / "dbt"
Row = tuple[Any, ...]


class Warehouse(Protocol):
    """Where the project is built."""

    target: str

    def environment(self) -> dict[str, str]: ...
    def load(self, tables: Mapping[str, pa.Table]) -> None: ...
    def query(self, sql: str) -> list[Row]: ...
    def columns(self, relation: str) -> list[str]: ...


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
            *arguments, "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target", self.warehouse.target,
            "--target-path", str(self.target_path), "--log-path", str(self.target_path), "--no-use-colors", "--quiet",
        ]  # fmt: skip
        with environment(self.warehouse.environment()):
            result = dbtRunner().invoke(command)
        if check and not result.success:
            raise AssertionError(f"dbt {' '.join(arguments)}: {result.exception or failures(result)}")
        return result


def failures(result: Any) -> str:
    """Return what went wrong, a line per node."""
    bad = [r for r in result.result if str(r.status) not in {"success", "pass", "skipped"}]
    return "\n".join(f"{r.node.unique_id}: {r.status}: {r.message}" for r in bad)


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
        "string": "varchar", "version": "varchar", "date32[day]": "date", "int64": "number(38,0)",
        "timestamp[us, tz=UTC]": "timestamp_ntz(6)", "decimal128(38, 10)": "number(38,10)",
    }  # fmt: skip

    def environment(self) -> dict[str, str]:
        return {**self.variables, "SNOWFLAKE_DATABASE": self.database}

    def connection(self) -> Any:
        if self._connection is None:
            import snowflake.connector

            v = self.variables
            self._connection = snowflake.connector.connect(
                account=v["SNOWFLAKE_ACCOUNT"], user="tickvault", password="tickvault", host=v["SNOWFLAKE_HOST"],
                port=int(v["SNOWFLAKE_PORT"]), protocol=v["SNOWFLAKE_PROTOCOL"], network_timeout=60,
            )  # fmt: skip
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
            stream = next(s for s in streams.ALL if s.name == name)
            schema = "RAW" if stream.area is Area.BATCH else "STAGING"
            relation = f"{schema}.{stream.warehouse_table}"
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

    def columns(self, relation: str) -> list[str]:
        return [c[0].lower() for c in self.connection().cursor().execute(f"SELECT * FROM {relation} LIMIT 0").description]


def _naive(rows: pa.Table) -> pa.Table:
    fields = [pa.field(f.name, pa.timestamp("us")) if pa.types.is_timestamp(f.type) else f for f in rows.schema]
    return rows.cast(pa.schema(fields))


@dataclass
class Trino:
    """Trino over PostgreSQL's raw tables, building in Iceberg."""

    host: str
    port: int
    postgres: str
    target: str = "dev-trino"
    _connection: Any = field(default=None, repr=False)

    TYPES = {  # noqa: RUF012
        "string": "text", "version": 'text COLLATE "C"', "date32[day]": "date", "int64": "bigint",
        "timestamp[us, tz=UTC]": "timestamptz", "decimal128(38, 10)": "numeric(38,10)",
    }  # fmt: skip

    def environment(self) -> dict[str, str]:
        return {"TRINO_HOST": self.host, "TRINO_PORT": str(self.port)}

    def load(self, tables: Mapping[str, pa.Table]) -> None:
        import adbc_driver_postgresql.dbapi as adbc

        with adbc.connect(self.postgres) as connection, connection.cursor() as cursor:
            for name, rows in tables.items():
                stream = next(s for s in streams.ALL if s.name == name)
                cursor.execute(f"DROP TABLE IF EXISTS {name}")
                cursor.execute(f"CREATE TABLE {name} ({_ddl(stream, self.TYPES)})")
                if rows.num_rows:
                    cursor.adbc_ingest("staged", rows, mode="create", temporary=True)
                    names = ", ".join(f'"{c}"' for c in rows.schema.names)
                    cursor.execute(f"INSERT INTO {name} ({names}) SELECT {names} FROM staged")
                    cursor.execute("DROP TABLE staged")
            connection.commit()

    def query(self, sql: str) -> list[Row]:
        if self._connection is None:
            import trino

            self._connection = trino.dbapi.connect(host=self.host, port=self.port, user="test", catalog="lake")
        cursor = self._connection.cursor()
        cursor.execute(sql)
        return [tuple(row) for row in cursor.fetchall()]

    def columns(self, relation: str) -> list[str]:
        schema, table = relation.split(".")
        found = self.query(
            f"SELECT column_name FROM information_schema.columns WHERE table_schema = '{schema}' "
            f"AND table_name = '{table}' ORDER BY ordinal_position"
        )
        return [row[0] for row in found]
