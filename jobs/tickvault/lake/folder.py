"""Where packages lie in the lake, and what is in a package's folder."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from tickvault.core.slot import Slot

MANIFEST = "manifest.json"
_FOLDER = re.compile(r".*/dt=[0-9-]+/(?P<slot>[0-9TZ]+)/r(?P<revision>[0-9]+)")


def partition(lake_path: str, day: str) -> str:
    """Return where a stream's packages of a UTC date lie."""
    return f"{lake_path}/dt={day}"


def slot_folder(lake_path: str, slot: Slot) -> str:
    """Return where a stream's packages of a slot lie."""
    return f"{partition(lake_path, slot.date.isoformat())}/{slot.id}"


def package_folder(lake_path: str, slot: Slot, revision: int) -> str:
    """Return where one package lies."""
    return f"{slot_folder(lake_path, slot)}/r{revision}"


@dataclass(frozen=True, slots=True)
class PackageFolder:
    """What attempts at one package have left.

    Args:
        key: Its folder.
        slot: Its slot.
        revision: Its revision.
        written: When each object was written, by its key.
    """

    key: str
    slot: Slot
    revision: int
    written: dict[str, datetime]

    @property
    def manifest_key(self) -> str:
        """Where the manifest is or would be."""
        return f"{self.key}/{MANIFEST}"

    @property
    def is_sealed(self) -> bool:
        """Whether the manifest is there."""
        return self.manifest_key in self.written

    @property
    def attempts(self) -> int:
        """How many attempts left parts; each begins its objects' names with one of its own."""
        names = (key.removeprefix(f"{self.key}/") for key in self.written.keys() - {self.manifest_key})
        return len({name.partition("-")[0] for name in names})


def package_folders(listed: Iterable[tuple[str, datetime]]) -> Iterator[PackageFolder]:
    """Group a listing, which is sorted, by packages; what is no part of one is left out."""
    for key, objects in groupby(listed, key=lambda found: found[0].rpartition("/")[0]):
        if match := _FOLDER.fullmatch(key):
            yield PackageFolder(key, Slot.parse(match["slot"]), int(match["revision"]), dict(objects))
