"""Holds the ledger's word to the tables: what was loaded and is gone is said, and can be loaded again from the lake."""

from dataclasses import dataclass

from tickvault.core.errors import ConfigError, LoadRejectedError
from tickvault.core.holding import Holding
from tickvault.core.stream import Stream
from tickvault.lake import Lake
from tickvault.ledger.holdings import Noted
from tickvault.runs.session import Session
from tickvault.sinks import Sink
from tickvault.transfer import catalog


@dataclass(frozen=True, slots=True)
class Holdings:
    """Compares one target's tables with the ledger.

    Args:
        session: The run's.
        sink: The target.
    """

    session: Session
    sink: Sink

    @property
    def _target(self) -> str | None:
        return self.sink.target(self.session.settings)

    def compare(self, stream: Stream) -> LoadRejectedError | None:
        """Return what a table has lost since a load left it, None where nothing is; it is remembered until mended.

        A table is counted when it was emptied or made anew, and once a day; a target that knows its numbers always. Of
        a change table only that all of it went is seen: retention takes rows from it too.
        """
        ledger, key = self.session.ledger.holdings, (self.sink.name, self._target, stream.name)
        noted = ledger.noted(*key)
        held = self.sink.held(stream, noted.identity)
        lost = noted.lost or self._lost(noted, held, stream.name)
        if lost is None:
            return None
        ledger.note(*key, held, lost)
        return LoadRejectedError(
            f"{held.table} has lost what the ledger says is in it: {lost}. To load it again from the lake: tickvault"
            f" load {self.sink.name} --again {stream.name}; to leave it as it is: --accept {stream.name}"
        )

    def _lost(self, noted: Noted, held: Holding, stream: str) -> str | None:
        if held.columns and (gone := sorted(noted.columns - held.columns)):
            return f"the columns {', '.join(gone)} are gone, with what was loaded into them"
        loaded = self.session.ledger.holdings.expected
        if held.rows is not None and (rows := loaded(self.sink.name, self._target, stream, held.table)) > held.rows:
            return f"{held.rows} rows are there and {rows} were loaded"
        emptied = held.changes and held.changes != noted.changes and not held.has_changes
        if noted.changes and (emptied or not held.changes):
            how = "was emptied" if emptied else "is gone"
            return f"its change table {how}, and with it what rows were before, as far as the lake does not have it"
        return None

    def note(self, stream: Stream) -> None:
        """Note a table as a load leaves it."""
        key = (self.sink.name, self._target, stream.name)
        known = self.session.ledger.holdings.noted(*key)
        self.session.ledger.holdings.note(*key, self.sink.held(stream, known.identity), None)

    def forget(self, lake: Lake, name: str) -> None:
        """Make all packages of a stream due again.

        Killed in between, the packages are due or they are not, and the same command goes on; the next load does too,
        but says that the table lost something until the command has ended.

        Raises:
            ConfigError: No package of such a stream has landed.
        """
        stream = self.stream(lake, name)
        self.sink.forget(stream)
        if self._target:
            self.session.ledger.loads.correct(self.sink.name, self._target, self.sink.loaded)
        self.session.ledger.holdings.mended(self.sink.name, self._target, name)
        self.session.report.notes.append(f"{name}: every package of it is loaded into {self.sink.name} again")

    def accept(self, lake: Lake, name: str) -> None:
        """Take a stream's table as it is."""
        held = self.sink.held(self.stream(lake, name))
        missing = self.session.ledger.holdings.accept(self.sink.name, self._target, name, held)
        self.session.report.notes.append(f"{held.table} is accepted as it is: {missing} rows are not missed any more")

    def streams(self) -> list[str]:
        """Return the streams whose tables a load has noted."""
        return self.session.ledger.holdings.streams(self.sink.name, self._target)

    def stream(self, lake: Lake, name: str) -> Stream:
        """Return a stream as its newest package declares it.

        Raises:
            ConfigError: No package of such a stream has landed.
            DamagedPackageError: That package cannot be read.
        """
        found = self.session.ledger.packages.newest_of(name)
        if found is None:
            raise ConfigError(f"no package of a stream '{name}' has landed; tickvault status --packages names them")
        source, manifest_key = found
        return lake.known(manifest_key).declares or catalog.stream(source, name)
