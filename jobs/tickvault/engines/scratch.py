"""Folders for files on their way: removed by who made them or, where that was killed, by the next who needs one."""

import errno
import fcntl
import functools
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tickvault.core.errors import SinkUnavailableError
from tickvault.engines.storage.folder import mapped_folder

_PREFIX = "tickvault-"
_OWNER = ".owner"
"""A file in each folder. Its owner holds a lock on it, which the system frees for the dead; a number of a process could
be another's by now, or be of another container."""
_NEWBORN_SECONDS = 60.0
"""A file this young may be about to be locked."""


@contextmanager
def scratch(purpose: str = "") -> Iterator[Path]:
    """A folder of this process, removed at the end; the first also removes those of the dead.

    Args:
        purpose: A word for its name, for people who look into TMPDIR.

    Raises:
        SinkUnavailableError: There is no room for it, or for what is written to it.
    """
    with ExitStack() as stack:
        with mapped_folder("the folder for temporary files, TMPDIR,"):
            _sweep(tempfile.gettempdir())
            prefix = f"{_PREFIX}{purpose}-" if purpose else _PREFIX
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)))
            owner = stack.enter_context((folder / _OWNER).open("wb"))
            fcntl.flock(owner, fcntl.LOCK_EX)
        try:
            yield folder
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise SinkUnavailableError(
                    f"the folder for temporary files, {folder.parent}, is full; free some space or set TMPDIR"
                ) from error
            raise


@functools.cache
def _sweep(place: str) -> None:
    """Remove the folders in TMPDIR whose owners are dead; once per process."""
    with os.scandir(place) as entries:
        for folder in (Path(entry) for entry in entries if entry.name.startswith(_PREFIX)):
            if _is_orphaned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_orphaned(folder: Path) -> bool:
    try:
        with (folder / _OWNER).open("rb+") as owner:
            if time.time() - os.fstat(owner.fileno()).st_mtime < _NEWBORN_SECONDS:
                return False
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # it is alive, another user's, or not of ours
        return False
    return True
