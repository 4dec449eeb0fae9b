"""A job's log in the lake, where it outlives the pod: ``logs/<job>/<slot>/<run>-<attempt>.jsonl``."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tickvault import log
from tickvault.errors import PlatformError
from tickvault.storage import open_storage

if TYPE_CHECKING:
    from tickvault.run import Session

_log = logging.getLogger(__name__)
_LINK = "UPDATE data_platform.runs SET log_uri = %s WHERE run_id = %s RETURNING run_id"


@contextmanager
def kept(session: "Session", job: str) -> Iterator[None]:
    """Copy what is logged meanwhile, then store it and link it from the run's row; a failure of that is a warning."""
    run = session.run
    with tempfile.TemporaryDirectory(prefix="tickvault-log-") as folder:
        path = Path(folder) / "log.jsonl"
        with path.open("w", encoding="utf-8") as file:
            handler = log.copy_to(file, session.settings, job=job, slot=run.slot.id)
            root = logging.getLogger()
            root.addHandler(handler)
            try:
                yield
            except PlatformError as error:  # whoever catches it says so on stderr, but this copy ends here
                handler.handle(_log.makeRecord(_log.name, logging.ERROR, "", 0, "%s", (error,), None))
                raise
            finally:
                root.removeHandler(handler)
                file.flush()
                _store(session, path, f"logs/{job}/{run.slot.id}/{run.run_id}-{run.attempts}.jsonl")


def _store(session: "Session", path: Path, key: str) -> None:
    try:
        open_storage(session.settings).put_file(key, path)
        session.ledger.query(_LINK, key, session.run.run_id)
    except (PlatformError, OSError) as error:
        _log.warning("the log was not kept in the lake: %s", error)
