"""``data_platform.rejects``: records put aside, until a replay or a fresh read settles them."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tickvault.core.slot import Slot
from tickvault.engines.postgres.connection import Connection, Row
from tickvault.ledger.pruning import Pruning

if TYPE_CHECKING:  # Arrow, which they bring, costs a question to the ledger more than all else
    from tickvault.core.package import Reject

COLUMNS = ("package", "item", "column", "reason", "replayed by", "record")
"""What ``latest`` shows of a reject."""
_OLD = Pruning(
    "rejects",
    """t.replayed_by IS NOT NULL AND t.created_at < %s AND EXISTS (
        SELECT FROM data_platform.packages p WHERE p.package_id = t.replayed_by AND p.registered_at < %s)""",
)


@dataclass(frozen=True, slots=True)
class Open:
    """The records of one package that are still put aside."""

    package_id: str
    source: str
    stream: str
    slot: Slot
    rejects: "tuple[Reject, ...]"


class Rejects:
    """What was put aside of all packages."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def open(self, pattern: str | None) -> list[Open]:
        """Return what no replay has settled, the oldest slot first; ``pattern`` keeps the packages that contain it."""
        from tickvault.core.package import Reject

        rows = self._db.rows(
            """SELECT package_id, source, stream, slot,
                array_agg(jsonb_build_object('item', item, 'column', column_name, 'reason', reason, 'record', record)
                    ORDER BY ordinal)
            FROM data_platform.rejects
            WHERE replayed_by IS NULL AND (%s::text IS NULL OR package_id LIKE '%%' || %s || '%%')
            GROUP BY package_id, source, stream, slot ORDER BY slot, package_id""",
            *(pattern, pattern),
        )
        return [Open(i, s, t, Slot.of(z), tuple(Reject(**one) for one in found)) for i, s, t, z, found in rows]

    def latest(self, pattern: str | None, limit: int) -> list[Row]:
        """Return rejects by ``COLUMNS``, newest first; ``pattern`` keeps the packages whose id contains it."""
        return self._db.rows(
            """SELECT package_id, item, column_name, reason, replayed_by, record::text FROM data_platform.rejects
            WHERE (%s::text IS NULL OR package_id LIKE '%%' || %s || '%%')
            ORDER BY created_at DESC, ordinal LIMIT %s""",
            *(pattern, pattern, limit),
        )

    def count_due(self, before: datetime) -> int:
        """Return how many rejects were replayed before a time."""
        return _OLD.count(self._db, before, before)

    def prune(self, before: datetime, limit: int) -> int:
        """Delete at most ``limit`` rejects replayed before a time; return how many those were. Open ones stay."""
        return _OLD.run(self._db, limit, before, before)
