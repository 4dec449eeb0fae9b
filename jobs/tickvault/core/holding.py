"""What a target holds of a stream, as it says itself: for comparing it with what the ledger says was loaded."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Holding:
    """A table as it is now.

    Args:
        table: Its full name; streams that share a table name the same.
        columns: Names of its columns; none where there is no such table.
        identity: Changes when the table is emptied, dropped or made anew; empty where a target cannot tell.
        rows: How many rows it has; None where they were not counted, since the identity is one that is known.
    """

    table: str
    columns: frozenset[str]
    identity: str
    rows: int | None
