"""PostgreSQL (and TimescaleDB): a package's rows and the ledger row that says so, in one transaction."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pyarrow as pa
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from tickvault.core import faults
from tickvault.core.batch import LoadResult, Rows
from tickvault.core.claim import Claim
from tickvault.core.contract import Fit, holds
from tickvault.core.errors import LoadRejectedError, SchemaMismatchError
from tickvault.core.holding import Holding
from tickvault.core.package import fingerprint
from tickvault.core.settings import Settings
from tickvault.core.stream import Stream, WriteMode
from tickvault.engines.changes import REPLACED_AT
from tickvault.engines.postgres.errors import RetryableError
from tickvault.engines.postgres.merge import merge
from tickvault.engines.postgres.session import PostgresSession
from tickvault.engines.postgres.tables import change_tables, changes, prepare, stage, table
from tickvault.lake import Lake
from tickvault.ledger import Ledger
from tickvault.sinks import Sink

_ATTEMPTS = 4
_COUNTS = "rows_read, rows_inserted, rows_updated, rows_unchanged, rows_superseded, rows_duplicate, rows_rejected"
_COLUMNS_HELD = """
    SELECT attname::text FROM pg_attribute
    WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped"""
_IDENTITY = "SELECT oid::text || '/' || relfilenode::text FROM pg_class WHERE oid = to_regclass($1)"
_PACKAGE_ID = pa.field("package_id", pa.string(), nullable=False)


class PostgresSink(Sink):
    """Loads packages into the raw tables of ``POSTGRES_DB``.

    The ledger row comes first: it is guard and lock in one. Whoever comes second waits for it, and then finds that
    the package is loaded, or, if the first one failed, loads it himself. That also settles a COMMIT whose answer is
    lost: the package is simply tried again.
    """

    name = "postgres"

    def __init__(self, settings: Settings, lake: Lake) -> None:
        super().__init__(settings, lake)
        self._session: PostgresSession | None = None
        self._prepared: dict[Stream, Fit] = {}
        self._unanswered: set[str] = set()

    def load(self, stream: Stream, rows: Rows, claim: Claim) -> LoadResult:
        """Merge rows and note the claim, in one transaction.

        A lost connection and a deadlock are tried again, each time on a new connection.

        Raises:
            SinkUnavailableError: PostgreSQL does not answer, or a lock could not be had in ``LOCK_WAIT_SECONDS``.
            LoadRejectedError: PostgreSQL refuses the rows, or they are not those the manifest names.
            SchemaMismatchError: The rows' columns do not fit the table's.
            ConfigError: PostgreSQL refuses the user, or a privilege is missing.
        """
        attempts = Retrying(
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            retry=retry_if_exception_type(RetryableError),
            reraise=True,
        )
        return attempts(self._attempt, stream, rows, claim)

    def loaded(self) -> set[str]:
        """Return the ids of all packages that ``data_platform.loads`` holds for this sink."""
        try:
            session = self._connected()
            rows = session.rows("SELECT package_id FROM data_platform.loads WHERE sink = $1", self.name)
            session.commit()
        except BaseException:
            self.close()
            raise
        return {package_id for (package_id,) in rows}

    def count(self) -> int:
        """Return how many packages ``data_platform.loads`` holds for this sink."""
        session = self._connected()
        sql = "SELECT coalesce(sum(loads), 0)::bigint FROM data_platform.load_totals WHERE sink = $1"
        ((loads,),) = session.rows(sql, self.name)
        session.commit()
        return int(loads)

    def held(self, stream: Stream, identity: str = "") -> Holding:
        """Say what a stream's table is now: PostgreSQL gives it a new file when it is emptied or made anew."""
        session, name = self._connected(), table(stream)
        try:
            columns = frozenset(column for (column,) in session.rows(_COLUMNS_HELD, name))
            now = "".join(str(one) for (one,) in session.rows(_IDENTITY, name)) if columns else ""
            rows = None
            if not columns or not now or now != identity:
                rows = int(session.rows(f"SELECT count(*) FROM {name}")[0][0]) if columns else 0
            before = "".join(str(one) for (one,) in session.rows(_IDENTITY, changes(stream)))
            has_changes = bool(before and session.rows(f"SELECT 1 FROM {changes(stream)} LIMIT 1"))
            session.commit()
        except BaseException:
            self.close()
            raise
        return Holding(name, columns, now, rows, before, has_changes)

    def forget(self, stream: Stream) -> None:
        """Take a stream's loads back; see ``Sink.forget``."""
        session, name = self._connected(), table(stream)
        try:
            if stream.write_mode is WriteMode.APPEND and session.rows(
                "SELECT 1 WHERE to_regclass($1) IS NOT NULL", name
            ):
                session.run(f"DELETE FROM {name}")
            session.run("DELETE FROM data_platform.loads WHERE sink = $1 AND stream = $2", self.name, stream.name)
            faults.at("after_forget")
            session.commit()
        except BaseException:
            self.close()
            raise

    def count_changes(self, before: datetime) -> int:
        """Return how many rows came into change tables before a time."""
        session = self._connected()
        try:
            counts = [
                session.rows(f"SELECT count(*) FROM {name} WHERE {REPLACED_AT} < $1::timestamptz", before.isoformat())
                for name in change_tables(session)
            ]
            session.commit()
        except BaseException:
            self.close()
            raise
        return sum(int(count) for ((count,),) in counts)

    def prune_changes(self, before: datetime, limit: int) -> int:
        """Remove at most ``limit`` of those rows; see ``Sink.prune_changes``."""
        session, removed = self._connected(), 0
        try:
            for name in change_tables(session):
                due = f"SELECT ctid FROM {name} WHERE {REPLACED_AT} < $1::timestamptz LIMIT $2"
                sql = f"DELETE FROM {name} WHERE ctid = ANY (ARRAY({due})) AND {REPLACED_AT} < $1::timestamptz"
                if removed < limit:
                    removed += session.run(sql, before.isoformat(), limit - removed)
                session.commit()
        except BaseException:
            self.close()
            raise
        return removed

    def close(self) -> None:
        """Give the connection back; an open transaction is undone by it."""
        session, self._session = self._session, None
        if session:
            session.close()

    def _connected(self) -> PostgresSession:
        if self._session is None:
            self._session = PostgresSession(self.settings)
            if not self._session.rows("SELECT 1 WHERE to_regclass('data_platform.loads') IS NOT NULL"):
                Ledger.open(self.settings).close()
            self._session.commit()
        return self._session

    def _attempt(self, stream: Stream, rows: Rows, claim: Claim) -> LoadResult:
        try:
            session = self._connected()
            fitted = self._prepared.get(stream)
            if fitted is None:
                fitted = self._prepared[stream] = prepare(session, stream)
            result = self._taken(session, stream, claim)
            if result is None:
                result = replace(self._load(session, fitted, rows, claim), left_out=fitted.left_out)
                self._note(session, claim, result)
                faults.at("between_merge_and_commit")
                self._unanswered.add(claim.id)
            session.commit()
        except BaseException:
            # After an error the connection is of no use but for a rollback, and its end is one.
            self.close()
            raise
        self._unanswered.discard(claim.id)
        faults.at("after_commit")
        return result

    def _taken(self, session: PostgresSession, stream: Stream, claim: Claim) -> LoadResult | None:
        """Make the claim in the ledger; return what the ledger says when it was made before."""
        package, key = claim.package, (claim.id, self.name)
        claimed = session.run(
            """INSERT INTO data_platform.loads (package_id, sink, source, stream, slot, run_id)
            VALUES ($1, $2, $3, $4, $5::timestamptz, $6) ON CONFLICT DO NOTHING""",
            *(*key, package.source, stream.name, package.slot.time.isoformat(), claim.run_id),
        )
        if claimed:
            return None
        sql = f"SELECT run_id, {_COUNTS} FROM data_platform.loads WHERE package_id = $1 AND sink = $2"
        ((owner, *counts),) = session.rows(sql, *key)
        # If our own COMMIT was not answered and the row is ours, then it is this call that loaded the rows.
        ours = claim.id in self._unanswered and owner == claim.run_id
        return replace(LoadResult(*counts), already=not ours)

    def _note(self, session: PostgresSession, claim: Claim, result: LoadResult) -> None:
        session.run(
            f"UPDATE data_platform.loads SET ({_COUNTS}) = ($3, $4, $5, $6, $7, $8, $9)"
            " WHERE package_id = $1 AND sink = $2",
            *(claim.id, self.name, result.read, result.inserted, result.updated, result.unchanged),
            *(result.superseded, result.duplicates, result.rejected),
        )

    def _load(self, session: PostgresSession, fitted: Fit, rows: Rows, claim: Claim) -> LoadResult:
        stream, columns = fitted.stream, fitted.stream.landed_schema
        batches = _fitted(fitted, rows.batches())
        if stream.write_mode is WriteMode.APPEND:
            owned = (b.append_column(_PACKAGE_ID, pa.repeat(claim.id, b.num_rows)) for b in batches)
            read = session.copy(stream.name, columns.append(_PACKAGE_ID), owned, schema="public")
            faults.at("after_stage")
            _compare(claim, rows, read)
            return LoadResult(read=read, inserted=read)
        staged = f"stage_{fingerprint(columns)}"
        stage(session, stream, staged)
        read = session.copy(staged, columns, batches)
        faults.at("after_stage")
        _compare(claim, rows, read)
        # The version in the merge keeps rows right in any order. The lock keeps the counts right too, and two merges
        # into one table from waiting for each other's rows; who reads is not held up.
        session.run(f"LOCK TABLE ONLY {table(stream)} IN SHARE ROW EXCLUSIVE MODE")
        faults.at("after_lock")
        return merge(session, stream, staged, claim.id, read)


