"""A child ends with its parent: when it is told to, and when the parent is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tickvault.core.errors import SinkUnavailableError
from tickvault.local import child, engines
from tickvault.local.home import Home

_FOLLOWER = "from tickvault.local import parent; import time; parent.follow(); print('up', flush=True); time.sleep(600)"
_STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + _FOLLOWER


def _until(said: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not said():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _gone(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"


def test_a_child_is_asked_to_stop() -> None:
    running = child.start(["-c", _FOLLOWER], stdout=subprocess.PIPE)
    assert running.stdout
    assert running.stdout.readline() == b"up\n"
    child.stop(running)
    assert running.returncode == -signal.SIGTERM


def test_a_child_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_STOP_SECONDS", 0.2)
    running = child.start(["-c", _STUBBORN], stdout=subprocess.PIPE)
    assert running.stdout
    assert running.stdout.readline() == b"up\n"
    child.stop(running)
    assert running.returncode == -signal.SIGKILL


def test_a_child_ends_when_its_parent_is_killed() -> None:
    code = f"""
import subprocess, time
from tickvault.core.errors import SinkUnavailableError
from tickvault.local import child, engines
from tickvault.local.home import Home
running = child.start(["-c", {_FOLLOWER!r}], stdout=subprocess.PIPE)
running.stdout.readline()
print(running.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert not _gone(pid)
        os.kill(parent.pid, signal.SIGKILL)
    _until(lambda: _gone(pid))


def test_engines_that_do_not_start_say_why_and_leave_no_process(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.lock.mkdir()  # so that it cannot be opened
    with pytest.raises(SinkUnavailableError, match=r"ended with code 1; .* says: (.|\n)*IsADirectoryError"):
        engines.use(home, "a test", idle_minutes=1).__enter__()


def test_engines_whose_start_is_interrupted_leave_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    sleeping = [sys.executable, "-c", "import time; time.sleep(600)"]

    def spawn(*_: object) -> "subprocess.Popen[bytes]":
        started.append(subprocess.Popen(sleeping))
        return started[0]

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(engines, "_spawn", spawn)
    monkeypatch.setattr(child, "await_start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engines.use(Home(tmp_path), "a test", idle_minutes=1).__enter__()
    assert started[0].returncode == -signal.SIGTERM
