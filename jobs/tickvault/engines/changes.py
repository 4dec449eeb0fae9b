"""The statements that keep the states a raw table held before, in its change table; the same on every engine.

Of a key a target knows *readings*: a version and the content that the source had then. Sorted by version, readings of
equal content that follow each other are one *state*, kept at its first version (``row_version``) with its last one
beside it (``last_seen_version``, null where that is the same one). The newest state is the raw table's row, the earlier
ones are the change table's. Neither depends on the order in which readings arrive.

A package that arrives in order closes states (``close``) or lets them go on, which is the raw table's merge alone. A
reading that is older than what the table holds begins a state, goes on with one, or divides one (``late``): the states
of its key are made anew from those that are kept and what the package brings. What is between a state's two versions
is not kept: of a state that is divided, the second part begins at the last version it was seen at.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tickvault.core.stream import LAST_SEEN_VERSION, LINEAGE, LOAD_TIMESTAMP, ROW_VERSION

REPLACED_AT = "replaced_at"
"""When a row came into its change table."""
SUFFIX = "_changes"
_PACKAGE_ID = "package_id"
_OWN = {*LINEAGE, LAST_SEEN_VERSION}
_STORED = 1
"""A reading's origin where it is the first one of a state in the change table."""
_NEWEST = f"COALESCE(t.{LAST_SEEN_VERSION}, t.{ROW_VERSION})"


