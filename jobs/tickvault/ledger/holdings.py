"""``data_platform.holdings``: what targets' tables were when a load last left them, and what they have lost since."""

from dataclasses import dataclass

from tickvault.core.holding import Holding
from tickvault.engines.postgres.connection import Connection

_COUNTED = "interval '1 day'"
"""For how long a table whose identity has not changed is not counted again."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What is noted of a stream's table; ``identity`` is empty when the table is to be counted again."""

    columns: frozenset[str]
    identity: str
    accepted: int
    lost: str | None
    changes: str


class Holdings:
    """The tables of all targets."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def noted(self, sink: str, target: str | None, stream: str) -> Noted:
        """Return what is noted of a stream's table."""
        row = self._db.first(
            f"""SELECT columns, CASE WHEN counted_at > now() - {_COUNTED} THEN identity ELSE '' END,
                rows_accepted, lost, changes
            FROM data_platform.holdings WHERE sink = %s AND target = %s AND stream = %s""",
            *(sink, target or "", stream),
        )
        return Noted(frozenset(row[0]), *row[1:]) if row else Noted(frozenset(), "", 0, None, "")

    def streams(self, sink: str, target: str | None) -> list[str]:
        """Return the streams of which a table is noted."""
        rows = self._db.rows(
            "SELECT stream FROM data_platform.holdings WHERE sink = %s AND target = %s ORDER BY stream",
            *(sink, target or ""),
        )
        return [stream for (stream,) in rows]

    def expected(self, sink: str, target: str | None, stream: str, table: str) -> int:
        """Return how many rows a table must have at least: those loads inserted, less those whose loss is accepted."""
        inserted, accepted = self._db.one(
            """WITH sharing AS (
                SELECT stream, rows_accepted FROM data_platform.holdings
                WHERE sink = %s AND target = %s AND (table_name = %s OR stream = %s)
            )
            SELECT coalesce(sum(rows_inserted), 0), coalesce((SELECT sum(rows_accepted) FROM sharing), 0)
            FROM data_platform.loads WHERE sink = %s AND coalesce(target, '') = %s
                AND (stream = %s OR stream IN (SELECT stream FROM sharing))""",
            *(sink, target or "", table, stream, sink, target or "", stream),
        )
        return int(inserted) - int(accepted)

    def note(self, sink: str, target: str | None, stream: str, held: Holding, lost: str | None) -> None:
        """Note what a table is now; ``lost`` stays until it is said that the loss is mended."""
        self._db.run(
            """INSERT INTO data_platform.holdings AS h
                (sink, target, stream, table_name, columns, identity, changes, lost)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (sink, target, stream) DO UPDATE SET
                table_name = EXCLUDED.table_name, columns = EXCLUDED.columns, identity = EXCLUDED.identity,
                changes = EXCLUDED.changes, lost = coalesce(h.lost, EXCLUDED.lost),
                counted_at = CASE WHEN %s THEN now() ELSE h.counted_at END""",
            *(sink, target or "", stream, held.table, sorted(held.columns), held.identity),
            *(held.changes if held.has_changes else "", lost, held.rows is not None),
        )

    def mended(self, sink: str, target: str | None, stream: str) -> None:
        """Forget what is noted of a table: its rows are loaded again."""
        self._db.run(
            "DELETE FROM data_platform.holdings WHERE sink = %s AND target = %s AND stream = %s",
            *(sink, target or "", stream),
        )

    def accept(self, sink: str, target: str | None, stream: str, held: Holding) -> int:
        """Take a table as it is: what it lacks now is not missed any more. Return how many rows those are."""
        missing = max(0, self.expected(sink, target, stream, held.table) - (held.rows or 0))
        self.note(sink, target, stream, held, None)
        self._db.run(
            """UPDATE data_platform.holdings SET rows_accepted = rows_accepted + %s, lost = NULL
            WHERE sink = %s AND target = %s AND stream = %s""",
            *(missing, sink, target or "", stream),
        )
        return missing
