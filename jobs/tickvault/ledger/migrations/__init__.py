"""The ledger's schema: steps that apply themselves, forward only, safe when two jobs start at once."""

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg2.extensions import connection

STEPS = ("ledger", "alerts", "warehouse", "targets")
"""Names of the steps in order; each is ``<name>.sql`` beside this file and is never changed once released."""

_LOCK = 7_461_923_001


def migrate(connection: "connection") -> list[str]:
    """Apply the steps that are missing, all in one transaction under an advisory lock.

    Returns:
        The names of the steps applied now.
    """
    applied: list[str] = []
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('data_platform.migrations') IS NOT NULL")
        if cursor.fetchone() == (True,):
            cursor.execute("SELECT name FROM data_platform.migrations")
            if {row[0] for row in cursor.fetchall()} >= set(STEPS):
                return applied
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        cursor.execute("CREATE SCHEMA IF NOT EXISTS data_platform")
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS data_platform.migrations"
            " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        cursor.execute("SELECT name FROM data_platform.migrations")
        done = {row[0] for row in cursor.fetchall()}
        for step in STEPS:
            if step not in done:
                cursor.execute(files(__package__).joinpath(f"{step}.sql").read_text(encoding="utf-8"))
                cursor.execute("INSERT INTO data_platform.migrations (name) VALUES (%s)", (step,))
                applied.append(step)
    return applied
