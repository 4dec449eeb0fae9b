"""Trino over PostgreSQL and MinIO in containers on a network of their own, as the chart sets them up.

PostgreSQL holds the raw tables (database ``stock_data``) and Iceberg's JDBC catalogue (database ``iceberg``), MinIO the
Iceberg tables' files. Needs docker and the three images.
"""

import contextlib
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

TRINO = "trinodb/trino:476"
POSTGRES = "timescale/timescaledb:2.19.3-pg17"
MINIO = "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z"
SECRET = "tickvault-test"

# Iceberg's JDBC catalogue makes its tables only as their owner and not from Trino: they are made beforehand.
# https://github.com/apache/iceberg/blob/main/core/src/main/java/org/apache/iceberg/jdbc/JdbcUtil.java
CATALOGUE_TABLES = """
CREATE TABLE iceberg_tables (
  catalog_name varchar(255) NOT NULL, table_namespace varchar(255) NOT NULL, table_name varchar(255) NOT NULL,
  metadata_location varchar(1000), previous_metadata_location varchar(1000), iceberg_type varchar(5),
  PRIMARY KEY (catalog_name, table_namespace, table_name));
CREATE TABLE iceberg_namespace_properties (
  catalog_name varchar(255) NOT NULL, namespace varchar(255) NOT NULL, property_key varchar(255),
  property_value varchar(1000), PRIMARY KEY (catalog_name, namespace, property_key));
"""
# Whoever reads for dbt can read the raw tables, those made later too, and write nothing.
READER = f"""
CREATE ROLE dbt_reader LOGIN PASSWORD '{SECRET}';
GRANT USAGE ON SCHEMA public TO dbt_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO dbt_reader;
"""
CATALOGUES = {
    "postgres": f"""
connector.name=postgresql
connection-url=jdbc:postgresql://postgres:5432/stock_data
connection-user=dbt_reader
connection-password={SECRET}
""",
    "lake": f"""
connector.name=iceberg
iceberg.catalog.type=jdbc
iceberg.jdbc-catalog.catalog-name=lake
iceberg.jdbc-catalog.driver-class=org.postgresql.Driver
iceberg.jdbc-catalog.connection-url=jdbc:postgresql://postgres:5432/iceberg
iceberg.jdbc-catalog.connection-user=postgres
iceberg.jdbc-catalog.connection-password={SECRET}
iceberg.jdbc-catalog.default-warehouse-dir=s3://lake/warehouse
fs.native-s3.enabled=true
s3.endpoint=http://minio:9000
s3.region=us-east-1
s3.path-style-access=true
s3.aws-access-key=tickvault
s3.aws-secret-key={SECRET}
""",
}


@dataclass(frozen=True)
class Lakehouse:
    """Where the started engines listen on this machine."""

    trino_port: int
    postgres_port: int

    def postgres_uri(self) -> str:
        return f"postgresql://postgres:{SECRET}@127.0.0.1:{self.postgres_port}/stock_data"


def missing() -> str | None:
    """Say what is missing on this machine, or None."""
    try:
        for image in (TRINO, POSTGRES, MINIO):
            if _docker("image", "inspect", "--format", "{{.Id}}", image, check=False).returncode:
                return f"image {image} is not here"
    except FileNotFoundError:
        return "docker is not installed"
    return None


@contextlib.contextmanager
def start(folder: Path) -> Iterator[Lakehouse]:
    """Start the three, wait until Trino answers, and remove them at the end."""
    network = f"tickvault-test-{uuid.uuid4().hex[:8]}"
    _docker("network", "create", network)
    containers: list[str] = []
    try:
        yield _start(folder, network, containers)
    finally:
        for container in containers:
            _docker("rm", "-fv", container, check=False)
        _docker("network", "rm", network, check=False)


