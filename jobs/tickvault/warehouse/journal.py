"""What the ledger knows of one target's builds: which inputs they saw, how they ended, what each node took."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from tickvault.ledger import Ledger
from tickvault.ledger.builds import Build
from tickvault.warehouse.dbt import NodeResult
from tickvault.warehouse.target import Target

_SOURCES = ("dbt_project.yml", "profiles.yml", "macros", "models", "tests", "sources", "emulator")


class Journal:
    """The builds of one target.

    Args:
        ledger: Where they are noted.
        target: The target.
    """

    def __init__(self, ledger: Ledger, target: Target) -> None:
        self._ledger, self._target = ledger, target

    def inputs(self, project: Path, seeds: Path) -> str:
        """Return a fingerprint of what a build that starts now is made from: loads, offsets and the project."""
        loads, loaded = self._ledger.loads.digest(self._target.sink)
        partitions, offsets = self._ledger.offsets.digest(self._target.sink)
        return f"loads={loads}:{loaded} offsets={partitions}:{offsets} project={digest(project, seeds)}"

    def hours_without_load(self) -> float:
        """Return how long ago the newest load was; 0 when there never was one."""
        return self._ledger.loads.hours_since_newest(self._target.sink)

    def arriving(self) -> list[str]:
        """Return the jobs that are reading or loading what this target is built from."""
        return self._ledger.runs.arriving(self._target.sink)

    def covering(self, inputs: str, selection: str) -> tuple[str, str] | None:
        """Return id and time of the green build that these inputs have had already, if the newest one was green."""
        return self._ledger.builds.covering(self._target.name, inputs, selection)

    def may_publish(self, selection: str) -> bool:
        """Whether what a build of this selection leaves aside has passed: all of it, or nothing failed since.

        A part is built from tables outside of it; after a failed build those may hold what did not pass.
        """
        return not selection or self._ledger.builds.green_since_whole(self._target.name)

    def interrupted(self) -> bool:
        """Whether the newest build did not come to a good end, so that it may have left something running."""
        return self._ledger.builds.interrupted(self._target.name)

    def start(self, build: Build, selection: str) -> None:
        """Note that a build begins. It holds the target's lock: one still said to be running was killed."""
        self._ledger.builds.start(self._target.name, build, selection)

    def finish(self, build: Build, *, green: bool) -> None:
        """Note how a build ended; green is built, tested and published."""
        self._ledger.builds.finish(build, green=green)

    def note(self, build: Build, results: Iterable[NodeResult]) -> None:
        """Note what every node did, in one statement."""
        rows = list(results)
        names = ("name", "kind", "status", "seconds", "rows", "message")
        self._ledger.builds.note_nodes(self._target.name, build, [[getattr(r, name) for r in rows] for name in names])


def digest(project: Path, seeds: Path) -> str:
    """Return a fingerprint of everything in the project that decides what is built."""
    found = hashlib.sha256()
    for root in [*(project / name for name in _SOURCES), seeds]:
        for file in [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.is_file()):
            found.update(f"\0{file.relative_to(root.parent)}\0".encode() + file.read_bytes())
    return found.hexdigest()[:16]
