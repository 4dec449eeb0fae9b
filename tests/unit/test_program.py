"""What is printed can be pasted, and what takes long says so."""

import re
import subprocess
import sys
import threading
from pathlib import Path

import click
import pytest

from tickvault.cli.progress import Progress
from tickvault.core import program
from tickvault.core.pulse import Pulse
from tickvault.demo.performance import _worth_saying
from tickvault.flows.host import StepEvent


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A virtual environment in ``.venv``, with a script that says what it was given."""
    script = tmp_path / ".venv" / "bin" / "tickvault"
    script.parent.mkdir(parents=True)
    script.write_text('#!/bin/sh\necho "asked $*"\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.setattr(sys, "argv", ["tickvault"])
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.delenv(program.CALLED, raising=False)
    monkeypatch.chdir(tmp_path)
    return script


@pytest.mark.parametrize("place", ["beside it", "below it", "elsewhere", "on the PATH", "a name with a space"])
def test_a_printed_command_is_found_by_the_shell_it_is_pasted_into(environment, monkeypatch, tmp_path, place):
    folder = tmp_path
    if place == "below it":
        folder = tmp_path / "docs"
    elif place == "a name with a space":
        tmp_path.joinpath(".venv").rename(tmp_path / "my venv")
        monkeypatch.setattr(sys, "prefix", str(tmp_path / "my venv"))
    elif place == "elsewhere":
        folder = Path("/")
    elif place == "on the PATH":
        monkeypatch.setenv("PATH", f"{environment.parent}:/usr/bin:/bin")
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    line = program.pasted("tickvault lake ls")
    assert (line == "tickvault lake ls") == (place == "on the PATH")
    assert (line == ".venv/bin/tickvault lake ls") == (place == "beside it")
    assert subprocess.run(line, shell=True, capture_output=True, text=True, check=True).stdout == "asked lake ls\n"


def test_another_installation_on_the_path_is_not_meant(environment, monkeypatch, tmp_path):
    other = tmp_path / "bin" / "tickvault"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    assert program.called() == ".venv/bin/tickvault"


def test_a_command_called_through_another_advises_that_and_so_do_those_it_starts(environment, monkeypatch):
    monkeypatch.setenv(program.CALLED, "")  # restored afterwards
    program.call_through("local --live")
    assert program.pasted("'tickvault lake ls'") == "'.venv/bin/tickvault local --live lake ls'"
    code = "from tickvault.core import program; print(program.called())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == ".venv/bin/tickvault local --live\n"


def test_settings_and_program_alone_know_the_environment():
    root = Path(program.__file__).parents[1]
    readers = {str(p.relative_to(root)) for p in root.rglob("*.py") if re.search(r"\benviron\b|getenv", p.read_text())}
    assert readers == {"core/settings/__init__.py", "core/program.py"}


def test_only_commands_are_written_anew(environment, monkeypatch):
    monkeypatch.setenv(program.CALLED, "tv local")
    text = "see 'tickvault lake ls', jobs/tickvault, tickvault-jobs or Tickvault; python -m tickvault load"
    assert program.pasted(text) == text.replace("'tickvault lake", "'tv local lake")


def test_errors_and_helps_of_the_command_line_can_be_pasted(tmp_path):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "tickvault", *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
        )

    called = f"{sys.executable} -m tickvault"
    assert f"'{called} metric --list' lists them" in run("metric").stderr
    assert f"Try '{called} query --help'" in run("query", "--no-such-option").stderr
    shown = run("query", "--help").stdout
    assert f"Usage: {called} query" in shown
    assert f'    {called} query "select count(*)' in shown


def test_silence_is_broken_and_ends():
    said = threading.Semaphore(0)
    with Pulse(said.release, seconds=0.02) as pulse:
        assert all(said.acquire(timeout=10) for _ in range(3))
        pulse.heard()
    while said.acquire(blocking=False):
        pass
    assert not said.acquire(timeout=0.1)


def test_where_there_is_no_terminal_a_line_says_what_is_under_way(capsys):
    progress = Progress()
    progress._pulse = Pulse(progress._say, seconds=0.02)
    waited = threading.Event()
    progress._pulse._say = lambda: (progress._say(), waited.set())
    with progress:
        progress(StepEvent("flow", "20261115T130000Z", "extract-binance", "started", ""))
        assert waited.wait(10)
        waited.clear()
        assert waited.wait(10)
    assert "  … extract-binance\n" in click.unstyle(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"time": "2026-11-26T15:53:08.251+00:00", "level": "info", "message": "published marts.dim_asset"}', ""),
        ('{"level": "error", "message": "PostgreSQL does not answer"}', "PostgreSQL does not answer"),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
        ("[1, 2]", "[1, 2]"),
        ('{"message": "half a line of a log"}', '{"message": "half a line of a log"}'),
    ],
)
def test_a_failed_day_shows_words_instead_of_the_machines_log(line, said):
    assert _worth_saying(line) == said
