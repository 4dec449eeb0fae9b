"""Real engines for tests: an embedded PostgreSQL and the Snowflake emulator.

Each worker has a PostgreSQL and an emulator of its own, and every test module gets databases nobody else uses.
"""

import logging
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from tickvault.core import redaction
from tickvault.core.settings import Settings
from tickvault.engines.scratch import scratch
from tickvault.engines.storage import FolderStorage
from tickvault.lake import Lake
from tickvault.local import postgres
from tickvault.local.engines import postgres_environment
from tickvault.local.snowflake.process import Emulator, start
from tickvault.local.snowflake.sessions import Limits

# How long an example takes says nothing of the code where six other processes are at work.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")


LONGEST = ("dbt", "integration", "contract", "charts", "unit")
"""Folders by how long their modules take."""


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a module's tests on one worker, and on one all that share a built warehouse.

    What takes long begins first, the warehouses before all: begun last, they would keep one worker busy while others
    idle.
    """
    for item in items:
        item.add_marker(pytest.mark.xdist_group([*_warehouses(item), item.path.name][0]))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[bool, int]:
    folder = item.path.parent.name
    return not _warehouses(item), LONGEST.index(folder) if folder in LONGEST else len(LONGEST)


def _warehouses(item: pytest.Item) -> list[str]:
    fixtures = getattr(item, "fixturenames", ())
    return [name for name in ("snowflake_dbt", "postgres_dbt") if name in fixtures]


@pytest.fixture(autouse=True)
def _untouched_log() -> Iterator[None]:
    """Give the root logger back as it was, and forget secrets: both are a process's, which runs one job."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    redaction.forget()
    root.handlers[:], root.level = handlers, level


@pytest.fixture(scope="session")
def postgres_uri() -> Iterator[str]:
    """A running PostgreSQL; use ``postgres_database`` unless the server itself is what you test.

    Not below pytest's own folder: that is closed to other users anew by every pytest that starts, and as root the
    server runs as a user of its own.
    """
    with (
        scratch("postgres") as folder,
        postgres.start(folder / "data", "postgres") as uri,
    ):
        yield uri


@pytest.fixture(scope="module")
def postgres_database(postgres_uri: str) -> str:
    """The URI of a fresh, empty database of this test module."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    postgres.create_database(postgres_uri, name)
    return postgres_uri.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="module")
def postgres_settings(postgres_database: str) -> dict[str, str]:
    """``Settings`` fields that point at ``postgres_database``."""
    return _fields(postgres_environment(postgres_database))


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A running Snowflake emulator that ends the transactions of who is gone after 2 seconds."""
    with start(tmp_path_factory.mktemp("emulator"), limits=Limits(idle_seconds=2.0, connected_seconds=8.0)) as running:
        yield running


@pytest.fixture(scope="module")
def snowflake_settings(emulator: Emulator) -> dict[str, str]:
    """``Settings`` fields that point at a fresh database of this test module in the emulator."""
    return _fields(emulator.environment()) | {"snowflake_database": f"TEST_{uuid.uuid4().hex[:8]}".upper()}


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Make settings that know nothing of the developer's environment file."""

    def make(**fields: object) -> Settings:
        return Settings.load(_env_file=None, **({"tickvault_home": tmp_path / "home"} | fields))

    return make


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake in a folder."""
    return Lake(FolderStorage(tmp_path / "lake"))


def _fields(environment: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in environment.items()}
