"""``data_platform.publication``: which generation of a mart a target shows that keeps no such table itself."""

from datetime import datetime

from tickvault.core.slot import Slot
from tickvault.engines.postgres.connection import Connection
from tickvault.ledger.pruning import Pruning

RECENT = 50
"""How many of a mart's latest generations are looked at: what was never confirmed came with a kill each."""
# A view shows the newest confirmed generation or one noted since; the one confirmed before it is still held, too.
_OLD = Pruning(
    "publication",
    """t.recorded_at < %s AND t.recorded_at < (
        SELECT c.recorded_at FROM data_platform.publication c
        WHERE c.target = t.target AND c.mart = t.mart AND c.published_at IS NOT NULL
        ORDER BY c.recorded_at DESC OFFSET 1 LIMIT 1)""",
)


class Publications:
    """The publications of all targets."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def recent(self, target: str) -> list[tuple[str, str, bool]]:
        """Return mart, generation and whether it is known to be shown: each mart's latest, newest first."""
        rows = self._db.rows(
            """SELECT p.mart, p.generation, p.published FROM (
                SELECT DISTINCT mart FROM data_platform.publication WHERE target = %s
            ) known CROSS JOIN LATERAL (
                SELECT mart, generation, published_at IS NOT NULL AS published, recorded_at
                FROM data_platform.publication WHERE target = %s AND mart = known.mart
                ORDER BY recorded_at DESC, generation LIMIT %s
            ) p ORDER BY p.recorded_at DESC, p.generation""",
            *(target, target, RECENT),
        )
        return [(str(mart), str(generation), bool(published)) for mart, generation, published in rows]

    def note(self, target: str, mart: str, generation: str, slot: Slot, run_id: str) -> None:
        """Note a generation that the mart's view will show."""
        self._db.run(
            """INSERT INTO data_platform.publication AS p (target, mart, generation, slot, run_id)
            VALUES (%s, %s, %s, %s, %s)
            ON CONFLICT (target, mart, generation) DO UPDATE SET recorded_at = clock_timestamp()""",
            *(target, mart, generation, slot.time, run_id),
        )

    def confirm(self, target: str, mart: str, generation: str) -> None:
        """Note that the view shows it."""
        self._db.run(
            """UPDATE data_platform.publication SET published_at = clock_timestamp()
            WHERE target = %s AND mart = %s AND generation = %s""",
            *(target, mart, generation),
        )

    def count_due(self, before: datetime) -> int:
        """Return how many notes of before a time are on generations that no view may show."""
        return _OLD.count(self._db, before)

    def prune(self, before: datetime, limit: int) -> int:
        """Delete at most ``limit`` notes on generations that no view may show; return how many those were."""
        return _OLD.run(self._db, limit, before)
