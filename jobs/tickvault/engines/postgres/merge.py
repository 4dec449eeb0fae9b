"""The merge of staged rows into a raw table, and the exact account of what became of each."""

import pyarrow as pa

from tickvault.core import faults
from tickvault.core.batch import LoadResult
from tickvault.core.stream import LAST_SEEN_VERSION, LINEAGE, ROW_VERSION, Stream
from tickvault.engines.changes import Changes, differs, others
from tickvault.engines.postgres.connection import quoted
from tickvault.engines.postgres.session import PostgresSession
from tickvault.engines.postgres.tables import changes, columns, table

_BYTES = ' COLLATE "C"'
"""Text sorts by bytes: several times faster than by language, and only equality matters."""
_STATES = "states_of_late_rows"
_NEWEST = f"coalesce(t.{LAST_SEEN_VERSION}, t.{ROW_VERSION})"


def merge(session: PostgresSession, stream: Stream, staged: str, package_id: str, read: int) -> LoadResult:
    """Merge the staged rows, of each key the one with the highest version (of equals: with the highest content).

    A row whose content stays is only noted as seen again. States that are replaced, and those that are older than the
    table's, go to the change table. The caller holds the table's lock, so that what the first statement counts is what
    the others meet.
    """
    repeated = session.rows(_repeated(stream, staged))[0][0]
    winners = _winners(stream) if repeated else ("", "")
    met = (0, 0, 0)
    if session.rows(f"SELECT EXISTS (SELECT FROM {table(stream)})")[0][0]:
        # Nobody analyses a temporary table by itself, and without it the join may be planned for a handful of rows.
        session.run(f"ANALYZE {quoted(staged)} ({', '.join(map(quoted, (*stream.primary_key, ROW_VERSION)))})")
        met = session.rows(_count(stream, staged, winners))[0]
    unchanged, updated, superseded = met
    kept = _changes(session, stream, staged) if updated or superseded or repeated else None
    if kept and updated:
        session.run(kept.close(f"SELECT {winners[0]} s.* FROM {quoted(staged)} s {winners[1]}"))
        faults.at("between_changes_and_merge")
    touched = session.run(_insert(stream, staged, winners, conflicts=any(met)), package_id)
    if kept and (superseded or repeated):
        faults.at("between_merge_and_late")
        session.run(f"CREATE TEMPORARY TABLE {_STATES} ON COMMIT DROP AS {kept.states()}", package_id)
        for statement in kept.late(_STATES):
            session.run(statement)
    return LoadResult(
        read=read,
        inserted=touched - updated - unchanged,
        updated=updated,
        unchanged=unchanged,
        superseded=superseded,
        duplicates=read - touched - superseded,
    )


def _changes(session: PostgresSession, stream: Stream, staged: str) -> Changes:
    key = [quoted(n) for n in stream.primary_key]
    texts = {quoted(f.name) for f in stream.schema if f.type == pa.string()}
    return Changes(
        table=table(stream),
        changes=changes(stream),
        staged=quoted(staged),
        key=key,
        content=[c for c in _own(stream) if c not in key],
        others=[quoted(n) for n in others(list(columns(session, changes(stream))), stream.schema.names)],
        package_id="$1::text",
        now="now()",
        by_bytes=lambda column: f"{column}{_BYTES if column in texts else ''}",
    )


def _repeated(stream: Stream, staged: str) -> str:
    """Ask whether a key comes twice: hashing the keys is far cheaper than sorting the rows, and mostly none does."""
    key = ", ".join(map(quoted, stream.primary_key))
    return f"SELECT EXISTS (SELECT FROM {quoted(staged)} GROUP BY {key} HAVING count(*) > 1)"


def _count(stream: Stream, staged: str, winners: tuple[str, str]) -> str:
    """Count the winners that meet a row of the table: unchanged, updated, superseded."""
    own, key = _own(stream), [quoted(n) for n in stream.primary_key]
    distinct, order = winners
    return f"""
        SELECT count(*) FILTER (WHERE newer AND same), count(*) FILTER (WHERE newer AND NOT same),
            count(*) FILTER (WHERE NOT newer)
        FROM (
            SELECT {distinct} {_NEWEST} < s.{ROW_VERSION} AS newer,
                ({_list("t", own)}) IS NOT DISTINCT FROM ({_list("s", own)}) AS same
            FROM {quoted(staged)} s JOIN {table(stream)} t ON ({_list("t", key)}) = ({_list("s", key)})
            {order}
        ) met"""


def _insert(stream: Stream, staged: str, winners: tuple[str, str], *, conflicts: bool) -> str:
    """Insert the winners; $1 is the package's id. Where none of them meets a row, PostgreSQL need not look."""
    own, key = _own(stream), [quoted(n) for n in stream.primary_key]
    content = [c for c in own if c not in key]
    another = differs("t", "EXCLUDED", content)
    changed = [f"{c} = EXCLUDED.{c}" for c in content]
    changed += [f"{c} = CASE WHEN {another} THEN EXCLUDED.{c} ELSE t.{c} END" for c in LINEAGE]
    seen = f"CASE WHEN {another} THEN NULL ELSE EXCLUDED.{ROW_VERSION} END"
    distinct, order = winners
    on_conflict = f"""ON CONFLICT ({", ".join(key)}) DO UPDATE SET {", ".join(changed)}, {LAST_SEEN_VERSION} = {seen}
        WHERE {_NEWEST} < EXCLUDED.{ROW_VERSION}"""
    return f"""
        INSERT INTO {table(stream)} AS t ({", ".join(own)}, {ROW_VERSION}, package_id, load_timestamp)
        SELECT {distinct} {_list("s", own)}, s.{ROW_VERSION}, $1, now()
        FROM {quoted(staged)} s {order}
        {on_conflict if conflicts else ""}"""


def _winners(stream: Stream) -> tuple[str, str]:
    """Return DISTINCT ON and ORDER BY that leave, in the key's order, one row of each key.

    Rows of one key and version can differ only if the source contradicts itself; then the order of their contents
    decides, as it does in Snowflake, so that both hold the same rows.
    """
    column = {f.name: f"s.{quoted(f.name)}{_BYTES if f.type == pa.string() else ''}" for f in stream.schema}
    key = ", ".join(column[n] for n in stream.primary_key)
    ties = "".join(f", {c} DESC NULLS LAST" for n, c in column.items() if n not in stream.primary_key)
    return f"DISTINCT ON ({key})", f"ORDER BY {key}, s.{ROW_VERSION} DESC{ties}"


def _own(stream: Stream) -> list[str]:
    return [quoted(n) for n in stream.schema.names]


def _list(alias: str, columns: list[str]) -> str:
    return ", ".join(f"{alias}.{c}" for c in columns)
