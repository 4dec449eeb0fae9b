"""A claim: what a load is noted as in the target's own ledger, in the transaction that brings its rows.

Whoever makes the same claim twice finds it taken, and loads nothing. A package is claimed by its id; what a topic
brings will be claimed by the offsets it advances.
"""

from dataclasses import dataclass

from tickvault.core.package import Package


@dataclass(frozen=True, slots=True)
class PackageClaim:
    """The claim on a package.

    Args:
        package: The package.
        run_id: The run that loads it.
    """

    package: Package
    run_id: str

    @property
    def id(self) -> str:
        """The same for everybody who loads this package."""
        return self.package.id


Claim = PackageClaim
