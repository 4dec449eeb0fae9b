"""A run ends honestly: exit code, ledger row, termination message and log agree, whatever happens."""

import json
import os
import signal
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from tickvault.core import errors
from tickvault.core.slot import Slot
from tickvault.ledger import Ledger
from tickvault.ledger.migrations import STEPS
from tickvault.runs.entry import run_job
from tickvault.runs.session import Report, Session

SLOT = Slot.parse("20261120T130000Z")


@dataclass
class Work:
    """A job that does what a test tells it."""

    name: str
    does: Any = lambda session: None
    exclusive: bool = True

    def run(self, session: Session) -> None:
        self.does(session)


@pytest.fixture
def settings(make_settings, postgres_settings, tmp_path):
    return make_settings(**postgres_settings, tickvault_termination_log=tmp_path / "end", lock_wait_seconds=0.3)


def ended(settings, job: str) -> tuple[Any, ...]:
    with Ledger.open(settings) as ledger:
        return ledger._db.rows(
            "SELECT status, exit_code, attempts, outcome FROM data_platform.runs WHERE job = %s", job
        )[0]


def fail(error: BaseException):
    def does(session: Session) -> None:
        session.report.add(rows_read=7)
        raise error

    return does


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.SourceUnavailableError("down"), 75),
        (errors.RateLimitError("slow down", 3), 75),
        (errors.ConfigError("no key"), 78),
        (errors.SchemaMismatchError("s", "c", "text", "int64"), 65),
        (errors.GateFailedError(["a", "b"]), 65),
        (ZeroDivisionError("oops"), errors.BUG),
    ],
)
def test_every_error_has_its_exit_code_and_leaves_what_was_done(settings, error, code):
    name = f"job-{type(error).__name__}"
    assert run_job(Work(name, fail(error)), settings, SLOT) == code
    status, exit_code, _, outcome = ended(settings, name)
    assert (status, exit_code) == ("failed", code)
    assert outcome["error"]["type"] == type(error).__name__
    said = json.loads(settings.tickvault_termination_log.read_text())
    assert (said["exit_code"], said["rows_read"], said["error"]["message"]) == (code, 7, str(error))


def test_missing_parts_make_a_run_partial_and_are_named(settings):
    def does(session: Session) -> None:
        session.report.missing.append("XYZ: not in the answer")

    assert run_job(Work("partial", does), settings, SLOT) == 10
    status, _, _, outcome = ended(settings, "partial")
    assert (status, outcome["missing"]) == ("partial", ["XYZ: not in the answer"])


def test_sigterm_ends_a_run_as_interrupted(settings):
    def does(session: Session) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    assert run_job(Work("stopped", does), settings, SLOT) == 75
    assert ended(settings, "stopped")[0] == "interrupted"
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_the_same_slot_twice_is_one_run(settings):
    for _ in range(2):
        assert run_job(Work("again"), settings, SLOT) == 0
    assert ended(settings, "again")[:3] == ("complete", 0, 2)


def test_a_job_remembers_its_slot_across_the_next_scheduled_time(make_settings, postgres_settings, tmp_path):
    def at(time: str):
        return make_settings(**postgres_settings, tickvault_job_name="by-hand", tickvault_clock=time)

    seen: list[Slot] = []
    job = Work("remember", lambda session: seen.append(session.slot))
    run_job(job, at("2026-11-20T12:00:00Z"))
    run_job(job, at("2026-11-20T14:00:00Z"))
    assert [s.id for s in seen] == ["20261119T130000Z"] * 2


def test_two_of_a_name_do_not_run_at_once_and_say_who_waits(settings):
    with Ledger.open(settings) as other, other.lock("busy", 0):
        assert run_job(Work("busy"), settings, SLOT) == 75
        assert run_job(Work("busy", exclusive=False), settings, SLOT) == 0
    said = json.loads(settings.tickvault_termination_log.read_text())
    assert said["exit_code"] == 0
    assert run_job(Work("busy"), settings, SLOT) == 0


def test_an_unreachable_ledger_is_transient_a_refusing_one_is_configuration(make_settings, postgres_settings):
    assert run_job(Work("x"), make_settings(postgres_host="127.0.0.1", postgres_port="1"), SLOT) == 75
    assert run_job(Work("x"), make_settings(**postgres_settings | {"postgres_db": "nowhere"}), SLOT) == 78


def test_an_unknown_fault_point_is_refused(make_settings, postgres_settings):
    assert run_job(Work("x"), make_settings(**postgres_settings, fault_at="nowhere"), SLOT) == 78


def test_reports_add_up():
    report = Report()
    report.add(rows_read=2)
    report.add(rows_read=3, rows_loaded=1)
    assert report.counts == {"rows_read": 5, "rows_loaded": 1}


