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
        changes: Changes when its change table is emptied, dropped or made anew, as far as the target can tell; empty
            where it has none.
        has_changes: Whether there is a row in that.
    """

    table: str
    columns: frozenset[str]
    identity: str
    rows: int | None
    changes: str = ""
    has_changes: bool = False
