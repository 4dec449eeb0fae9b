"""What a running job is given, and what it reports."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.ledger import Ledger, Run


@dataclass(slots=True)
class Report:
    """What a job did, as far as it came: kept also when it fails half-way.

    Args:
        counts: rows_read, rows_loaded, rows_unchanged, rows_rejected.
        details: JSON-able facts for the ledger and the termination message.
        missing: One sentence per thing that should be there and is not: the run is partial.
        notes: Sentences for the person who reads the end of the log.
    """

    counts: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, **counts: int) -> None:
        """Add to the counts."""
        for name, count in counts.items():
            self.counts[name] = self.counts.get(name, 0) + count


@dataclass(frozen=True, slots=True)
class Session:
    """What a running job may use."""

    settings: Settings
    ledger: Ledger
    run: Run
    report: Report

    @property
    def slot(self) -> Slot:
        """The slot this run stands for."""
        return self.run.slot


class Job(Protocol):
    """Something that runs for a slot."""

    @property
    def name(self) -> str:
        """Kubernetes' name of the job, such as ``extract-binance``."""

    @property
    def exclusive(self) -> bool:
        """Whether two of this name must not run at once; a job that locks smaller things itself says False."""

    def run(self, session: Session) -> None:
        """Do the work and say in ``session.report`` what was done.

        Raises:
            PlatformError: It could not be done.
        """
