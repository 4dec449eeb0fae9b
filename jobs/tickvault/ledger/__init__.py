"""What ran, landed, was loaded, built and published: typed methods over PostgreSQL's schema ``data_platform``."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from tickvault.core.errors import SinkUnavailableError
from tickvault.core.settings import Settings
from tickvault.engines.postgres.connection import Connection
from tickvault.ledger.alerts import Alerts
from tickvault.ledger.builds import Builds
from tickvault.ledger.holdings import Holdings
from tickvault.ledger.loads import Loads, Pending
from tickvault.ledger.migrations import migrate
from tickvault.ledger.offsets import Offsets
from tickvault.ledger.packages import Packages
from tickvault.ledger.publications import Publications
from tickvault.ledger.rejects import Rejects
from tickvault.ledger.runs import Run, Runs
from tickvault.ledger.schemas import Schemas

__all__ = ["Ledger", "LockHeldError", "Pending", "Run"]


class LockHeldError(SinkUnavailableError):
    """Another process held a lock of the ledger's for as long as we may wait."""


class Ledger:
    """One connection to the ledger; each method of each part is one transaction.

    Raises:
        SinkUnavailableError: PostgreSQL does not answer.
        ConfigError: PostgreSQL refuses user, password or database.
    """

    def __init__(self, connection: Connection) -> None:
        self._db = connection
        self.runs = Runs(connection)
        self.schemas = Schemas(connection)
        self.packages = Packages(connection, self.schemas)
        self.rejects = Rejects(connection)
        self.loads = Loads(connection)
        self.holdings = Holdings(connection)
        self.offsets = Offsets(connection)
        self.builds = Builds(connection)
        self.publications = Publications(connection)
        self.alerts = Alerts(connection)

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Connect and bring the schema up to date."""
        connection = Connection.open(settings)
        try:
            migrate(connection)
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    def close(self) -> None:
        """Give the connection, and with it every lock, back."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def lock(self, name: str, wait_seconds: float) -> Iterator[None]:
        """Hold the session lock of a job; it is free the moment its owner dies.

        Raises:
            LockHeldError: Another process held it all the time.
        """
        deadline = time.monotonic() + wait_seconds
        while not self._db.one("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", name)[0]:
            if time.monotonic() >= deadline:
                raise LockHeldError(
                    f"another process has held the lock '{name}' for {wait_seconds:.0f} s; try again later"
                )
            time.sleep(0.2)
        try:
            yield
        finally:
            if not self._db.closed:
                self._db.one("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", name)
