"""A backup goes to S3 and comes back beside the live database, row for row."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from cluster import Cluster
from psycopg import sql

from tickvault.engines.changes import SUFFIX

DATABASES = ("stock_data", "iceberg")
pytestmark = pytest.mark.usefixtures("filled")


@pytest.fixture
def restored(cluster: Cluster) -> Iterator[None]:
    """Back up and restore by the CronJobs, as a person does; the copies are dropped at the end."""
    for job in ("tickvault-timescaledb-backup", "tickvault-timescaledb-restore"):
        ended = cluster.end_of(cluster.start(job), 600)
        assert ended.complete, ended
    yield
    for name in ("stock_data", "prefect", "iceberg"):
        _ask(cluster, "postgres", f'DROP DATABASE IF EXISTS "{name}_restored" WITH (FORCE)')


def _ask(cluster: Cluster, database: str, statement: str | sql.Composed) -> list[tuple[object, ...]]:
    settings = cluster.settings("postgres", "postgres-password").model_copy(update={"postgres_db": database})
    with closing(psycopg.connect(settings.postgres_dsn())) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


def _tables(cluster: Cluster, database: str) -> set[tuple[object, ...]]:
    return set(
        _ask(
            cluster,
            database,
            "SELECT schemaname, tablename, tableowner FROM pg_tables WHERE schemaname IN ('public', 'data_platform')",
        )
    )


def _content(cluster: Cluster, database: str, table: str) -> tuple[object, ...]:
    """Count a table's rows and add up the hashes of their text, whatever their order."""
    statement = sql.SQL("SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {} t").format(sql.Identifier(table))
    return _ask(cluster, database, statement)[0]


def test_a_restored_backup_holds_the_same_rows(cluster: Cluster, restored: None) -> None:
    for database in DATABASES:
        live = _tables(cluster, database)
        assert live
        assert _tables(cluster, f"{database}_restored") == live
    raw = sorted(str(name) for _, name, _ in _tables(cluster, "stock_data") if str(name).startswith("raw_"))
    assert len(raw) >= 8
    contents = {name: _content(cluster, "stock_data", name) for name in raw}
    assert all(rows for name, (rows, _) in contents.items() if not name.endswith(SUFFIX)), contents
    assert {name: _content(cluster, "stock_data_restored", name) for name in raw} == contents
    chunks = "SELECT hypertable_name, num_chunks FROM timescaledb_information.hypertables ORDER BY 1"
    assert _ask(cluster, "stock_data_restored", chunks) == _ask(cluster, "stock_data", chunks) != []
