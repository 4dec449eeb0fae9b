"""Cleans the lake of what no manifest names, and tells the ledger of sealed packages it does not know.

To list everything a lake ever got takes longer every month. What may hold orphans now is known: the partitions of the
last weeks, and older slots for which the ledger knows an attempt of the last weeks that may not have come to its end.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from tickvault.core.errors import ConfigError, TerminalError
from tickvault.core.package import DamagedPackageError, Package
from tickvault.core.slot import Slot
from tickvault.lake import Lake
from tickvault.lake.folder import PackageFolder, partition, slot_folder
from tickvault.ledger import Ledger
from tickvault.market import streams
from tickvault.transfer import catalog

_log = logging.getLogger(__name__)
LOOK_BACK_DAYS = 35
"""Far longer than an unsealed attempt's parts are kept, so that each is looked at when they are due."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is looked at.

    Args:
        older_than: Parts in folders without a manifest are orphans when they were written before.
        since: Partitions of slots since then, and older slots with an attempt since then; None: everything.
    """

    older_than: datetime
    since: datetime | None


class Cleaning:
    """One pass over the lake.

    Args:
        lake: The lake.
        ledger: Knows what landed, and which attempts did not come to their end.
        scope: What is looked at.

    ``damaged`` says in the end what could not be read, and the way out.
    """

    def __init__(self, lake: Lake, ledger: Ledger, scope: Scope) -> None:
        self._lake, self._ledger, self._scope = lake, ledger, scope
        self.damaged: list[str] = []
        self._first_day = scope.since.date().isoformat() if scope.since else ""
        self._suspects: dict[str, list[Slot]] = {}
        for slot in sorted(ledger.runs.unsettled(scope.since)) if scope.since else []:
            self._suspects.setdefault(slot.date.isoformat(), []).append(slot)

    def findings(self) -> Iterator[Package | str]:
        """Yield, day by day, sealed packages that the ledger does not know, and keys of orphans."""
        for day, paths in sorted(self._days().items()):
            known = self._ledger.packages.manifests(day)
            for prefix in self._prefixes(day, paths):
                for folder in self._lake.folders(prefix):
                    try:
                        yield from self._found(day, folder, known)
                    except DamagedPackageError as error:  # all of it is kept, and nothing else waits for it
                        self.damaged.append(str(error))
                        _log.warning("%s", error)

    def _found(self, day: str, folder: PackageFolder, known: set[str]) -> Iterator[Package | str]:
        if not folder.is_sealed and folder.manifest_key in known:
            self._lake.known(folder.manifest_key)  # raises: what is left of a package is no orphan
        unknown = folder.is_sealed and folder.manifest_key not in known
        if unknown and (package := self._lake.open(folder.manifest_key)):
            yield package
        if self._may_hold_orphans(day, folder):
            yield from self._lake.orphans(folder, self._scope.older_than)

    def settle(self, findings: Iterable[Package | str]) -> int:
        """Tell the ledger of packages and remove orphans; return how many orphans those were."""
        findings = list(findings)
        for package in (found for found in findings if isinstance(found, Package)):
            self.register(package)
        orphans = [found for found in findings if isinstance(found, str)]
        self._lake.storage.delete_all(orphans)
        return len(orphans)

    def register(self, package: Package) -> bool:
        """Tell the ledger of a package; False where it cannot be told, or knows it by now."""
        try:
            stream = package.declares or catalog.stream(package.source, package.stream)
        except ConfigError as error:  # landed before packages said what they are, by a source that is gone
            _log.warning("the ledger is not told of %s: %s", package.id, error)
            return False
        try:
            noted = self._ledger.packages.register(stream, package, self._lake.rejects(package))
        except TerminalError as error:  # its records put aside are lost, or the ledger refuses it; others are not
            self.damaged.append(f"{package.id}: {error}")
            _log.warning("the ledger is not told of %s: %s", package.id, error)
            return False
        _log.info("the ledger did not know %s, %d rows: it does now", package.id, package.rows)
        return noted

    def _days(self) -> dict[str, list[str]]:
        """Return the UTC dates to look at, each with where the streams lie that have it."""
        found: dict[str, list[str]] = {}
        for path in sorted({stream.lake_path for stream in streams.ALL} | self._ledger.schemas.lake_paths()):
            for day in self._lake.days(path):
                if day >= self._first_day or day in self._suspects:
                    found.setdefault(day, []).append(path)
        return found

    def _prefixes(self, day: str, paths: list[str]) -> list[str]:
        """Return where to look: into all of a recent partition, of an older one into single slots."""
        if day >= self._first_day:
            return [partition(path, day) for path in paths]
        return [slot_folder(path, slot) for path in paths for slot in self._suspects[day]]

    def _may_hold_orphans(self, day: str, folder: PackageFolder) -> bool:
        """Tell whether a manifest has to be asked, which costs a request: where several attempts left something."""
        whole = self._scope.since is None or folder.slot in self._suspects.get(day, [])
        return whole or not folder.is_sealed or folder.attempts > 1
