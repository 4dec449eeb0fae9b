"""Where packages lie in the lake, and what is in a package's folder."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from tickvault.core.errors import ConfigError
from tickvault.core.slot import Slot

MANIFEST = "manifest.json"
_FOLDER = re.compile(r"(?P<lake_path>.*)/dt=[0-9-]+/(?P<slot>[0-9]{8}T[0-9]{6}Z)/r(?P<revision>[0-9]+)")


class Place(NamedTuple):
    """Which package a key belongs to."""

    lake_path: str
    slot: Slot
    revision: int


def place_of(key: str) -> Place | None:
    """Return the package of an object's key, None where it lies elsewhere than packages do."""
    match = _FOLDER.fullmatch(key.rpartition("/")[0])
    try:
        return Place(match["lake_path"], Slot.parse(match["slot"]), int(match["revision"])) if match else None
    except ConfigError:  # digits that are no time
        return None


def slot_of(key: str) -> str:
    """Return the slot of an object's key, as messages name it."""
    place = place_of(key)
    return place.slot.id if place else "SLOT"


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
        if place := place_of(f"{key}/"):
            yield PackageFolder(key, place.slot, place.revision, dict(objects))
