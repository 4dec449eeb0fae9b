"""Temporary folders of killed processes are removed by the next process that needs one; the others are not."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tickvault.engines import scratch as scratch_module
from tickvault.engines.scratch import scratch

_CHILD = """
import os, sys
from tickvault.engines.scratch import scratch
with scratch("child") as folder:
    (folder / "part").write_text("half a part")
    print(folder, flush=True)
    sys.stdin.read()
    os._exit(137)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The TMPDIR of this process and its children, not looked at yet."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    scratch_module._sweep.cache_clear()
    return tmp_path


def begun(*, seconds_ago: float) -> tuple[subprocess.Popen[str], Path]:
    """Start a process that has a folder since a while."""
    child = subprocess.Popen([sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout
    folder = Path(child.stdout.readline().strip())
    then = time.time() - seconds_ago
    os.utime(folder / ".owner", (then, then))
    return child, folder


def test_a_folder_is_removed_at_the_end(place: Path) -> None:
    with scratch() as folder:
        (folder / "part").write_text("rows")
        assert folder.parent == place
    assert list(place.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(place: Path) -> None:
    (child, left), (living, kept) = begun(seconds_ago=120), begun(seconds_ago=120)
    young_child, young = begun(seconds_ago=0)
    other = place / "tickvault-no-owner"
    other.mkdir()
    for killed in (child, young_child):
        killed.communicate("end")
    assert left.exists()
    with scratch():
        assert [path.exists() for path in (left, kept, young, other)] == [False, True, True, True]
    living.communicate("end")
    with scratch():
        assert kept.exists(), "a process looks once"
    scratch_module._sweep.cache_clear()
    with scratch():
        assert not kept.exists()
