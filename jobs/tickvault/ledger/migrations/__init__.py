"""The ledger's schema: steps that apply themselves, forward only, safe when two jobs start at once."""

from importlib.resources import files

from tickvault.engines.postgres.connection import Connection

STEPS = (
    *("ledger", "alerts", "warehouse", "targets", "history", "schemas", "retention"),
    *("guards", "holdings", "supersessions", "changes_held"),
)
"""Names of the steps in order; each is ``<name>.sql`` beside this file and is never changed once released."""

_LOCK = 7_461_923_001


def migrate(connection: Connection) -> list[str]:
    """Apply the steps that are missing, all in one transaction under an advisory lock.

    Returns:
        The names of the steps applied now.
    """
    applied: list[str] = []
    with connection.transaction():
        exists = connection.one("SELECT to_regclass('data_platform.migrations') IS NOT NULL")[0]
        if exists and _done(connection) >= set(STEPS):
            return applied
        connection.run("SELECT pg_advisory_xact_lock(%s)", _LOCK)
        connection.run("CREATE SCHEMA IF NOT EXISTS data_platform")
        connection.run(
            "CREATE TABLE IF NOT EXISTS data_platform.migrations"
            " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        done = _done(connection)
        for step in STEPS:
            if step not in done:
                connection.run(files(__package__).joinpath(f"{step}.sql").read_text(encoding="utf-8"))
                connection.run("INSERT INTO data_platform.migrations (name) VALUES (%s)", step)
                applied.append(step)
    return applied


def _done(connection: Connection) -> set[str]:
    return {row[0] for row in connection.rows("SELECT name FROM data_platform.migrations")}