def _start(folder: Path, network: str, containers: list[str]) -> Lakehouse:
    def create(alias: str, image: str, port: int, *arguments: str, variables: dict[str, str] | None = None) -> str:
        flags = [flag for name, value in (variables or {}).items() for flag in ("-e", f"{name}={value}")]
        made = _docker("create", "--network", network, "--network-alias", alias, "-p", f"127.0.0.1::{port}", *flags,
                       image, *arguments)  # fmt: skip
        containers.append(made.stdout.strip())
        return containers[-1]

    postgres = create("postgres", POSTGRES, 5432, variables={"POSTGRES_PASSWORD": SECRET})
    minio = create("minio", MINIO, 9000, "server", "/data",
                   variables={"MINIO_ROOT_USER": "tickvault", "MINIO_ROOT_PASSWORD": SECRET})  # fmt: skip
    trino = create("trino", TRINO, 8080, variables={"CATALOG_MANAGEMENT": "static"})
    for name, content in CATALOGUES.items():
        file = folder / f"{name}.properties"
        file.write_text(content.lstrip())
        _docker("cp", str(file), f"{trino}:/etc/trino/catalog/{name}.properties")
    _docker("start", postgres, minio)
    _await(lambda: _prepare_postgres(_port(postgres, 5432)), lambda: _said("PostgreSQL", postgres))
    _await(lambda: _make_bucket(_port(minio, 9000)), lambda: _said("MinIO", minio))
    _docker("start", trino)
    port = _port(trino, 8080)
    _await(lambda: _answers(port), lambda: _said("Trino", trino))
    return Lakehouse(port, _port(postgres, 5432))


def _prepare_postgres(port: int) -> None:
    import psycopg

    def run(database: str, sql: str) -> None:
        uri = f"postgresql://postgres:{SECRET}@127.0.0.1:{port}/{database}"
        connection = psycopg.connect(uri, connect_timeout=2)
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(sql)

    run("postgres", "CREATE DATABASE iceberg")
    run("postgres", "CREATE DATABASE stock_data")
    run("iceberg", CATALOGUE_TABLES)
    run("stock_data", READER)


def _make_bucket(port: int) -> None:
    import boto3
    from botocore.config import Config

    boto3.client(
        "s3", endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id="tickvault", aws_secret_access_key=SECRET,
        region_name="us-east-1", config=Config(connect_timeout=2, retries={"max_attempts": 0}),
    ).create_bucket(Bucket="lake")  # fmt: skip


def _answers(port: int) -> None:
    import trino

    cursor = trino.dbapi.connect(host="127.0.0.1", port=port, user="test", max_attempts=1).cursor()
    cursor.execute("SELECT count(*) FROM lake.information_schema.tables")
    cursor.fetchall()


def _await(attempt: Callable[[], None], said: Callable[[], str], quiet: float = 120, longest: float = 1200) -> None:
    """Try until it works, while what is awaited says something new.

    Args:
        attempt: Raises while it does not work.
        said: Returns the last word of what is awaited; raises where it has ended.
        quiet: For how many seconds it may say nothing new, nor fail in another way; a busy machine is slow, not silent.
        longest: How many seconds it may take in all.
    """
    began = heard = time.monotonic()
    last = ""
    while True:
        try:
            return attempt()
        except Exception as error:
            # Each driver has its own errors for «not up yet»; the last one is shown when time is up.
            now, word = time.monotonic(), f"{said()}\n{type(error).__name__}"
            if word != last:
                heard, last = now, word
            if now - heard > quiet or now - began > longest:
                raise RuntimeError(
                    f"not up after {now - began:.0f} s, and {now - heard:.0f} s without news: {word}"
                ) from error
            time.sleep(0.3)


def _said(what: str, container: str) -> str:
    """Return what a container logged last, with its time."""
    logged = _docker("logs", "--tail", "1", "--timestamps", container, check=False)
    word = f"{what}: {(logged.stdout + logged.stderr).strip()}"
    if _docker("inspect", "--format", "{{.State.Running}}", container).stdout.strip() != "true":
        raise RuntimeError(f"{word}\n{what} has ended")
    return word


def _port(container: str, port: int) -> int:
    return int(_docker("port", container, str(port)).stdout.splitlines()[0].rsplit(":", 1)[1])


def _docker(*arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, env=os.environ)
    if check and done.returncode:
        raise RuntimeError(f"docker {' '.join(arguments[:2])}: {done.stderr.strip()}")
    return done
