"""The job that builds a target: dbt builds and tests aside, and what passed is published."""

import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from tickvault.core.errors import GateFailedError, PlatformError, SinkUnavailableError, TerminalError
from tickvault.ledger.builds import Build
from tickvault.query.relation import published
from tickvault.runs.session import Session
from tickvault.warehouse import detached
from tickvault.warehouse.dbt import Dbt, NodeResult, is_away
from tickvault.warehouse.journal import Journal, digest
from tickvault.warehouse.metrics import views
from tickvault.warehouse.publication import PREFIX, Mart, Shelf, Stamp, define, publish
from tickvault.warehouse.target import Target

_log = logging.getLogger(__name__)
_SLOWEST = 5
_PAUSE_SECONDS = 10.0
_NAMED = 10
STALE_HOURS = 48
"""The project's var ``freshness_hours``, for when dbt is not even started."""


@dataclass(frozen=True, slots=True)
class Building:
    """Builds, tests and publishes one target; not at all when a green build saw the same loads.

    Every flow asks for a build of its slot when its loads are in. The lock on the name lets one build at a time run;
    whoever waited and finds that one which started after its loads is green has nothing left to do.

    Args:
        target: What to build.
        select: dbt selectors; everything when empty.
        full_refresh: Make incremental models anew.
        force: Build although nothing was loaded since.
    """

    target: Target
    select: tuple[str, ...] = ()
    full_refresh: bool = False
    force: bool = False
    exclusive: bool = True

    @property
    def name(self) -> str:
        """The job's name."""
        return self.target.job

    def run(self, session: Session) -> None:
        """Build what is due.

        Raises:
            GateFailedError: Tests failed; nothing was published and the failing rows are in the quarantine schema.
            TerminalError: A model does not run.
            SinkUnavailableError: The engine does not answer.
        """
        settings, report = session.settings, session.report
        journal = Journal(session.ledger, self.target)
        inputs = journal.inputs(settings.dbt_project_dir, settings.seeds_path)
        selection = " ".join(sorted(self.select))
        before = journal.covering(inputs, selection)
        if before and not (self.force or self.full_refresh):
            report.details["covered_by"] = before[0]
            report.notes.append(
                f"nothing was loaded since the green build of {before[1]} UTC, so dbt was not started (--force)"
            )
            if (hours := journal.hours_without_load()) > STALE_HOURS:
                report.notes.append(f"warning: the newest load into {self.target.sink} is {hours:,.0f} hours old")
            return
        if _settle(journal, settings.dbt_settle_seconds):
            inputs = journal.inputs(settings.dbt_project_dir, settings.seeds_path)
        if journal.interrupted() and (ended := detached.end(settings, self.target)):
            report.notes.append(f"ended {len(ended)} statement(s) that a killed build had left running")
        build = Build(uuid.uuid4().hex, session.run, inputs)
        journal.start(build, selection)
        green = False
        try:
            results = Dbt(settings, self.target).build(
                self.select, digest(settings.dbt_project_dir, settings.seeds_path), full_refresh=self.full_refresh
            )
            self._account(session, results)
            with _noted(journal, build, results):
                _judge(results)
                with _shelf(session, self.target) as shelf:
                    results[:] = _counted(shelf, results)
                    report.notes += _whose(shelf, results)
                    report.notes += self._compact(session, results)
                    if journal.may_publish(selection):
                        self._publish(session, build, results, shelf)
                    else:
                        report.notes.append(
                            "a build failed since the last whole one: parts are published after the next"
                        )
            green = True
        finally:
            journal.finish(build, green=green)

    def _account(self, session: Session, results: list[NodeResult]) -> None:
        report = session.report
        report.details["nodes"] = len(results)
        report.details["slowest"] = {
            r.name: r.seconds for r in sorted(results, key=lambda r: r.seconds, reverse=True)[:_SLOWEST]
        }
        report.notes += [f"warning: {_sentence(r)}" for r in results if r.status == "warn"]

    def _compact(self, session: Session, results: list[NodeResult]) -> Iterator[str]:
        """Compact what the vault's Iceberg tables gather."""
        if self.target.engine != "trino" or self.select:
            return
        from tickvault.engines.trino import TrinoSession
        from tickvault.warehouse.compaction import compact
        from tickvault.warehouse.trino_publication import TrinoShelf

        vault = [r.relation for r in results if r.stored and r.status == "success" and not r.schema.startswith(PREFIX)]
        try:
            with TrinoSession(session.settings, TrinoShelf.session_properties(session.settings)) as trino:
                yield from compact(trino, vault)
        except PlatformError as error:  # the next build does it; this one is good without
            yield f"warning: tables were not compacted: {error}"

    def _publish(self, session: Session, build: Build, results: list[NodeResult], shelf: Shelf) -> None:
        built = {r.name: r for r in results if r.stored and r.status == "success" and r.schema.startswith(PREFIX)}
        marts = [Mart(r.name, r.schema) for r in built.values()]
        changed = publish(shelf, marts, stamp := Stamp(session.slot, session.run.run_id, build.id))
        if not self.select:
            define(shelf, views(partial(published, session.settings, self.target.engine)), stamp)
        rows = {m.name: built[m.name].rows for m in changed}
        session.report.add(rows_loaded=sum(n or 0 for n in rows.values()))
        session.report.details["published"] = rows
        session.report.notes.append(
            f"published {len(changed)} of {len(marts)} marts and semantic models"
            + (f": {', '.join(f'{name} ({n:,})' for name, n in rows.items())}" if rows else ": none has changed")
        )


