"""PostgreSQL from a wheel: it starts, is shared, and is stopped by whoever leaves last, also after a kill -9."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tickvault.local import postgres


def ask(uri: str, question: str) -> object:
    with closing(psycopg.connect(uri)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(question)
        return cursor.fetchone()[0] if cursor.description else None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embedded") / "postgres"


def runs(folder: Path) -> bool:
    return (folder / "postmaster.pid").exists()


def test_starts_with_its_database_and_keeps_data(folder: Path) -> None:
    with postgres.start(folder) as uri:
        assert ask(uri, "SELECT current_database()") == "stock_data"
        assert "host=/" in uri
        ask(uri, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert not runs(folder)
    with postgres.start(folder) as uri:
        assert ask(uri, "SELECT answer FROM kept") == 42
    assert not runs(folder)


def test_a_second_start_joins_and_the_last_one_stops_it(folder: Path) -> None:
    with postgres.start(folder) as first:
        with postgres.start(folder, "another") as second:
            assert ask(second, "SELECT current_database()") == "another"
        assert ask(first, "SELECT 1") == 1
    assert not runs(folder)


def test_a_killed_user_leaves_no_server_behind_for_ever(folder: Path) -> None:
    code = (
        "import os, pathlib, signal; from tickvault.local import postgres\n"
        f"with postgres.start(pathlib.Path({str(folder)!r})): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert runs(folder), "the server itself survives its user"
    with postgres.start(folder) as uri:
        assert ask(uri, "SELECT 1") == 1
    assert not runs(folder)


def test_a_killed_server_is_started_again(folder: Path) -> None:
    with postgres.start(folder) as uri:
        ask(uri, "CREATE TABLE before_kill AS SELECT 1 AS one")
        os.kill(int((folder / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    with postgres.start(folder) as uri:
        assert ask(uri, "SELECT one FROM before_kill") == 1
    assert not runs(folder)
