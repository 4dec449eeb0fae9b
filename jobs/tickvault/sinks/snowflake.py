"""Loads packages into Snowflake, each exactly once.

Files go to the stage under names that are never used again and from there into a staging table of the attempt's own.
Then one transaction takes the table's row in ``LOAD_LOCK``, looks into the ledger, merges, and writes the ledger.
Snowflake commits by itself before any DDL, so there is none after BEGIN. A COMMIT is answered with success even when
its transaction is gone: only the ledger, read back afterwards, says what happened.
"""

import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from tickvault.core import faults
from tickvault.core.batch import LoadResult, Rows
from tickvault.core.claim import Claim
from tickvault.core.errors import ConfigError, LoadRejectedError, SinkUnavailableError
from tickvault.core.holding import Holding
from tickvault.core.settings import Settings
from tickvault.core.stream import Stream, WriteMode
from tickvault.engines.changes import REPLACED_AT, SUFFIX
from tickvault.engines.scratch import scratch
from tickvault.engines.snowflake import tables
from tickvault.engines.snowflake.preparation import TIME, Preparation
from tickvault.engines.snowflake.session import Connection, LockedError, MissingObjectError, Row
from tickvault.lake import Lake
from tickvault.sinks import Sink

_log = logging.getLogger(__name__)
_INSTANT = "%Y-%m-%d %H:%M:%S.%f"