def _settle(journal: Journal, seconds: float) -> bool:
    """Wait while others still read or load, and tell whether there was a wait.

    Flows start at the same time and end one after the other: one build behind the last load serves them all, where one
    begun at the first would be followed by a second. Between a read and its load there is a pause, while a pod starts.
    """
    if not (seen := journal.arriving()):
        return False
    _log.info("waiting up to %g s for %s, so that this build sees what they bring", seconds, ", ".join(seen))
    deadline = quiet_since = time.monotonic()
    deadline += seconds
    while (now := time.monotonic()) < deadline and now - quiet_since < _PAUSE_SECONDS:
        time.sleep(0.5)
        if journal.arriving():
            quiet_since = time.monotonic()
    return True


@contextmanager
def _noted(journal: Journal, build: Build, results: list[NodeResult]) -> Iterator[None]:
    """Note what the nodes did, however the rest goes."""
    try:
        yield
    finally:
        journal.note(build, results)


def _counted(shelf: Shelf, results: list[NodeResult]) -> list[NodeResult]:
    """Add the rows that the built tables hold."""
    counts = shelf.count([r.relation for r in results if r.stored])
    return [replace(r, rows=counts[r.relation]) if r.stored else r for r in results]


def _whose(shelf: Shelf, results: list[NodeResult]) -> Iterator[str]:
    """Say of warnings whose rows they are about: those are left out, and the others are published."""
    for result in results:
        if result.status == "warn" and result.names:
            found = shelf.values(result.relation, result.names)
            more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            yield f"{result.name}: {', '.join(found[:_NAMED])}{more}"


@contextmanager
def _shelf(session: Session, target: Target) -> Iterator[Shelf]:
    """Give the shelf of a target's engine; each is imported only where it is used."""
    if target.engine == "trino":
        from tickvault.engines.trino import TrinoSession
        from tickvault.warehouse.trino_publication import TrinoShelf

        with TrinoSession(session.settings, TrinoShelf.session_properties(session.settings)) as trino:
            yield TrinoShelf(trino, session.settings, session.ledger, target)
        return
    if target.engine == "postgres":
        from tickvault.engines.postgres.connection import Connection as Postgres
        from tickvault.warehouse.postgres_publication import PostgresShelf

        with Postgres.open(session.settings) as postgres:
            yield PostgresShelf(postgres, session.settings, session.ledger, target)
        return
    from contextlib import closing

    from tickvault.engines.snowflake.session import Connection
    from tickvault.warehouse.snowflake_publication import SnowflakeShelf

    with closing(Connection(session.settings)) as connection:
        yield SnowflakeShelf(connection, session.settings)


def _judge(results: list[NodeResult]) -> None:
    """Raise what is wrong: a model that does not run before tests that fail, since those may be for want of it."""
    broken = [r for r in results if r.status == "error"]
    failed = [r for r in results if r.status == "fail"]
    skipped = [r for r in results if r.status == "skipped"]
    for result in (*broken, *failed):
        _log.error("%s", _sentence(result), extra={"node": result.name, "status": result.status})
    if broken:
        error: type[PlatformError] = SinkUnavailableError if is_away(broken[0].message or "") else TerminalError
        raise error("nothing was published; " + "; ".join(_sentence(r) for r in broken[:3]))
    if failed:
        raise GateFailedError([_sentence(r) for r in failed])
    if skipped:
        names = ", ".join(r.name for r in skipped[:3])
        raise TerminalError(f"nothing was published; dbt skipped {len(skipped)} node(s) and no error says why: {names}")


def _sentence(result: NodeResult) -> str:
    if result.kind != "test" or result.status == "error":
        return f"{result.kind} {result.name}: {result.message}"
    return f"{result.name}: {result.rows or 0} row(s), kept in {result.relation.replace(chr(34), '')}"