@dataclass(frozen=True, slots=True)
class Changes:
    """A raw table, its change table, and what a load has staged for them.

    Args:
        table: The raw table.
        changes: Its change table.
        staged: The staged rows: a stream's own columns and ``row_version``.
        key: Columns of the stream's key.
        content: The stream's other columns.
        others: Columns that only the tables have.
        package_id: What stands for the package's id in a statement; each takes it once.
        now: What stands for the time of loading; each takes it once, after the id.
        by_bytes: Writes a column so that it sorts by bytes.
    """

    table: str
    changes: str
    staged: str
    key: Sequence[str]
    content: Sequence[str]
    others: Sequence[str]
    package_id: str
    now: str
    by_bytes: Callable[[str], str] = str

    def close(self, winners: str) -> str:
        """Return the insert of the rows that a merge is about to replace.

        Args:
            winners: Query of one staged row per key, that with the highest version.
        """
        columns = [*self.key, *self.content, *self.others, *LINEAGE, LAST_SEEN_VERSION]
        return f"""
            INSERT INTO {self.changes} ({", ".join(columns)}, {REPLACED_AT})
            SELECT {", ".join(f"t.{c}" for c in columns)}, {self.now}
            FROM {self.table} t JOIN ({winners}) s ON {self._same("t", "s")}
            LEFT JOIN {self.changes} h ON {self._same("t", "h")} AND h.{ROW_VERSION} = t.{ROW_VERSION}
            WHERE s.{ROW_VERSION} > {_NEWEST} AND ({differs("s", "t", self.content)}) AND h.{ROW_VERSION} IS NULL"""

    def late(self, states: str = "") -> tuple[str, ...]:
        """Return the statements that take in what is older than the merged rows, for one transaction.

        Args:
            states: A table that holds what ``states`` says; without it each statement asks anew, and finds the same:
                what one writes is a reading that the next one counts anyway.
        """
        made = states or f"({self.states()})"
        columns = [*self.key, *self.content, *self.others, *LINEAGE]
        last = f"CASE WHEN r.last_version > r.{ROW_VERSION} THEN r.last_version END"
        begun = f"""
            INSERT INTO {self.changes} ({", ".join(columns)}, {LAST_SEEN_VERSION}, {REPLACED_AT})
            SELECT {", ".join(f"r.{c}" for c in columns)}, {last}, r.loading
            FROM {made} r WHERE r.begins = 1 AND r.newest = 0 AND r.origin <> {_STORED}"""
        seen = f"""
            UPDATE {self.changes} AS h SET {LAST_SEEN_VERSION} = {last}
            FROM {made} r
            WHERE {self._same("h", "r")} AND h.{ROW_VERSION} = r.{ROW_VERSION} AND r.begins = 1
                AND r.origin = {_STORED} AND h.{LAST_SEEN_VERSION} IS DISTINCT FROM {last}"""
        newest = f"""
            UPDATE {self.table} AS t SET {ROW_VERSION} = r.{ROW_VERSION}, {LAST_SEEN_VERSION} = {last},
                {_PACKAGE_ID} = r.{_PACKAGE_ID}, {LOAD_TIMESTAMP} = r.{LOAD_TIMESTAMP}
            FROM {made} r
            WHERE {self._same("t", "r")} AND r.begins = 1 AND r.newest = 1 AND t.{ROW_VERSION} <> r.{ROW_VERSION}"""
        once = f"""
            DELETE FROM {self.changes} AS h USING {made} r
            WHERE {self._same("h", "r")} AND h.{ROW_VERSION} = r.{ROW_VERSION} AND r.begins = 0
                AND r.origin = {_STORED}"""
        return begun, seen, newest, once

    def states(self) -> str:
        """Return the query of the readings among which the package's late ones fall, sorted into states.

        Of each key these are the states from the last one that begins before them to the first that begins after. Of a
        state's first reading ``begins`` is 1; ``newest`` is 1 of the raw table's.
        """
        key, content = ", ".join(self.key), [*self.content]
        over = f"OVER (PARTITION BY {key} ORDER BY {ROW_VERSION})"
        another = " OR ".join(f"{c} IS DISTINCT FROM LAG({c}) {over}" for c in content) or "FALSE"
        ties = "".join(f", {self.by_bytes(c)} DESC NULLS LAST" for c in content)
        late, earlier = f"s.{ROW_VERSION} < {_NEWEST}", f"h.{ROW_VERSION} < l.newest_version"
        return f"""
            WITH loading AS (SELECT {self.package_id} AS {_PACKAGE_ID}, {self.now} AS loading),
            late AS (
                SELECT {self._columns("t", self.key)}, MAX({_NEWEST}) AS newest_version,
                    MIN(s.{ROW_VERSION}) AS oldest, MAX(s.{ROW_VERSION}) AS latest
                FROM {self.staged} s JOIN {self.table} t ON {self._same("s", "t")}
                WHERE {late} GROUP BY {self._columns("t", self.key)}
            ),
            among AS (
                SELECT {self._columns("l", self.key)}, l.newest_version,
                    MAX(CASE WHEN h.{ROW_VERSION} < l.oldest THEN h.{ROW_VERSION} END) AS first_version,
                    MIN(CASE WHEN h.{ROW_VERSION} > l.latest AND {earlier} THEN h.{ROW_VERSION} END) AS end_version
                FROM late l LEFT JOIN {self.changes} h ON {self._same("l", "h")}
                GROUP BY {self._columns("l", self.key)}, l.newest_version
            ),
            readings AS ({" UNION ALL ".join(self._readings())}),
            one_of_each AS (
                SELECT readings.*,
                    ROW_NUMBER() OVER (PARTITION BY {key}, {ROW_VERSION} ORDER BY origin{ties}) AS place
                FROM readings
            ),
            flagged AS (
                SELECT one_of_each.*, CASE WHEN ROW_NUMBER() {over} = 1 OR {another} THEN 1 ELSE 0 END AS begins
                FROM one_of_each WHERE place = 1
            ),
            numbered AS (
                SELECT flagged.*,
                    SUM(begins) OVER (PARTITION BY {key} ORDER BY {ROW_VERSION} ROWS UNBOUNDED PRECEDING) AS state
                FROM flagged
            )
            SELECT numbered.*, MAX({ROW_VERSION}) OVER (PARTITION BY {key}, state) AS last_version,
                MAX(in_table) OVER (PARTITION BY {key}, state) AS newest
            FROM numbered"""

    def _readings(self) -> list[str]:
        """Return the queries of what is known: states' first and last readings, and what the package brings."""
        stored = [*self.key, *self.content, *self.others]
        found = []
        for origin, table, alias in ((0, self.table, "t"), (_STORED, self.changes, "h")):
            place = f"FROM {table} {alias} JOIN among l ON {self._same(alias, 'l')} CROSS JOIN loading g"
            newest = f"CASE WHEN t.{LAST_SEEN_VERSION} IS NULL THEN 1 ELSE 0 END, 1".split(", ")
            where = "l.end_version IS NULL"
            if origin == _STORED:
                newest = ["0", "0"]
                where = f"""h.{ROW_VERSION} < l.newest_version AND h.{ROW_VERSION} >= COALESCE(l.first_version, '')
                    AND h.{ROW_VERSION} <= COALESCE(l.end_version, h.{ROW_VERSION})"""
            found += [
                f"""SELECT {self._columns(alias, [*stored, *LINEAGE])}, {origin} AS origin, g.loading,
                {newest[0]} AS in_table {place} WHERE {where}""",
                f"""SELECT {self._columns(alias, [*stored, LAST_SEEN_VERSION, _PACKAGE_ID])}, g.loading, 2, g.loading,
                {newest[1]} {place} WHERE {where} AND {alias}.{LAST_SEEN_VERSION} IS NOT NULL""",
            ]
        brought = ", ".join([self._columns("s", [*self.key, *self.content]), *("NULL" for _ in self.others)])
        found.append(
            f"""SELECT {brought}, s.{ROW_VERSION}, g.{_PACKAGE_ID}, g.loading, 3, g.loading, 0
            FROM {self.staged} s JOIN among l ON {self._same("s", "l")} CROSS JOIN loading g
            WHERE s.{ROW_VERSION} < l.newest_version"""
        )
        return found

    def _same(self, one: str, other: str) -> str:
        return " AND ".join(f"{one}.{c} = {other}.{c}" for c in self.key)

    @staticmethod
    def _columns(alias: str, columns: Sequence[str]) -> str:
        return ", ".join(f"{alias}.{c}" for c in columns)


def differs(one: str, other: str, columns: Sequence[str]) -> str:
    """Return the condition that two rows' contents are not the same."""
    return " OR ".join(f"{one}.{c} IS DISTINCT FROM {other}.{c}" for c in columns) or "FALSE"


def others(found: Sequence[str], own: Sequence[str]) -> list[str]:
    """Return of a change table's columns those that are neither a stream's own nor the platform's."""
    return [name for name in found if name not in {*own, *_OWN, REPLACED_AT}]