class SnowflakeSink(Sink):
    """Snowflake, or its emulator where ``SNOWFLAKE_HOST`` is set."""

    name: ClassVar[str] = "snowflake"
    orphan_seconds: ClassVar[float] = 330.0
    """How long to wait for the table's lock: Snowflake ends a blocking transaction whose client died in 5 minutes."""

    def __init__(self, settings: Settings, lake: Lake) -> None:
        super().__init__(settings, lake)
        self.names = tables.Names.of(settings)
        self._session: Connection | None = None
        self._preparation = Preparation(self._run, self.names, self._held)

    @classmethod
    def target(cls, settings: Settings) -> str | None:
        """Name account and database: the emulator and an account never pass for each other."""
        place = f"{settings.snowflake_host or ''}/{settings.snowflake_account}/{settings.snowflake_database}"
        return place.upper()

    def load(self, stream: Stream, rows: Rows, claim: Claim) -> LoadResult:
        """Merge rows and note the claim in the ledger, in one transaction; see ``Sink.load``."""
        try:
            fitted = self._preparation.prepare(stream)
            if done := self._ledger(claim.id):
                return done[1]
            attempt = f"{datetime.now(UTC).strftime(TIME)}_{uuid.uuid4().hex[:12]}"
            staging = self.names.staging(attempt)
            if rows.count:
                self._stage(fitted.stream, rows, claim, attempt)
            result = self._load(fitted.stream, rows, claim, attempt)
        except BaseException:
            # The session may be lost or inside a transaction. Its end rolls back, also without an answer, and the
            # staging table is swept up by a later load.
            self.close()
            raise
        self._preparation.drop(staging)
        return replace(result, left_out=fitted.left_out)

    def count(self) -> int:
        """Return how many packages this database holds; Snowflake knows the number without reading the table."""
        try:
            return int(str(self._run(f"SELECT COUNT(*) FROM {self.names.loads}")[0][0]))
        except MissingObjectError:
            return 0

    def loaded(self) -> set[str]:
        """Return the ids of all packages this database holds."""
        try:
            return {str(row[0]) for row in self._run(f"SELECT PACKAGE_ID FROM {self.names.loads}")}
        except MissingObjectError:
            return set()

    def held(self, stream: Stream, identity: str = "") -> Holding:
        """Say what a stream's table is now; Snowflake knows how many rows without reading them."""
        _ = identity
        name = self.names.table(stream)
        before = self.names.changes(stream)
        found = self._run(
            f"SELECT TABLE_NAME, LOWER(COLUMN_NAME) FROM {self.names.database}.INFORMATION_SCHEMA.COLUMNS"
            " WHERE TABLE_SCHEMA = %s AND TABLE_NAME IN (%s, %s)",
            *(self.names.schema_of(stream), stream.warehouse_table, before.rsplit(".", 1)[1]),
        )
        columns = frozenset(str(column) for table, column in found if table == stream.warehouse_table)
        changes = before if len(found) > len(columns) else ""
        rows = int(str(self._run(f"SELECT COUNT(*) FROM {name}")[0][0])) if columns else 0
        has_changes = bool(changes and self._run(f"SELECT 1 FROM {changes} LIMIT 1"))
        return Holding(name, columns, "", rows, changes, has_changes)

    def forget(self, stream: Stream) -> None:
        """Take a stream's loads back; see ``Sink.forget``."""
        self._run("BEGIN")
        if stream.write_mode is WriteMode.APPEND and self.held(stream).columns:
            # Another stream may fill the same table: a package's id begins with its source and its stream.
            self._run(f"DELETE FROM {self.names.table(stream)} WHERE SPLIT_PART(PACKAGE_ID, '.', 2) = %s", stream.name)
        self._run(f"DELETE FROM {self.names.loads} WHERE STREAM = %s", stream.name)
        faults.at("after_forget")
        self._run("COMMIT")

    def count_changes(self, before: datetime) -> int:
        """Return how many rows came into change tables before a time."""
        due, moment = f"WHERE {REPLACED_AT} < CAST(%s AS {tables.INSTANT_TYPE})", before.strftime(_INSTANT)
        found = [self._run(f"SELECT COUNT(*) FROM {name} {due}", moment)[0][0] for name in self._change_tables()]
        return sum(int(str(count)) for count in found)

    def prune_changes(self, before: datetime, limit: int) -> int:
        """Remove those rows, table by table until there are ``limit``; see ``Sink.prune_changes``."""
        removed = 0
        for name in self._change_tables():
            if removed < limit:
                self._begin(name.removesuffix(SUFFIX.upper()), "pruning")
                due = f"WHERE {REPLACED_AT} < CAST(%s AS {tables.INSTANT_TYPE})"
                removed += int(str(self._run(f"DELETE FROM {name} {due}", before.strftime(_INSTANT))[0][0]))
                self._run("COMMIT")
        return removed

    def _change_tables(self) -> list[str]:
        rows = self._run(
            f"SELECT TABLE_SCHEMA, TABLE_NAME FROM {self.names.database}.INFORMATION_SCHEMA.TABLES"
            " WHERE TABLE_SCHEMA IN (%s, %s) ORDER BY 1, 2",
            *(self.names.batch, self.names.prices),
        )
        return [f"{self.names.database}.{s}.{n}" for s, n in rows if str(n).endswith(SUFFIX.upper())]

    def close(self) -> None:
        """End the session."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _run(self, statement: str, *values: object) -> list[Row]:
        if self._session is None:
            self._session = Connection(self.settings)
        return self._session.run(statement, *values)

    def _ledger(self, claim_id: str) -> tuple[str, LoadResult] | None:
        """Return who made a claim and with what result, or None."""
        counts = ", ".join(tables.COUNTS.values())
        found = self._run(f"SELECT ATTEMPT, {counts} FROM {self.names.loads} WHERE PACKAGE_ID = %s", claim_id)
        if not found:
            return None
        attempt, *numbers = found[0]
        read, inserted, updated, unchanged, superseded, duplicates, rejected = (int(str(n)) for n in numbers)
        result = LoadResult(read, inserted, updated, unchanged, superseded, duplicates, rejected, already=True)
        return str(attempt), result

    def _stage(self, stream: Stream, rows: Rows, claim: Claim, attempt: str) -> None:
        staging, location = self.names.staging(attempt), f"{self.names.stage}/{claim.id}/{attempt}"
        self._run(tables.create_staging(stream, staging))
        with scratch() as aside:
            for file in rows.files(aside):
                self._put(file, location)
        faults.at("after_put")
        self._run(tables.copy(staging, f"{location}/"))
        arrived = self._run(f"SELECT COUNT(*) FROM {staging}")[0][0]
        faults.at("after_copy")
        if arrived != rows.count:
            raise LoadRejectedError(
                f"{claim.id}: the manifest says {rows.count} rows, {arrived} arrived in {staging}; nothing was loaded"
            )

    def _put(self, path: Path, location: str) -> None:
        quoted = path.resolve().as_posix().replace("'", "\\'")
        answer = self._run(f"PUT 'file://{quoted}' @{location}/ AUTO_COMPRESS = FALSE OVERWRITE = FALSE")
        status = answer[0][6] if answer else "nothing"
        if status not in {"UPLOADED", "SKIPPED"}:  # skipped: a repeated request of our own, the name is nobody else's
            raise SinkUnavailableError(f"PUT of {path.name} to @{location} answered {status}, not UPLOADED; try again")

    def _load(self, stream: Stream, rows: Rows, claim: Claim, attempt: str) -> LoadResult:
        self._begin(self.names.table(stream), attempt)
        faults.at("after_lock")
        if not self._ledger(claim.id):
            self._note(claim, attempt, self._merge(stream, rows, claim, attempt))
            faults.at("between_merge_and_commit")
        self._commit()
        faults.at("after_commit")
        return self._settled(claim, attempt)

    def _begin(self, table: str, attempt: str) -> None:
        """Begin a transaction that holds the table's lock, waiting for whoever holds it."""
        deadline = time.monotonic() + self.orphan_seconds
        warned = False
        while True:
            self._run("BEGIN")
            try:
                now = datetime.now(UTC).isoformat()
                locked = self._run(
                    f"UPDATE {self.names.lock} SET HELD_BY = %s, HELD_SINCE = %s WHERE TARGET = %s",
                    attempt, now, table,
                )  # fmt: skip
            except LockedError:
                self._run("ROLLBACK")
                if time.monotonic() > deadline:
                    raise
            else:
                if locked[0][0] == 0:
                    raise ConfigError(f"{self.names.lock} has no row for {table}; it was there before: put it back")
                return
            if not warned:
                _log.warning(
                    "%s is locked by another loader; if that one was killed, its transaction ends by itself within"
                    " 5 minutes: waiting for up to %.0f s", table, self.orphan_seconds,
                )  # fmt: skip
                warned = True
            time.sleep(0.25)

    @contextmanager
    def _held(self, table: str) -> Iterator[None]:
        """Hold a table's lock in a session of its own while this one changes the table: DDL would end a transaction."""
        with SnowflakeSink(self.settings, self.lake) as other:
            other._begin(table, "widening")
            yield

    def _merge(self, stream: Stream, rows: Rows, claim: Claim, attempt: str) -> LoadResult:
        table, staging = self.names.table(stream), self.names.staging(attempt)
        now = datetime.now(UTC).strftime(_INSTANT)
        if not rows.count:
            return LoadResult()
        if stream.write_mode is WriteMode.APPEND:
            self._run(tables.append(stream, staging, table), claim.id, now, claim.id)
            return LoadResult(read=rows.count, inserted=rows.count)
        counts = self._run(tables.classify(stream, staging, table))[0]
        inserted, updated, unchanged, superseded, winners = (int(str(n)) for n in counts)
        duplicates = rows.count - winners
        late = superseded or duplicates
        kept = tables.kept(self.names, stream, staging, self._preparation.columns(stream) if updated or late else ())
        if updated:
            self._run(kept.close(tables.winners(stream, staging)), now)
            faults.at("between_changes_and_merge")
        self._run(tables.merge(stream, staging, table), claim.id, now)
        if late:
            faults.at("between_merge_and_late")
            for statement in kept.late():
                self._run(statement, claim.id, now)
        return LoadResult(rows.count, inserted, updated, unchanged, superseded, duplicates=duplicates)

    def _note(self, claim: Claim, attempt: str, result: LoadResult) -> None:
        package = claim.package
        numbers = [getattr(result, name) for name in tables.COUNTS]
        row = [claim.id, package.source, package.stream, package.slot.id, claim.run_id, attempt, *numbers]
        self._run(
            f"INSERT INTO {self.names.loads} SELECT {', '.join(['%s'] * len(row))}, CAST(%s AS {tables.INSTANT_TYPE})"
            f" WHERE NOT EXISTS (SELECT 1 FROM {self.names.loads} WHERE PACKAGE_ID = %s)",
            *row,
            datetime.now(UTC).strftime(_INSTANT),
            claim.id,
        )

    def _commit(self) -> None:
        try:
            self._run("COMMIT")
        except LockedError:
            raise
        except SinkUnavailableError as error:
            # Sent, but the answer is lost: it may have happened. A new session asks the ledger.
            _log.warning("the answer to COMMIT is lost, asking the ledger: %s", error)
            self.close()

    def _settled(self, claim: Claim, attempt: str) -> LoadResult:
        # After COMMIT this session has no transaction, so it sees what everybody sees.
        found = self._ledger(claim.id)
        if found is None:
            raise SinkUnavailableError(
                f"{claim.id}: COMMIT was sent, yet the ledger does not hold it: the transaction had ended before;"
                " nothing was loaded, try again"
            )
        by, result = found
        return replace(result, already=by != attempt)
