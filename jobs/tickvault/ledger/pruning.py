"""Takes from a table what is old enough, some rows at a time."""

from dataclasses import dataclass
from typing import Any

from tickvault.engines.postgres.connection import Connection


@dataclass(frozen=True, slots=True)
class Pruning:
    """Which rows of a table may go.

    Args:
        table: The table.
        due: SQL of its condition, on the row ``t``; ``%s`` stand for values.
    """

    table: str
    due: str

    def count(self, connection: Connection, *values: Any) -> int:
        """Return how many rows are due."""
        return int(connection.one(f"SELECT count(*) FROM data_platform.{self.table} t WHERE {self.due}", *values)[0])

    def run(self, connection: Connection, limit: int, *values: Any) -> int:
        """Delete at most ``limit`` rows that are due, in one statement, and return how many those were.

        A row that somebody is just changing is asked again when it is his no more.
        """
        rows = f"SELECT ctid FROM data_platform.{self.table} t WHERE {self.due} LIMIT %s"
        sql = f"DELETE FROM data_platform.{self.table} t WHERE ctid = ANY (ARRAY({rows})) AND {self.due}"
        return connection.run(sql, *values, limit, *values)
