"""Publication on Trino: a generation is an Iceberg snapshot of the built table, nothing is copied."""

from collections.abc import Iterable, Sequence

from tickvault.core.settings import Settings
from tickvault.engines.trino import TrinoSession
from tickvault.ledger import Ledger
from tickvault.warehouse.publication import Generation, LedgerNotes, Mart, Stamp, count_statement
from tickvault.warehouse.target import Target

_MARGIN_SECONDS = 60


class TrinoShelf(LedgerNotes):
    """Views ``FOR VERSION AS OF`` a snapshot, noted in the ledger's ``data_platform.publication``.

    dbt replaces a table as a new snapshot of the same table, so what a view shows stays while the next one is built.

    Args:
        session: A session with ``session_properties(settings)``.
        settings: Name the catalogue.
        ledger: Where publications are noted: Iceberg has no table that is cheap to write one row into.
        target: The target.
    """

    def __init__(self, session: TrinoSession, settings: Settings, ledger: Ledger, target: Target) -> None:
        self._run, self._catalog = session.run, settings.trino_lake_catalog
        super().__init__(ledger, target)

    @staticmethod
    def session_properties(settings: Settings) -> dict[str, str]:
        """Let snapshots be expired that are younger than a week."""
        return {f"{settings.trino_lake_catalog}.expire_snapshots_min_retention": "0s"}

    def count(self, relations: Sequence[str]) -> dict[str, int]:
        """Return the rows of tables."""
        return {str(name): int(str(n)) for name, n in self._run(count_statement(relations))} if relations else {}

    def values(self, relation: str, column: str) -> list[str]:
        """Return the values of a table's column, each once, in order."""
        return [str(value) for (value,) in self._run(f"SELECT DISTINCT {column} FROM {relation} ORDER BY 1")]

    def prepare(self, schemas: Iterable[str]) -> None:
        """Make the public schemas."""
        for schema in schemas:
            self._run(f"CREATE SCHEMA IF NOT EXISTS {self._catalog}.{schema}")

    def holds(self, mart: Mart, generation: Generation) -> bool:
        """Whether the table still has the snapshot it had: dbt did not build it again."""
        return self._snapshot(mart) == generation.name

    def freeze(self, mart: Mart, stamp: Stamp) -> str:
        """Return the table's snapshot; it stays what it is by itself."""
        _ = stamp
        return self._snapshot(mart)

    def show(self, mart: Mart, generation: str) -> None:
        """Replace the view."""
        self.define(mart, f"SELECT * FROM {self._aside(mart)} FOR VERSION AS OF {generation}")

    def define(self, view: Mart, sql: str) -> None:
        """Replace a view. It reads with its owner's rights, so a reader needs none on what is built aside."""
        self._run(f"CREATE OR REPLACE VIEW {self._catalog}.{view.schema}.{view.name} SECURITY DEFINER AS {sql}")

    def clear(self, mart: Mart, retained: list[str]) -> None:
        """Expire what is older than the oldest retained snapshot; only here, right after a publish, is that known."""
        rows = self._run(
            f"SELECT date_diff('second', min(committed_at), current_timestamp) FROM {self._meta(mart, 'snapshots')}"
            f" WHERE snapshot_id IN ({', '.join(retained)})"
        )
        age = rows[0][0]
        if age is not None:
            self._run(
                f"ALTER TABLE {self._aside(mart)} EXECUTE"
                f" expire_snapshots(retention_threshold => '{int(age) + _MARGIN_SECONDS}s')"
            )

    def _snapshot(self, mart: Mart) -> str:
        return str(self._run(f"SELECT snapshot_id FROM {self._meta(mart, 'refs')} WHERE name = 'main'")[0][0])

    def _aside(self, mart: Mart) -> str:
        return f"{self._catalog}.{mart.aside}.{mart.name}"

    def _meta(self, mart: Mart, kind: str) -> str:
        return f'{self._catalog}.{mart.aside}."{mart.name}${kind}"'
