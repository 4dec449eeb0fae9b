"""PostgreSQL from a wheel: it starts, is one process's own, and ends with it, also after a kill -9."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest

from tickvault.core.errors import ConfigError
from tickvault.engines.scratch import scratch
from tickvault.local import postgres


def ask(uri: str, question: str) -> object:
    with closing(psycopg.connect(uri)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(question)
        return cursor.fetchone()[0] if cursor.description else None


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with scratch("embedded") as folder:
        yield folder / "postgres"


def pid(folder: Path) -> int:
    return int((folder / "postmaster.pid").read_text().split()[0])


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


def test_a_folder_with_a_long_name_has_its_socket_elsewhere(folder: Path) -> None:
    deep = folder.parent / ("long" * 25)
    with postgres.start(deep) as uri:
        assert str(deep) not in uri
        assert ask(uri, "SELECT 1") == 1


def test_a_folder_is_one_process_s_own(folder: Path) -> None:
    with (
        postgres.start(folder) as first,
        pytest.raises(ConfigError, match="another process runs PostgreSQL"),
        postgres.start(folder),
    ):
        pass
    assert "host=/" in first
    assert not runs(folder)


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "love.txt").write_text("kept")
    with pytest.raises(ConfigError, match="no PostgreSQL"), postgres.start(tmp_path / "letters"):
        pass
    assert (tmp_path / "letters" / "love.txt").read_text() == "kept"


def test_it_ends_with_a_killed_user(folder: Path) -> None:
    code = (
        "import os, pathlib, signal; from tickvault.local import postgres\n"
        f"folder = pathlib.Path({str(folder)!r})\n"
        "with postgres.start(folder):\n"
        "    print((folder / 'postmaster.pid').read_text().split()[0], flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    psutil.wait_procs([psutil.Process(int(done.stdout))] if psutil.pid_exists(int(done.stdout)) else [], timeout=300)
    assert not psutil.pid_exists(int(done.stdout))
    assert not runs(folder), "it ended well: its journal needs no repair"


def test_one_whose_guard_was_killed_too_is_ended_by_the_next_start(folder: Path) -> None:
    with postgres.start(folder):
        left = psutil.Process(pid(folder))
        guard = left.parent()
        assert guard
        assert "tickvault.local.guard" in guard.cmdline()
        guard.kill()
        guard.wait(60)
        assert left.is_running()
    assert left.is_running()
    with postgres.start(folder) as uri:
        assert not left.is_running()
        assert ask(uri, "SELECT answer FROM kept") == 42


def test_a_number_that_is_another_process_s_by_now_is_no_reason_to_end_it(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
        with postgres.start(folder):
            lines = (folder / "postmaster.pid").read_text().splitlines()
        lines[0] = str(stranger.pid)
        (folder / "postmaster.pid").write_text("\n".join(lines))
        with postgres.start(folder) as uri:
            assert ask(uri, "SELECT answer FROM kept") == 42
        assert stranger.poll() is None
        stranger.kill()


def test_a_killed_server_is_started_again(folder: Path) -> None:
    with postgres.start(folder) as uri:
        ask(uri, "CREATE TABLE before_kill AS SELECT 1 AS one")
        os.kill(pid(folder), signal.SIGKILL)
    with postgres.start(folder) as uri:
        assert ask(uri, "SELECT one FROM before_kill") == 1
    assert not runs(folder)
