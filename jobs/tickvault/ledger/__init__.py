"""The ledger: runs, packages, loads and rejects, in PostgreSQL's schema ``data_platform``."""

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from tickvault.core.batch import LoadResult
from tickvault.core.errors import ConfigError, SinkUnavailableError, TerminalError
from tickvault.core.package import Cursor, Package, Reject
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.core.stream import Stream
from tickvault.engines.postgres.refusal import FORBIDDEN, REFUSALS
from tickvault.ledger.migrations import migrate

if TYPE_CHECKING:
    from psycopg2.extensions import connection, cursor


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one job for one slot; ``status`` is what an earlier attempt left."""

    run_id: str
    job: str
    slot: Slot
    status: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Pending:
    """A package one sink has not loaded yet."""

    package_id: str
    source: str
    stream: str
    slot: Slot
    revision: int
    manifest_key: str


class LockHeldError(SinkUnavailableError):
    """Another process held a lock of the ledger's for as long as we may wait."""


class Ledger:
    """What ran and what it did. One connection; each method is one transaction.

    Raises:
        SinkUnavailableError: PostgreSQL does not answer.
        ConfigError: PostgreSQL refuses user, password or database.
    """

    def __init__(self, connection: "connection") -> None:
        self._connection = connection

    @classmethod
    def open(cls, settings: Settings) -> "Ledger":
        """Connect and bring the schema up to date."""
        import psycopg2

        with _mapped(f"PostgreSQL at {settings.postgres_host}:{settings.postgres_port}/{settings.postgres_db}"):
            connection = psycopg2.connect(settings.postgres_dsn())
            try:
                migrate(connection)
            except BaseException:
                connection.close()
                raise
        return cls(connection)

    def close(self) -> None:
        """Give the connection, and with it every lock, back."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Exclusion

    @contextmanager
    def lock(self, name: str, wait_seconds: float) -> Iterator[None]:
        """Hold the session lock of a job; it is free the moment its owner dies.

        Raises:
            LockHeldError: Another process held it all the time.
        """
        deadline = time.monotonic() + wait_seconds
        while not self._one("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", name)[0]:
            if time.monotonic() >= deadline:
                raise LockHeldError(
                    f"another process has held the lock '{name}' for {wait_seconds:.0f} s; try again later"
                )
            time.sleep(0.2)
        try:
            yield
        finally:
            if not self._connection.closed:
                self._one("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", name)

    # Runs

    def remembered_slot(self, job_name: str | None) -> Slot | None:
        """Return the slot this very Kubernetes Job ran before."""
        if not job_name:
            return None
        row = self._first("SELECT slot FROM data_platform.runs WHERE job_name = %s ORDER BY started_at DESC", job_name)
        return Slot.of(row[0]) if row else None

    def start(self, job: str, slot: Slot, job_name: str | None) -> Run:
        """Note that a run begins; the same job and slot is the same run, whoever tries it again."""
        sql = """
            INSERT INTO data_platform.runs AS r (run_id, job, slot, job_name, status) VALUES (%s, %s, %s, %s, 'running')
            ON CONFLICT (job, slot) DO UPDATE SET attempts = r.attempts + 1, started_at = now(), finished_at = NULL,
                job_name = COALESCE(EXCLUDED.job_name, r.job_name), status = 'running'
            RETURNING run_id, attempts"""
        with self._transaction() as cursor:
            cursor.execute(
                "SELECT status FROM data_platform.runs WHERE job = %s AND slot = %s FOR UPDATE", (job, slot.time)
            )
            before = cursor.fetchone()
            cursor.execute(sql, (uuid.uuid4().hex, job, slot.time, job_name))
            run_id, attempts = cursor.fetchone() or ("", 0)
        return Run(run_id, job, slot, before[0] if before else "new", attempts)

    def finish(self, run: Run, status: str, exit_code: int, counts: dict[str, int], outcome: dict[str, Any]) -> None:
        """Note how a run ended. ``counts`` may hold rows_read, rows_loaded, rows_unchanged, rows_rejected."""
        self._run(
            """UPDATE data_platform.runs SET status = %s, exit_code = %s, finished_at = now(), outcome = %s,
                rows_read = %s, rows_loaded = %s, rows_unchanged = %s, rows_rejected = %s WHERE run_id = %s""",
            status,
            exit_code,
            json.dumps(outcome, default=str),
            *(counts.get(k, 0) for k in ("rows_read", "rows_loaded", "rows_unchanged", "rows_rejected")),
            run.run_id,
        )

    # Packages

    def register(self, stream: Stream, package: Package, rejects: Iterable[Reject]) -> bool:
        """Note a sealed package and its rejects; False when it was noted before. Its cursor is the watermark."""
        values = [str(v) for v in (package.cursor or {}).values() if not isinstance(v, dict)]
        with self._transaction() as cursor:
            cursor.execute(
                """INSERT INTO data_platform.packages (package_id, source, stream, slot, revision, rows, rejected,
                    manifest_key, cursor, watermark_column, watermark_value, outcomes, run_id, landed_at)
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
                (
                    package.id,
                    package.source,
                    package.stream,
                    package.slot.time,
                    package.revision,
                    package.rows,
                    package.rejected,
                    package.manifest_key,
                    None if package.cursor is None else json.dumps(package.cursor),
                    stream.cursor_field,
                    max(values, default=package.slot.id),
                    json.dumps([asdict(o) for o in package.outcomes]),
                    package.run_id,
                    package.landed_at,
                ),
            )
            if cursor.rowcount == 0:
                return False
            for ordinal, reject in enumerate(rejects):
                cursor.execute(
                    """INSERT INTO data_platform.rejects
                        (package_id, ordinal, source, stream, slot, item, column_name, reason, record)
                    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
                    (
                        *(package.id, ordinal, package.source, package.stream, package.slot.time),
                        *(_clean(reject.item), reject.column, _clean(reject.reason)),
                        json.dumps(reject.record, default=str).replace("\\u0000", "\\\\u0000"),
                    ),
                )
            for replayed in package.replays:
                cursor.execute(
                    "UPDATE data_platform.rejects SET replayed_by = %s WHERE package_id = %s AND replayed_by IS NULL",
                    (package.id, replayed),
                )
        return True

    def resume_from(self, source: str, stream: Stream, slot: Slot, *, inclusive: bool = True) -> Cursor | None:
        """Return where to resume: the cursors of all packages up to this slot, the later entry winning.

        Args:
            source: The source.
            stream: One of its streams.
            slot: The slot that is about to be read.
            inclusive: Count this slot's own packages too; not when it is to be read again.
        """
        rows = self._all(
            f"""SELECT cursor FROM data_platform.packages
            WHERE source = %s AND stream = %s AND slot {"<=" if inclusive else "<"} %s AND cursor IS NOT NULL
            ORDER BY slot, revision""",
            source,
            stream.name,
            slot.time,
        )
        merged: Cursor = {}
        for (cursor,) in rows:
            merged.update(cursor)
        return merged or None

    def pending(self, sink: str, sources: Iterable[str] | None = None, target: str | None = None) -> list[Pending]:
        """Return what a sink has not loaded into this target, oldest slot first, as far as this ledger knows."""
        rows = self._all(
            """SELECT p.package_id, p.source, p.stream, p.slot, p.revision, p.manifest_key
            FROM data_platform.packages p
            WHERE NOT EXISTS (SELECT FROM data_platform.loads l WHERE l.package_id = p.package_id AND l.sink = %s
                AND COALESCE(l.target = %s, true))
              AND (%s::text[] IS NULL OR p.source = ANY (%s))
            ORDER BY p.slot, p.revision, p.source, p.stream""",
            *(sink, target),
            *([list(sources) if sources is not None else None] * 2),
        )
        return [Pending(i, s, t, Slot.of(z), r, m) for i, s, t, z, r, m in rows]

    def correct(self, sink: str, target: str, loaded: Callable[[], set[str]]) -> None:
        """Bring the copy of a target's ledger in line with it: what the target has not loaded is pending again."""
        known = {row[0] for row in self._all("SELECT package_id FROM data_platform.loads WHERE sink = %s", sink)}
        held = loaded()  # asked afterwards: what others load meanwhile is not taken for lost
        which = "WHERE sink = %s AND package_id = ANY (%s)"
        self._run(f"DELETE FROM data_platform.loads {which}", sink, list(known - held))
        self._run(
            f"UPDATE data_platform.loads SET target = %s {which} AND target IS DISTINCT FROM %s",
            *(target, sink, list(known & held), target),
        )

    def mirror_load(
        self, sink: str, package: Package, result: LoadResult, run_id: str, target: str | None = None
    ) -> None:
        """Note a load that another database's own ledger holds already; that ledger is the truth, this a copy."""
        self._run(
            """INSERT INTO data_platform.loads (package_id, sink, source, stream, slot, run_id, rows_read,
                rows_inserted, rows_updated, rows_unchanged, rows_superseded, rows_duplicate, rows_rejected, target)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
            *(package.id, sink, package.source, package.stream, package.slot.time, run_id),
            *(result.read, result.inserted, result.updated, result.unchanged),
            *(result.superseded, result.duplicates, result.rejected, target),
        )

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement that returns rows, in a transaction of its own."""
        return self._all(sql, *values)

    # Plumbing

    @contextmanager
    def _transaction(self) -> Iterator["cursor"]:
        with _mapped("the ledger's PostgreSQL"), self._connection, self._connection.cursor() as cursor:
            yield cursor

    def _all(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._transaction() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())

    def _first(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        return next(iter(self._all(sql + " LIMIT 1", *values)), None)

    def _one(self, sql: str, *values: Any) -> tuple[Any, ...]:
        return self._all(sql, *values)[0]

    def _run(self, sql: str, *values: Any) -> None:
        with self._transaction() as cursor:
            cursor.execute(sql, values)


@contextmanager
def _mapped(where: str) -> Iterator[None]:
    """Map psycopg2's errors to the platform's; one that arises while connecting has no SQLSTATE."""
    import psycopg2

    try:
        yield
    except psycopg2.Error as error:
        text = " ".join(str(error).split())
        if (error.pgcode or "").startswith(FORBIDDEN) or (not error.pgcode and any(w in text for w in REFUSALS)):
            raise ConfigError(f"{where} refuses us: {text}; check POSTGRES_USER, its password and grants") from error
        if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError):
            raise SinkUnavailableError(f"{where} does not answer: {text}") from error
        raise TerminalError(f"{where} refuses: {text}") from error


def _clean(text: str) -> str:
    """PostgreSQL's text has no NUL; what a reject shows instead says so."""
    return text.replace("\0", "\\0")
