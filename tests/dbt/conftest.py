"""Three warehouses with the same raw rows, built once per run; Trino's only where docker and its images are.

What is about the models and not about an engine is tested on PostgreSQL, which builds them in a third of the time.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import lakehouse
import pytest
import raw_data
from warehouse import Dbt, Postgres, Snowflake, Trino

from tickvault.local.snowflake.process import Emulator


@pytest.fixture(scope="session")
def raw() -> raw_data.Tables:
    """A small history of everything, awkward values included."""
    return raw_data.generate(7, transactions=1500, days=60, customers=120, companies=20, symbols=8)


@pytest.fixture(scope="session")
def snowflake_dbt(emulator: Emulator, raw: raw_data.Tables, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """The project, built and tested in the emulator."""
    warehouse = Snowflake(emulator.environment(), "DBT_PROJECT")
    warehouse.load(raw)
    dbt = Dbt(warehouse, tmp_path_factory.mktemp("dbt-snowflake"))
    dbt.run("build")
    return dbt


@pytest.fixture(scope="session")
def postgres_dbt(postgres_uri: str, raw: raw_data.Tables, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """The project, built and tested in PostgreSQL."""
    warehouse = Postgres.fresh(postgres_uri, "dbt_project")
    warehouse.load(raw)
    dbt = Dbt(warehouse, tmp_path_factory.mktemp("dbt-postgres"))
    dbt.run("build")
    return dbt


@pytest.fixture(scope="session")
def running_lakehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lakehouse.Lakehouse]:
    """Trino, PostgreSQL and MinIO in containers."""
    missing = lakehouse.missing()
    if missing and os.environ.get("REQUIRE_ENGINES") == "1":
        pytest.fail(f"REQUIRE_ENGINES=1, but {missing}")
    if missing:
        pytest.skip(missing)
    with lakehouse.start(tmp_path_factory.mktemp("lakehouse")) as running:
        yield running


@pytest.fixture(scope="session")
def trino(running_lakehouse: lakehouse.Lakehouse) -> Trino:
    """Trino, with nothing loaded."""
    return Trino(running_lakehouse.postgres_uri(), port=running_lakehouse.trino_port)


@pytest.fixture
def trino_dbt(trino: Trino, raw: raw_data.Tables, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """The project, built and tested through Trino from the same raw rows."""
    dbt = Dbt(trino, _parsed(tmp_path_factory))
    if trino.built is not raw:
        trino.reset()
        trino.load(raw)
        dbt.run("build")
        trino.built = raw
    return dbt


@pytest.fixture
def empty_trino_dbt(trino: Trino, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """The project for Trino, where nothing is loaded or built."""
    trino.built = None
    trino.reset()
    return Dbt(trino, _parsed(tmp_path_factory))


def _parsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.getbasetemp() / "dbt-trino"
    folder.mkdir(exist_ok=True)
    return folder
