"""What is sealed of a slot: the packages that count, and those that cannot be read."""

from dataclasses import dataclass, field

from tickvault.core.package import DamagedPackageError, Package
from tickvault.core.slot import Slot
from tickvault.lake.folder import place_of


@dataclass(slots=True)
class Sealed:
    """The revisions of one stream's slot.

    Args:
        slot: The slot.
        found: The packages that could be opened, by revision.
        damaged: Why others could not be, by revision.
    """

    slot: Slot
    found: dict[int, Package] = field(default_factory=dict)
    damaged: dict[int, DamagedPackageError] = field(default_factory=dict)

    @property
    def superseded(self) -> set[int]:
        """The revisions that another one, which can be read, was read in the place of."""
        ids = {id_ for n, p in self.found.items() if n not in self.damaged for id_ in p.supersedes}
        return {int(id_.rpartition(".r")[2]) for id_ in ids}

    @property
    def packages(self) -> list[Package]:
        """Those that count: whole, and not superseded."""
        left_out = self.superseded | self.damaged.keys()
        return [p for n, p in sorted(self.found.items()) if n not in left_out]

    @property
    def open_damage(self) -> dict[int, DamagedPackageError]:
        """What is wrong, as far as nothing was read in its place."""
        return {n: error for n, error in sorted(self.damaged.items()) if n not in self.superseded}

    @property
    def next_revision(self) -> int:
        """The first that was never sealed, as far as anybody knows."""
        return max(self.found.keys() | self.damaged.keys(), default=-1) + 1


def check_place(package: Package, manifest_key: str) -> None:
    """Compare what a manifest claims with where it lies: a copy must not count as the package it is a copy of.

    Raises:
        DamagedPackageError: It claims another key, slot, revision or stream, or parts that lie elsewhere.
    """
    place = place_of(manifest_key)
    wrong = []
    if package.manifest_key != manifest_key:
        wrong.append(f"the key {package.manifest_key}")
    if place and package.slot != place.slot:
        wrong.append(f"the slot {package.slot}")
    if place and package.revision != place.revision:
        wrong.append(f"the revision r{package.revision}")
    if place and package.declares and package.declares.lake_path != place.lake_path:
        wrong.append(f"the stream {package.declares.name} of {package.declares.lake_path}")
    if package.declares and package.declares.name != package.stream:
        wrong.append(f"the stream {package.stream} and declares {package.declares.name}")
    folder = manifest_key.rpartition("/")[0]
    foreign = [
        part.key
        for part in (*package.parts, *([package.rejects] if package.rejects else []))
        if part.key.rpartition("/")[0] != folder
    ]
    if foreign:
        wrong.append(f"the part {foreign[0]}")
    if wrong:
        slot = place.slot if place else package.slot
        raise DamagedPackageError(f"{manifest_key} claims {', '.join(wrong)}, which is not its place", slot)
