"""The one entry point of jobs: log, slot, lock, ledger row, signals, metrics, and an honest exit code."""

import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import FrameType
from typing import Any, NoReturn, Protocol

from tickvault import faults, joblog, log, metrics
from tickvault.errors import ExitCode, InterruptedRunError, PlatformError
from tickvault.ledger import Ledger, Run
from tickvault.settings import Settings
from tickvault.slot import Schedule, Slot, resolve

_log = logging.getLogger(__name__)
BUG = 1
"""Exit code of an error nobody foresaw."""


@dataclass(slots=True)
class Report:
    """What a job did, as far as it came: kept also when it fails half-way.

    Args:
        counts: rows_read, rows_loaded, rows_unchanged, rows_rejected.
        details: JSON-able facts for the ledger and the termination message.
        missing: One sentence per thing that should be there and is not: the run is partial.
        notes: Sentences for the person who reads the end of the log.
    """

    counts: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, **counts: int) -> None:
        """Add to the counts."""
        for name, count in counts.items():
            self.counts[name] = self.counts.get(name, 0) + count


@dataclass(frozen=True, slots=True)
class Session:
    """What a running job may use."""

    settings: Settings
    ledger: Ledger
    run: Run
    report: Report

    @property
    def slot(self) -> Slot:
        """The slot this run stands for."""
        return self.run.slot


class Job(Protocol):
    """Something that runs for a slot."""

    @property
    def name(self) -> str:
        """Kubernetes' name of the job, such as ``extract-binance``."""

    @property
    def exclusive(self) -> bool:
        """Whether two of this name must not run at once; a job that locks smaller things itself says False."""

    def run(self, session: Session) -> None:
        """Do the work and say in ``session.report`` what was done.

        Raises:
            PlatformError: It could not be done.
        """


def run_job(
    job: Job, settings: Settings, slot: Slot | None = None, tell: Callable[[dict[str, Any]], None] | None = None
) -> int:
    """Run a job and return its exit code; the ledger, the metrics and the termination message say the same.

    Args:
        job: What to run.
        settings: The settings.
        slot: The slot, where the caller knows it; else it is found by the rule of ``slot.resolve``.
        tell: Called once at the end with what the termination message says, in full.
    """
    started = time.monotonic()
    report = Report()
    log.configure(settings, job=job.name)
    try:
        faults.arm(settings.fault_at)
        with _stoppable(), Ledger.open(settings) as ledger:
            slot = slot or _resolve(settings, ledger)
            log.configure(settings, job=job.name, slot=slot.id)
            exclusion = ledger.lock(job.name, settings.lock_wait_seconds) if job.exclusive else nullcontext()
            with exclusion:
                metrics.push_start(settings, job.name)
                run = ledger.start(job.name, slot, settings.tickvault_job_name)
                session = Session(settings, ledger, run, report)
                with joblog.kept(session, job.name):
                    code = _attempt(job, session)
    except PlatformError as error:
        code = error.exit_code
        report.details["error"] = _say(error)
        _log.error("%s", error, extra={"error_type": type(error).__name__})
    seconds = time.monotonic() - started
    summary: dict[str, Any] = {
        "job": job.name,
        "slot": slot.id if slot else None,
        "exit_code": int(code),
        "seconds": round(seconds, 2),
    }
    _log.info("done" if code == 0 else "ended", extra=summary | report.counts)
    metrics.push_run(settings, job.name, int(code), seconds, report.counts)
    if tell:
        tell(summary | report.counts | {"missing": report.missing, "notes": report.notes, **report.details})
    if settings.tickvault_termination_log:
        # Kubernetes keeps 4096 bytes of it.
        text = json.dumps(summary | report.counts | {"missing": report.missing[:10], **report.details}, default=str)
        settings.tickvault_termination_log.write_text(text[:4000], encoding="utf-8")
    return int(code)


def _attempt(job: Job, session: Session) -> int:
    """Run once and write the end into the ledger, whatever it is."""
    report, status, code = session.report, "failed", BUG
    try:
        job.run(session)
        code = ExitCode.PARTIAL if report.missing else ExitCode.COMPLETE
        status = "partial" if report.missing else "complete"
        for sentence in report.missing:
            _log.warning("missing: %s", sentence)
        for note in report.notes:
            _log.info("%s", note)
    except PlatformError as error:
        status = "interrupted" if isinstance(error, InterruptedRunError) else "failed"
        code = error.exit_code
        report.details["error"] = _say(error)
        raise
    except Exception as error:  # noqa: BLE001 - whatever happened, the ledger must not go on saying «running»
        report.details["error"] = _say(error)
        _log.exception("a bug, not a failure of yours: please report it with this traceback")
    finally:
        outcome = {"missing": report.missing, "notes": report.notes, **report.details}
        session.ledger.finish(session.run, status, int(code), report.counts, outcome)
    return int(code)


def _resolve(settings: Settings, ledger: Ledger) -> Slot:
    schedule = Schedule(settings.tickvault_schedule, settings.tickvault_timezone)
    now = settings.tickvault_clock or datetime.now(UTC)
    remembered = ledger.remembered_slot(settings.tickvault_job_name)
    return resolve(settings.tickvault_slot, settings.tickvault_job_name, schedule, now, remembered)


def _say(error: BaseException) -> dict[str, str]:
    return {"type": type(error).__name__, "message": str(error)}


@contextmanager
def _stoppable() -> Iterator[None]:
    """Turn SIGTERM and SIGINT into an exception, so that what is open is closed and the ledger is told."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        raise InterruptedRunError(f"stopped by {signal.Signals(number).name}; nothing half-done counts, run it again")

    before = {s: signal.signal(s, stop) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
