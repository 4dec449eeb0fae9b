"""The one entry point of jobs: log, slot, lock, ledger row, signals, metrics, and an honest exit code."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any, NoReturn

from tickvault.core import faults, log, redaction
from tickvault.core.errors import BUG, BUG_MESSAGE, ExitCode, InterruptedRunError, PlatformError
from tickvault.core.settings import Settings
from tickvault.core.slot import Schedule, Slot, resolve
from tickvault.ledger import Ledger
from tickvault.runs import joblog, pushgateway, termination
from tickvault.runs.session import Job, Report, Session

_log = logging.getLogger(__name__)


def run_job(
    job: Job, settings: Settings, slot: Slot | None = None, on_end: Callable[[dict[str, Any]], None] | None = None
) -> int:
    """Run a job and return its exit code; the ledger, the metrics and the termination message say the same.

    Args:
        job: What to run.
        settings: The settings.
        slot: The slot, where the caller knows it; else it is found by the rule of ``slot.resolve``.
        on_end: Called once at the end with what the termination message says, in full.
    """
    started = time.monotonic()
    report = Report()
    log.configure(settings, job=job.name)
    try:
        faults.arm(settings.fault_at)
        with _stoppable(), Ledger.open(settings) as ledger:
            slot = (slot or _resolve(settings, ledger)).due(settings.now())
            log.configure(settings, job=job.name, slot=slot.id)
            exclusion = ledger.lock(job.name, settings.lock_wait_seconds) if job.exclusive else nullcontext()
            with exclusion:
                pushgateway.push_start(settings, job.name)
                for name in ledger.runs.settle():
                    _log.warning("%s said that it runs, but its process is gone: it is noted as interrupted", name)
                run = ledger.runs.start(job.name, slot, settings.tickvault_job_name)
                session = Session(settings, ledger, run, report)
                with joblog.recording(settings, ledger, run):
                    code = _attempt(job, session)
    except PlatformError as error:
        code = error.exit_code
        report.details["error"] = _described(error)
        _log.error("%s", error, extra={"error_type": type(error).__name__})
    seconds = time.monotonic() - started
    summary: dict[str, Any] = {
        "job": job.name,
        "slot": slot.id if slot else None,
        "exit_code": int(code),
        "seconds": round(seconds, 2),
    }
    _log.info("done" if code == 0 else "ended", extra=summary | report.counts)
    pushgateway.push_run(settings, job.name, int(code), seconds, report.counts)
    if on_end:
        ending = summary | report.counts | {"missing": report.missing, "notes": report.notes, **report.details}
        on_end(redaction.data(ending))
    if settings.tickvault_termination_log:
        text = termination.message(
            summary | report.counts, redaction.data({"missing": report.missing, **report.details})
        )
        try:
            settings.tickvault_termination_log.write_text(text, encoding="utf-8")
        except OSError as error:  # a full disk must not change how the run ended
            _log.warning("%s could not be written: %s", settings.tickvault_termination_log, error)
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
        report.details["error"] = _described(error)
        raise
    except Exception as error:  # noqa: BLE001 - whatever happened, the ledger must not go on saying «running»
        report.details["error"] = _described(error)
        _log.exception(BUG_MESSAGE)
    finally:
        outcome = redaction.data({"missing": report.missing, "notes": report.notes, **report.details})
        session.ledger.runs.finish(session.run, status, int(code), report.counts, outcome)
    return int(code)


def _resolve(settings: Settings, ledger: Ledger) -> Slot:
    schedule = Schedule(settings.tickvault_schedule, settings.tickvault_timezone)
    now = settings.now()
    remembered = ledger.runs.remembered_slot(settings.tickvault_job_name)
    return resolve(settings.tickvault_slot, settings.tickvault_job_name, schedule, now, remembered)


def _described(error: BaseException) -> dict[str, str]:
    return {"type": type(error).__name__, "message": redaction.text(str(error))}


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
