"""A folder as the storage."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from tickvault.core.errors import ConfigError, PlatformError, SinkUnavailableError
from tickvault.engines.storage.bucket import Storage

_HALF_WRITTEN = ".new-"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)
_NO_PLACE = (errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EEXIST)
_ATTEMPTS = 100
T = TypeVar("T")


class FolderStorage(Storage):
    """A folder of the local file system."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put_file(self, key: str, path: Path) -> None:
        """Move a file in and make it durable: its bytes, its name, and the names of the folders it lies in."""
        place = self._path(key)
        with mapped_folder(self.where()):
            _in_folder(place.parent, lambda: _move(path, place))
            self._sync_folders(place.parent)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write aside, then link: a hard link is made by one writer only."""
        place = self._path(key)
        with mapped_folder(self.where()):
            if made := _in_folder(place.parent, lambda: _link(data, place)):
                self._sync_folders(place.parent)
        return made

    def get(self, key: str) -> bytes | None:
        """Read a file."""
        try:
            with mapped_folder(self.where()):
                return self._path(key).read_bytes()
        except FileNotFoundError:
            return None

    def fetch(self, key: str, folder: Path) -> Path:
        """Return the file itself."""
        _ = folder
        path = self._path(key)
        with mapped_folder(self.where()):
            path.stat()
        return path

    def written(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """Walk the folder in the order in which S3 lists, leaving out what is half written."""
        with mapped_folder(self.where()):
            entries = _entries(self._path(prefix))
        for entry in entries:
            if entry.is_dir():
                yield from self.written(f"{prefix}/{entry.name}" if prefix else entry.name)
            elif not entry.name.startswith(_HALF_WRITTEN):
                try:
                    time = entry.stat().st_mtime
                except FileNotFoundError:  # somebody else cleans up too
                    continue
                yield Path(entry).relative_to(self.root).as_posix(), datetime.fromtimestamp(time, UTC)

    def folders(self, prefix: str) -> list[str]:
        """List a folder."""
        with mapped_folder(self.where()):
            return [entry.name for entry in _entries(self._path(prefix)) if entry.is_dir()]

    def delete_all(self, keys: Sequence[str]) -> None:
        """Unlink files, and remove the folders that are empty then, which a walk would pass for ever."""
        with mapped_folder(self.where()):
            for place in map(self._path, keys):
                place.unlink(missing_ok=True)
                for folder in place.parents:
                    if folder == self.root or not _removed(folder):
                        break

    def require(self) -> None:
        """Look for the folder."""
        if not self.root.is_dir():
            raise ConfigError(f"{self.where()} does not exist: check LAKE_PATH, MINIO_BUCKET and what is mounted there")

    def where(self) -> str:
        """Return the folder."""
        return f"folder {self.root}"

    def _sync_folders(self, folder: Path) -> None:
        """Sync a folder and those above it: whoever made one of them may not have got as far as syncing its name."""
        for above in (folder, *folder.parents):
            _sync_folder(above)
            if above == self.root.parent:
                break

    def _path(self, key: str) -> Path:
        return self.root / key


def _in_folder(folder: Path, write: Callable[[], T]) -> T:
    """Make a folder and write into it; again where somebody who cleans up removed it in between, since it was empty."""
    for _ in range(_ATTEMPTS):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return write()
        except FileNotFoundError:
            continue
    folder.mkdir(parents=True, exist_ok=True)
    return write()


def _move(path: Path, place: Path) -> None:
    """Rename a file or, from another device, copy it aside first: a name stands for bytes that are on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    try:
        path.rename(place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with path.open("rb") as source, tempfile.NamedTemporaryFile(dir=place.parent, prefix=_HALF_WRITTEN) as copy:
            shutil.copyfileobj(source, copy)
            copy.flush()
            os.fsync(copy.fileno())
            os.link(copy.name, place)  # its key is the attempt's own, so nothing is there
        path.unlink()


def _link(data: bytes, place: Path) -> bool:
    with tempfile.NamedTemporaryFile(dir=place.parent, prefix=_HALF_WRITTEN) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        try:
            os.link(file.name, place)
        except FileExistsError:
            return False
    return True


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """List a folder in the order of the keys: a slash follows the name of a folder."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: f"{entry.name}/" if entry.is_dir() else entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:  # it is not empty
        return False
    return True


@contextmanager
def mapped_folder(where: str) -> Iterator[None]:
    """Map the operating system's errors to the platform's, except that a file is not there."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise refused(error, where) from error


def refused(error: OSError, where: str) -> PlatformError:
    """Return what an error of the operating system's means to the platform: who can do something about it, and what."""
    if error.errno == errno.EROFS:
        return ConfigError(f"{where} is read-only: {error}; mount it to be written to, or set another place")
    if error.errno in _FORBIDDEN:
        return ConfigError(f"{where} may not be used: {error}; check its owner and mode")
    if error.errno in _NO_PLACE:
        return ConfigError(f"{where} cannot be what it should: {error}; check what lies there, and its name")
    if error.errno in _FULL:
        return SinkUnavailableError(f"cannot write to {where}: {error}; free some space and try again")
    return SinkUnavailableError(
        f"cannot write to {where} or read it: {error}; try again, and look at its disk when it stays so"
    )


def _sync_folder(folder: Path) -> None:
    """Make a new name durable: on POSIX a directory entry needs its own fsync."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
