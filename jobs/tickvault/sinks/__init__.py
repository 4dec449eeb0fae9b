"""Where packages go: the contract (the same claim twice is loaded once), and a module per target."""

from abc import ABC, abstractmethod
from datetime import datetime
from typing import ClassVar, Self

from tickvault.core.batch import LoadResult, Rows
from tickvault.core.claim import Claim, PackageClaim
from tickvault.core.holding import Holding
from tickvault.core.package import Package
from tickvault.core.settings import Settings
from tickvault.core.stream import Stream
from tickvault.lake import Lake


class Sink(ABC):
    """Writes packages into one target. A module in ``sinks/`` holds exactly one, and is found by its name."""

    name: ClassVar[str]

    def __init__(self, settings: Settings, lake: Lake) -> None:
        self.settings, self.lake = settings, lake

    @classmethod
    def target(cls, settings: Settings) -> str | None:
        """Name the database whose own ledger the platform's ledger copies; None where they are one and the same."""
        _ = settings
        return None

    def write(self, stream: Stream, package: Package, run_id: str) -> LoadResult:
        """Load a package; see ``load``."""
        return self.load(stream, self.lake.rows(package), PackageClaim(package, run_id))

    @abstractmethod
    def load(self, stream: Stream, rows: Rows, claim: Claim) -> LoadResult:
        """Merge rows under a claim: rows and claim are in the target together, in one transaction of it, or neither.

        Args:
            stream: What the rows are; its contract says what happens where the table has other columns.
            rows: The rows.
            claim: What they are noted as in the target's own ledger; where that holds it already, nothing is done.

        Raises:
            SinkUnavailableError: The target does not answer or its lock could not be had; nothing was written.
            LoadRejectedError: The target refuses the rows; nothing was written.
            SchemaMismatchError: The rows' columns do not fit the table's.
        """

    @abstractmethod
    def loaded(self) -> set[str]:
        """Return the ids of all packages the target's own ledger holds."""

    @abstractmethod
    def count(self) -> int:
        """Return how many packages the target's own ledger holds: cheap, however many there are."""

    @abstractmethod
    def held(self, stream: Stream, identity: str = "") -> Holding:
        """Say what a stream's table is now; rows are not counted where its identity is the one given."""

    @abstractmethod
    def forget(self, stream: Stream) -> None:
        """Take a stream's loads back in the target's own ledger, so that all its packages are due again.

        Merged rows stay, for loading them again changes nothing; rows of a table that is only appended to go in the
        same transaction.
        """

    @abstractmethod
    def count_changes(self, before: datetime) -> int:
        """Return how many rows came into change tables before a time."""

    @abstractmethod
    def prune_changes(self, before: datetime, limit: int) -> int:
        """Remove some ``limit`` of those rows, a transaction per table; return how many those were."""

    @abstractmethod
    def close(self) -> None:
        """Give connections back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