def _compare(claim: Claim, rows: Rows, read: int) -> None:
    if read != rows.count:
        raise LoadRejectedError(f"{claim.id}: its manifest names {rows.count} rows, its parts hold {read}")


def _fitted(fitted: Fit, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Give batches the columns that are loaded: of a package of an earlier day one may be missing or narrower.

    Raises:
        SchemaMismatchError: A column has another type, a required one is missing, or one is unknown.
    """
    stream, wanted = fitted.stream, fitted.stream.landed_schema
    for batch in batches:
        if batch.schema.equals(wanted):
            yield batch
            continue
        for name in batch.schema.names:
            if name not in fitted.known:
                raise SchemaMismatchError(stream.name, name, "no such column", "one in the package")
        columns = []
        for field in wanted:
            if field.name in batch.schema.names:
                column = batch.column(field.name)
            elif field.nullable:
                column = pa.nulls(batch.num_rows, field.type)
            else:
                raise SchemaMismatchError(stream.name, field.name, str(field.type), "no such column in the package")
            if column.type != field.type and holds(field.type, column.type):
                column = _cast(stream, field, column)
            elif column.type != field.type:
                raise SchemaMismatchError(stream.name, field.name, str(field.type), f"{column.type} in the package")
            columns.append(column)
        yield pa.RecordBatch.from_arrays(columns, schema=wanted)


def _cast(stream: Stream, field: "pa.Field[Any]", column: "pa.Array[Any]") -> "pa.Array[Any]":
    """Give a package of an earlier day the wider type that its stream has now."""
    try:
        return column.cast(field.type)
    except pa.ArrowInvalid as error:
        raise LoadRejectedError(f"{stream.name}.{field.name}: {error}") from error
