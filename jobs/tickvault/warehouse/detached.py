"""Ends what a killed build left running at its engine: a statement does not end with the client that sent it.

An engine goes on with a statement whose client is gone, and commits it where it commits by itself (Snowflake, Trino):
rows would then arrive beside those of the next build, which did not see them. dbt writes into each of its statements
which project and target it is of; by that they are found, cancelled, and waited for. PostgreSQL undoes them at their
end, but until then they hold what the next build needs.
"""

import logging
import time
from collections.abc import Callable
from contextlib import closing

from tickvault.core.errors import PlatformError, SinkUnavailableError
from tickvault.core.settings import Settings
from tickvault.warehouse.target import Target

_log = logging.getLogger(__name__)
_PATIENCE_SECONDS = 120.0
_PAUSE_SECONDS = 0.5
Cancel = Callable[[], list[str]]
"""Asks the engine to cancel what still runs, and returns the names of those statements."""


def end(settings: Settings, target: Target, patience_seconds: float = _PATIENCE_SECONDS) -> list[str]:
    """End every statement of dbt's that still runs for a target; nobody else's build of it may be under way.

    Returns:
        What they are called at the engine.

    Raises:
        SinkUnavailableError: The engine does not answer, or one of them has not ended within the time.
        ConfigError: The engine does not let us.
    """
    found: list[str] = []
    with closing(_Engine(settings, target)) as engine:
        deadline = time.monotonic() + patience_seconds
        while running := engine.cancel():
            found += [name for name in running if name not in found]
            if time.monotonic() > deadline:
                what = f"{len(running)} statement(s) of a build that was killed still run: {', '.join(running[:3])}"
                raise SinkUnavailableError(f"{target.engine}: {what}; the next build begins when they have ended")
            time.sleep(_PAUSE_SECONDS)
    if found:
        _log.warning("%d statement(s) of a build that was killed were ended: %s", len(found), ", ".join(found[:3]))
    return found


class _Engine:
    """A session with the engine of a target."""

    def __init__(self, settings: Settings, target: Target) -> None:
        # As dbt's own comment has it: {"app": "dbt", …, "profile_name": …, "target_name": …, …}
        self._mark = f'%"profile_name": "tickvault", "target_name": "{target.name}"%'
        opened = {"postgres": self._postgres, "trino": self._trino, "snowflake": self._snowflake}
        self.cancel, self.close = opened[target.engine](settings)

    def _postgres(self, settings: Settings) -> tuple[Cancel, Callable[[], None]]:
        from tickvault.engines.postgres.connection import Connection

        connection = Connection.open(settings)
        sql = """SELECT pid::text, pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
                AND state <> 'idle' AND query LIKE %s"""
        return lambda: [pid for pid, _ in connection.rows(sql, self._mark)], connection.close

    def _snowflake(self, settings: Settings) -> tuple[Cancel, Callable[[], None]]:
        from tickvault.engines.snowflake.session import Connection

        if settings.snowflake_host:  # the emulator ends a statement with its client, and keeps no history
            return list, lambda: None
        connection = Connection(settings)
        history = f"{settings.snowflake_database}.INFORMATION_SCHEMA.QUERY_HISTORY_BY_USER(RESULT_LIMIT => 10000)"
        sql = f"""SELECT QUERY_ID FROM TABLE({history})
            WHERE EXECUTION_STATUS IN ('RUNNING', 'QUEUED', 'BLOCKED', 'RESUMING_WAREHOUSE')
                AND DATABASE_NAME = %s AND SESSION_ID <> CURRENT_SESSION() AND QUERY_TEXT LIKE %s"""

        def cancel() -> list[str]:
            rows = connection.run(sql, settings.snowflake_database.upper(), self._mark)
            for (query,) in rows:
                connection.run("SELECT SYSTEM$CANCEL_QUERY(%s)", query)
            return [str(query) for (query,) in rows]

        return cancel, connection.close

    def _trino(self, settings: Settings) -> tuple[Cancel, Callable[[], None]]:
        from tickvault.engines.trino import TrinoSession

        session = TrinoSession(settings)
        # Its own statement has the mark, too.
        sql = f"""SELECT query_id FROM system.runtime.queries
            WHERE state NOT IN ('FINISHED', 'FAILED') AND "user" = current_user
                AND query LIKE '{self._mark}' AND query NOT LIKE '%system.runtime.queries%'"""

        def cancel() -> list[str]:
            queries = [str(query) for (query,) in session.run(sql)]
            for query in queries:
                try:
                    session.run(
                        f"CALL system.runtime.kill_query(query_id => '{query}', message => 'its build was killed')"
                    )
                except PlatformError as error:
                    _log.info("%s ends by itself: %s", query, error)
            return queries

        return cancel, session.close
