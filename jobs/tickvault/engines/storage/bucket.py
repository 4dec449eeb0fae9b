"""What a storage can do, wherever it is."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path


class Storage(ABC):
    """A bucket. Keys use ``/``; nothing is ever overwritten except by ``put`` of a name that is the writer's own."""

    @abstractmethod
    def put_file(self, key: str, path: Path) -> None:
        """Store a local file; the local file may be moved away."""

    @abstractmethod
    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Create an object, atomically and durably; False when the key exists already."""

    @abstractmethod
    def get(self, key: str) -> bytes | None:
        """Return an object's bytes, or None when there is none."""

    @abstractmethod
    def fetch(self, key: str, folder: Path) -> Path:
        """Return a local file with the object's bytes, made in ``folder`` unless it is local already.

        Raises:
            FileNotFoundError: There is no such object.
        """

    @abstractmethod
    def written(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """Yield the keys below a prefix, sorted, each with the time it was written; no further than they are taken."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys below a prefix, sorted."""
        for key, _ in self.written(prefix):
            yield key

    @abstractmethod
    def folders(self, prefix: str) -> list[str]:
        """Return the names of what lies directly below a prefix and has keys below it, sorted as those are."""

    def delete(self, key: str) -> None:
        """Remove an object; none there is fine."""
        self.delete_all([key])

    @abstractmethod
    def delete_all(self, keys: Sequence[str]) -> None:
        """Remove objects; none there is fine."""

    @abstractmethod
    def require(self) -> None:
        """Look whether the storage itself is there, which a key that is not found does not say.

        Raises:
            ConfigError: There is no such bucket or folder.
        """

    @abstractmethod
    def where(self) -> str:
        """Say in words where this is, for messages."""
