"""Steps as forks of a warm process: output, environment, exit codes, time limits."""

import os
import signal
import threading
from pathlib import Path

import pytest

from tickvault.core.slot import Slot
from tickvault.runners import warm
from tickvault.runners.process import ProcessRunner
from tickvault.runners.step import Step

SLOT = Slot.parse("2026-11-20T13:00:00Z")


@pytest.fixture(scope="module")
def runner():
    nowhere = {"POSTGRES_HOST": "/nowhere", "LOCK_WAIT_SECONDS": "0", "TICKVAULT_LOG_FORMAT": "json"}
    with ProcessRunner(nowhere, parallel=4) as running:
        yield running


def run(runner: ProcessRunner, *argv: str, **environment: str):
    lines: list[str] = []
    return runner.run(Step("x", "x", argv), SLOT, environment, lines.append), lines


def test_output_comes_line_by_line(runner):
    end, lines = run(runner, "--version")
    assert (end.exit_code, lines) == (0, ["tickvault, version 0.1.0"])


def test_the_report_is_what_the_job_said_of_itself(runner):
    end, lines = run(runner, "extract", "binance")
    assert end.exit_code == 75
    assert end.report["job"] == "extract-binance"
    assert "PostgreSQL at /nowhere" in end.sentence
    assert any("PostgreSQL at /nowhere" in line for line in lines)


def test_configuration_errors_are_not_tried_again(runner):
    end, lines = run(runner, "extract", "binanc")
    assert (end.exit_code, end.may_pass) == (78, False)
    assert "did you mean 'binance'?" in lines[0]


def test_each_step_has_its_own_environment(runner):
    end, lines = run(runner, "settings", "--json", HISTORY_DAYS="17")
    assert end.exit_code == 0
    assert '"value": "17"' in "".join(lines)
    assert SLOT.id in "".join(lines)
    _, lines = run(runner, "settings", "--json")
    assert '"value": "17"' not in "".join(lines)


def test_several_at_once_do_not_mix(runner):
    results = {}

    def one(number: int) -> None:
        results[number] = run(runner, "extract", f"nothing{number}")

    threads = [threading.Thread(target=one, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, (end, lines) in results.items():
        assert end.exit_code == 78
        assert f"nothing{number}" in lines[0]


def test_a_step_that_takes_too_long_is_ended_and_may_be_tried_again():
    # A simulator serves until it is told to stop.
    with ProcessRunner(timeout_seconds=3.0) as runner:
        end, _ = run(runner, "simulate", "serve", "--port", "0")
    assert end.may_pass or end.exit_code == 0
    assert "longest a step may take" in (end.reason or "")


def test_a_killed_step_says_so(runner):
    killed: list[int] = []

    def kill(_line: str) -> None:
        if not killed:
            assert runner._server
            children = Path(f"/proc/{runner._server.pid}/task/{runner._server.pid}/children").read_text()
            killed.append(int(children.split()[0]))
            os.kill(killed[0], signal.SIGKILL)

    end = runner.run(Step("x", "x", ("simulate", "serve", "--port", "0")), SLOT, {}, kill)
    assert end.exit_code == 137
    assert end.sentence == "killed by SIGKILL"
    assert end.may_pass


def test_a_runner_that_closes_takes_its_steps_with_it():
    lines: list[str] = []
    first = threading.Event()
    runner = ProcessRunner()

    def on_line(line: str) -> None:
        lines.append(line)
        first.set()

    outcomes = []
    step = Step("x", "x", ("simulate", "serve", "--port", "0"))
    thread = threading.Thread(target=lambda: outcomes.append(runner.run(step, SLOT, {}, on_line)))
    thread.start()
    assert first.wait(600)
    runner.close()
    thread.join(600)
    assert not thread.is_alive()
    assert outcomes


def test_what_is_preloaded_exists():
    import importlib

    for name in warm.PRELOAD:
        importlib.import_module(name)