def test_migrations_are_safe_when_many_jobs_start_at_once(make_settings, postgres_uri):
    import threading
    import uuid

    from tickvault.local import postgres
    from tickvault.local.engines import postgres_environment

    name = f"fresh_{uuid.uuid4().hex[:8]}"
    postgres.create_database(postgres_uri, name)
    fields = {k.lower(): v for k, v in postgres_environment(postgres_uri.replace("/postgres?", f"/{name}?")).items()}
    failures: list[BaseException] = []

    def start() -> None:
        try:
            Ledger.open(make_settings(**fields)).close()
        except Exception as error:  # noqa: BLE001 - reported below
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert failures == []
    with Ledger.open(make_settings(**fields)) as ledger:
        assert ledger._db.rows("SELECT count(*) FROM data_platform.migrations") == [(len(STEPS),)]
        assert ledger._db.rows("SELECT count(*) FROM data_platform.watermarks") == [(0,)]


def test_now_is_the_simulated_clock(make_settings):
    assert make_settings(tickvault_clock="2026-11-20T13:00:00Z").tickvault_clock == datetime(
        2026, 11, 20, 13, tzinfo=UTC
    )


def start_elsewhere(settings, job: str, name: str | None = None):
    """Begin a run on a connection of its own, as another process would; close it to kill that process."""
    ledger = Ledger.open(settings)
    return ledger, ledger.runs.start(job, SLOT, name)


def test_a_run_whose_process_is_gone_is_settled_and_a_living_one_is_not(settings):
    living, _ = start_elsewhere(settings, "settled-living")
    killed, _ = start_elsewhere(settings, "settled-killed")
    killed.close()
    try:
        with Ledger.open(settings) as ledger:
            assert ledger.runs.settle() == [f"settled-killed/{SLOT}"]
            assert ledger.runs.settle() == []
        status, code, _, outcome = ended(settings, "settled-killed")
        assert (status, code, outcome["error"]["type"]) == ("interrupted", None, "Killed")
        assert ended(settings, "settled-living")[0] == "running"
    finally:
        living.close()


def test_a_second_attempt_outlives_the_first(settings):
    first, _ = start_elsewhere(settings, "settled-twice")
    second, run = start_elsewhere(settings, "settled-twice")
    try:
        first.close()
        with Ledger.open(settings) as ledger:
            assert f"settled-twice/{SLOT}" not in ledger.runs.settle()
        second.runs.finish(run, "complete", 0, {}, {})
        assert ended(settings, "settled-twice")[:2] == ("complete", 0)
    finally:
        second.close()


def test_runs_of_a_cluster_are_left_to_its_reconciliation(settings):
    killed, _ = start_elsewhere(settings, "settled-pod", "settled-pod-29384")
    killed.close()
    with Ledger.open(settings) as ledger:
        assert ledger.runs.settle() == []
    assert ended(settings, "settled-pod")[0] == "running"


def test_the_next_run_and_status_settle_what_was_killed(settings, make_settings):
    start_elsewhere(settings, "settled-before")[0].close()
    assert run_job(Work("settled-next"), settings, SLOT) == 0
    assert ended(settings, "settled-before")[0] == "interrupted"


@pytest.mark.parametrize("count", [0, 3, 90, 5000])
def test_a_termination_message_is_valid_json_within_the_limit_and_says_what_it_leaves_out(settings, count):
    def does(session: Session) -> None:
        session.report.add(rows_read=count)
        session.report.details["packages"] = [f"binance.raw_cryptobars.20261120T13{n:04}Z.r0" for n in range(count)]
        session.report.details["failed"] = ["ü" * 5000] * (count // 10)

    run_job(Work("load-many", does), settings, SLOT)
    written = settings.tickvault_termination_log.read_bytes()
    assert len(written) <= 4000
    said = json.loads(written)
    assert (said["rows_read"], said["exit_code"], said["job"]) == (count, 0, "load-many")
    if count > 3:
        *kept, rest = said["packages"]
        assert rest == f"… and {count - len(kept)} more"
    else:
        assert len(said["packages"]) == count


def test_a_full_disk_changes_neither_exit_code_nor_ledger(settings, make_settings, monkeypatch, postgres_settings):
    def no_room(*_args, **_fields):
        raise errors.SinkUnavailableError("TMPDIR is full")

    monkeypatch.setattr("tickvault.runs.joblog.scratch", no_room)
    full = make_settings(**postgres_settings, tickvault_termination_log="/dev/full")
    assert run_job(Work("full-disk", fail(errors.ConfigError("no key"))), full, SLOT) == 78
    assert ended(settings, "full-disk")[:2] == ("failed", 78)
