"""A job's log in the lake, where it outlives the pod: ``logs/<job>/<slot>/<run>-<attempt>.jsonl``.

A job stores its own when it ends (``recording``). One that is killed cannot; the reconciler stores what its pod said
(``rescue``), as long as there is the pod.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from tickvault.core import log
from tickvault.core.errors import PlatformError
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.engines.scratch import scratch
from tickvault.engines.storage import Storage, open_storage
from tickvault.ledger import Ledger, Run

_log = logging.getLogger(__name__)
_FOLDER = "logs"


@contextmanager
def recording(settings: Settings, ledger: Ledger, run: Run) -> Iterator[None]:
    """Copy what is logged meanwhile, then store it and link it from the run's row; a failure of that is a warning.

    Where there is no room for the copy the run goes on without one: it ends as it would have.
    """
    with ExitStack() as stack:
        try:
            path = stack.enter_context(scratch("log")) / "log.jsonl"
            file = path.open("w", encoding="utf-8")
        except (PlatformError, OSError) as error:
            _log.warning("no log will be kept in the lake: %s", error)
            yield
            return
        handler = log.copy_to(file, job=run.job, slot=run.slot.id)
        root = logging.getLogger()
        root.addHandler(handler)
        try:
            yield
        except PlatformError as error:  # whoever catches it says so on stderr, but this copy ends here
            handler.handle(_log.makeRecord(_log.name, logging.ERROR, "", 0, "%s", (error,), None))
            raise
        finally:
            root.removeHandler(handler)
            try:
                file.close()
            except OSError as error:
                _log.warning("the log is not whole: %s", error)
            _store(settings, ledger, run, path)


def rescue(settings: Settings, ledger: Ledger, run: Run, lines: Iterable[str], end: str) -> None:
    """Store what a killed run's pod said and how it ended, and link it; a failure of that is a warning.

    Args:
        settings: Say where the lake is, and what no log may show.
        ledger: Has the run's row.
        run: The run.
        lines: Of the pod's log, each after the time it was written, as Kubernetes gives them.
        end: How it ended, for the last line.
    """
    with scratch("log") as folder:
        path = folder / "log.jsonl"
        with path.open("w", encoding="utf-8") as file:
            handler = log.copy_to(file, job=run.job, slot=run.slot.id)
            for time, line in map(_stamped, lines):
                if _is_ours(line):  # a line of the job's own log: made, and its secrets blotted out, by the job
                    file.write(f"{line}\n")
                elif line.strip():
                    handler.handle(_record(line, logging.INFO, time))
            handler.handle(_record(end, logging.ERROR))
        _store(settings, ledger, run, path)


def written_before(storage: Storage, before: datetime) -> Iterator[str]:
    """Yield the logs written before a time; of each job no further is listed than to the first slot since then."""
    for job in storage.folders(_FOLDER):
        for key, written in storage.written(f"{_FOLDER}/{job}"):
            if key.split("/")[2] >= Slot.of(before).id:
                break
            if written < before:
                yield key


def _stamped(text: str) -> tuple[datetime | None, str]:
    """Take a line's time off; what the node itself says, of a log that is gone, has none."""
    time, _, line = text.partition(" ")
    try:
        return datetime.fromisoformat(time), line
    except ValueError:
        return None, text


def _is_ours(line: str) -> bool:
    try:
        fields = json.loads(line)
    except ValueError:
        return False
    return isinstance(fields, dict) and {"time", "level", "message"} <= set(fields)


def _record(line: str, level: int, time: datetime | None = None) -> logging.LogRecord:
    record = _log.makeRecord("pod", level, "", 0, "%s", (line,), None)
    if time:
        record.created = time.timestamp()
    return record


def _store(settings: Settings, ledger: Ledger, run: Run, path: Path) -> None:
    key = f"{_FOLDER}/{run.job}/{run.slot.id}/{run.run_id}-{run.attempts}.jsonl"
    try:
        open_storage(settings).put_file(key, path)
        ledger.runs.link_log(run, key)
    except (PlatformError, OSError) as error:
        _log.warning("the log was not kept in the lake: %s", error)
