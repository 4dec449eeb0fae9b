"""PostgreSQL (and TimescaleDB): a package's rows and the ledger row that says so, in one transaction."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pyarrow as pa
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from tickvault.core import faults
from tickvault.core.batch import LoadResult
from tickvault.core.errors import LoadRejectedError, SchemaMismatchError
from tickvault.core.package import Package, fingerprint
from tickvault.core.settings import Settings
from tickvault.core.stream import Stream, WriteMode
from tickvault.engines.postgres.errors import RetryableError
from tickvault.engines.postgres.merge import merge
from tickvault.engines.postgres.session import PostgresSession
from tickvault.engines.postgres.tables import prepare, stage, table
from tickvault.lake import Lake
from tickvault.ledger import Ledger
from tickvault.sinks import Sink

_ATTEMPTS = 4
_COUNTS = "rows_read, rows_inserted, rows_updated, rows_unchanged, rows_superseded, rows_duplicate, rows_rejected"
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
        self._prepared: set[tuple[str, str]] = set()
        self._unanswered: set[str] = set()

    def write(self, stream: Stream, package: Package, run_id: str) -> LoadResult:
        """Merge a package and note it in ``data_platform.loads``, in one transaction.

        A lost connection and a deadlock are tried again, each time on a new connection.

        Raises:
            SinkUnavailableError: PostgreSQL does not answer, or a lock could not be had in ``LOCK_WAIT_SECONDS``.
            LoadRejectedError: PostgreSQL refuses the rows, or they are not those the manifest names.
            SchemaMismatchError: The package's columns do not fit the table's.
            ConfigError: PostgreSQL refuses the user, or a privilege is missing.
        """
        attempts = Retrying(
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            retry=retry_if_exception_type(RetryableError),
            reraise=True,
        )
        return attempts(self._attempt, stream, package, run_id)

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

    def _attempt(self, stream: Stream, package: Package, run_id: str) -> LoadResult:
        try:
            session = self._connected()
            table_of = (stream.name, fingerprint(stream.landed_schema))
            if table_of not in self._prepared:
                prepare(session, stream)
                self._prepared.add(table_of)
            result = self._loaded_before(session, stream, package, run_id)
            if result is None:
                result = self._load(session, stream, package)
                self._note(session, package, result)
                faults.at("between_merge_and_commit")
                self._unanswered.add(package.id)
            session.commit()
        except BaseException:
            # After an error the connection is of no use but for a rollback, and its end is one.
            self.close()
            raise
        self._unanswered.discard(package.id)
        faults.at("after_commit")
        return result

    def _loaded_before(
        self, session: PostgresSession, stream: Stream, package: Package, run_id: str
    ) -> LoadResult | None:
        """Claim the package in the ledger; return what the ledger says when it was loaded before."""
        key = (package.id, self.name)
        claimed = session.run(
            """INSERT INTO data_platform.loads (package_id, sink, source, stream, slot, run_id)
            VALUES ($1, $2, $3, $4, $5::timestamptz, $6) ON CONFLICT DO NOTHING""",
            *(*key, package.source, stream.name, package.slot.time.isoformat(), run_id),
        )
        if claimed:
            return None
        sql = f"SELECT run_id, {_COUNTS} FROM data_platform.loads WHERE package_id = $1 AND sink = $2"
        ((owner, *counts),) = session.rows(sql, *key)
        # If our own COMMIT was not answered and the row is ours, then it is this call that loaded the package.
        ours = package.id in self._unanswered and owner == run_id
        return replace(LoadResult(*counts), already=not ours)

    def _note(self, session: PostgresSession, package: Package, result: LoadResult) -> None:
        session.run(
            f"UPDATE data_platform.loads SET ({_COUNTS}) = ($3, $4, $5, $6, $7, $8, $9)"
            " WHERE package_id = $1 AND sink = $2",
            *(package.id, self.name, result.read, result.inserted, result.updated, result.unchanged),
            *(result.superseded, result.duplicates, result.rejected),
        )

    def _load(self, session: PostgresSession, stream: Stream, package: Package) -> LoadResult:
        batches = _fitted(stream, self.lake.scan(package))
        if stream.write_mode is WriteMode.APPEND:
            owned = (b.append_column(_PACKAGE_ID, pa.repeat(package.id, b.num_rows)) for b in batches)
            read = session.copy(stream.name, stream.landed_schema.append(_PACKAGE_ID), owned, schema="public")
            faults.at("after_stage")
            _compare(package, read)
            return LoadResult(read=read, inserted=read)
        staged = f"stage_{fingerprint(stream.landed_schema)}"
        stage(session, stream, staged)
        read = session.copy(staged, stream.landed_schema, batches)
        faults.at("after_stage")
        _compare(package, read)
        # The version in the merge keeps rows right in any order. The lock keeps the counts right too, and two merges
        # into one table from waiting for each other's rows; who reads is not held up.
        session.run(f"LOCK TABLE ONLY {table(stream)} IN SHARE ROW EXCLUSIVE MODE")
        faults.at("after_lock")
        return merge(session, stream, staged, package.id, read)


def _compare(package: Package, read: int) -> None:
    if read != package.rows:
        raise LoadRejectedError(f"{package.id}: its manifest names {package.rows} rows, its parts hold {read}")


def _fitted(stream: Stream, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Give batches the stream's columns: one that a package of an earlier day lacks is null.

    Raises:
        SchemaMismatchError: A column has another type, a required one is missing, or one is unknown.
    """
    wanted = stream.landed_schema
    for batch in batches:
        if batch.schema.equals(wanted):
            yield batch
            continue
        for name in batch.schema.names:
            if name not in wanted.names:
                raise SchemaMismatchError(stream.name, name, "no such column", "one in the package")
        columns = []
        for field in wanted:
            if field.name in batch.schema.names:
                column = batch.column(field.name)
            elif field.nullable:
                column = pa.nulls(batch.num_rows, field.type)
            else:
                raise SchemaMismatchError(stream.name, field.name, str(field.type), "no such column in the package")
            if column.type != field.type:
                raise SchemaMismatchError(stream.name, field.name, str(field.type), f"{column.type} in the package")
            columns.append(column)
        yield pa.RecordBatch.from_arrays(columns, schema=wanted)
