"""Publication on PostgreSQL: a generation is a copy, since dbt drops a table it replaces and all that stands on it."""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tickvault.core.errors import TableLockedError, TerminalError
from tickvault.core.settings import Settings
from tickvault.engines.postgres.connection import Connection, quoted
from tickvault.ledger import Ledger
from tickvault.warehouse.publication import Generation, LedgerNotes, Mart, Stamp, count_statement
from tickvault.warehouse.target import Target

_log = logging.getLogger(__name__)
_GENERATIONS = "generations"
_PATIENCE_SECONDS = 2
"""How long a view's replacement stands in the queue for its readers at a time: who comes after it waits behind it."""
_PAUSE_SECONDS = 1.0
_COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attcollation
    FROM pg_attribute a WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
_ABOVE = """
    WITH RECURSIVE above AS (
        SELECT to_regclass(%s)::oid AS view, 0 AS height
        UNION
        SELECT r.ev_class, above.height + 1
        FROM above
        JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = above.view
        JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid AND r.ev_class <> above.view
    )
    SELECT c.oid::regclass::text, pg_get_viewdef(c.oid), ARRAY(
        SELECT format('%%s ON %%s TO %%s', acl.privilege_type, c.oid::regclass,
            CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END)
        FROM aclexplode(c.relacl) acl WHERE acl.grantee <> c.relowner)
    FROM (SELECT view, max(height) AS height FROM above GROUP BY view) a
    JOIN pg_class c ON c.oid = a.view WHERE c.relkind = 'v' ORDER BY a.height"""
"""A view and the views that stand on it, from below: name, SQL and what others may do."""


@dataclass(frozen=True, slots=True)
class _View:
    name: str
    sql: str
    grants: list[str]


class PostgresShelf(LedgerNotes):
    """Copies in schema ``generations``, noted in the ledger's ``data_platform.publication``.

    Args:
        connection: A connection of the user that builds.
        settings: Name who only reads, and say how long a view's readers are waited for.
        ledger: Where publications are noted.
        target: The target.
    """

    def __init__(self, connection: Connection, settings: Settings, ledger: Ledger, target: Target) -> None:
        super().__init__(ledger, target)
        self._db = connection
        self._patience = settings.lock_wait_seconds
        reader = settings.postgres_reader_user
        self._reader = quoted(reader) if reader and reader != settings.postgres_user else None

    def count(self, relations: Sequence[str]) -> dict[str, int]:
        """Return the rows of tables."""
        return {str(name): int(n) for name, n in self._db.rows(count_statement(relations))} if relations else {}

    def values(self, relation: str, column: str) -> list[str]:
        """Return the values of a table's column, each once, in order."""
        return [str(value) for (value,) in self._db.rows(f"SELECT DISTINCT {column} FROM {relation} ORDER BY 1")]

    def prepare(self, schemas: Iterable[str]) -> None:
        """Make schemas; the reader may enter the public ones."""
        self._db.run(f"CREATE SCHEMA IF NOT EXISTS {_GENERATIONS}")
        for schema in schemas:
            self._db.run(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            self._grant(f"USAGE ON SCHEMA {schema}")

    def holds(self, mart: Mart, generation: Generation) -> bool:
        """Compare columns, number of rows and rows: every mart has a key, so none of them is there twice."""
        here, there = _aside(mart), _frozen(generation.name)
        columns = self._db.rows(_COLUMNS, here)
        if not columns or columns != self._db.rows(_COLUMNS, there):
            return False
        built, frozen = self._db.one(f"SELECT (SELECT COUNT(*) FROM {here}), (SELECT COUNT(*) FROM {there})")
        return built == frozen and not self._db.rows(f"SELECT * FROM {here} EXCEPT SELECT * FROM {there} LIMIT 1")

    def freeze(self, mart: Mart, stamp: Stamp) -> str:
        """Copy what was built; a copy that is cut off leaves nothing."""
        generation = f"{_prefix(mart)}{stamp.slot.id}_{stamp.build_id[:12]}".lower()
        with self._db.transaction():
            self._db.run(f"CREATE TABLE {_frozen(generation)} AS SELECT * FROM {_aside(mart)}")
        self._db.run(f"ANALYZE {_frozen(generation)}")
        return generation

    def show(self, mart: Mart, generation: str) -> None:
        """Replace the view."""
        self.define(mart, f"SELECT * FROM {_frozen(generation)}")

    def define(self, view: Mart, sql: str) -> None:
        """Replace a view, which reads with its owner's rights, and let the reader read it.

        Raises:
            TableLockedError: Somebody goes on reading the old one, for instance in a transaction that he left open.
        """
        name = f"{view.schema}.{view.name}"
        deadline = time.monotonic() + self._patience
        while True:
            try:
                with self._db.transaction():
                    # All in one transaction: one whose process was killed while it waited here shows nothing later.
                    self._db.run(f"SET LOCAL lock_timeout = '{_PATIENCE_SECONDS}s'")
                    self._replace(name, sql)
                    self._grant(f"SELECT ON {name}")
            except TableLockedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    def clear(self, mart: Mart, retained: list[str]) -> None:
        """Drop the mart's copies other than these, also one that was never noted; one that is being read goes later."""
        rows = self._db.rows(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s AND starts_with(tablename, %s)",
            *(_GENERATIONS, _prefix(mart)),
        )
        for (name,) in rows:
            if name not in retained:
                with suppress(TableLockedError), self._db.transaction():
                    self._db.run(f"SET LOCAL lock_timeout = '{_PATIENCE_SECONDS}s'")
                    self._db.run(f"DROP TABLE IF EXISTS {_frozen(str(name))}")

    def _replace(self, name: str, sql: str) -> None:
        """Replace a view; where it loses columns, which a replacement may not, anew with all that stands on it."""
        try:
            with self._db.transaction():
                self._db.run(f"CREATE OR REPLACE VIEW {name} AS {sql}")
        except TableLockedError:
            raise
        except TerminalError:
            with self._anew(name):
                self._db.run(f"CREATE VIEW {name} AS {sql}")

    @contextmanager
    def _anew(self, name: str) -> Iterator[None]:
        """Take a view away for a moment, with the views on it, and give those back that still make sense."""
        own, *above = [_View(*row) for row in self._db.rows(_ABOVE, name)]
        for view in (*reversed(above), own):
            self._db.run(f"DROP VIEW {view.name}")
        yield
        for view in above:
            try:
                with self._db.transaction():
                    self._db.run(f"CREATE VIEW {view.name} AS {view.sql}")
            except TerminalError as error:
                _log.warning("view %s is gone, since %s is another one now: %s", view.name, name, error)
                continue
            self._regrant(view)
        self._regrant(own)

    def _regrant(self, view: _View) -> None:
        for right in view.grants:
            self._db.run(f"GRANT {right}")

    def _grant(self, right: str) -> None:
        if self._reader:
            self._db.run(f"GRANT {right} TO {self._reader}")


def _prefix(mart: Mart) -> str:
    return f"{mart.name}__"


def _aside(mart: Mart) -> str:
    return f"{mart.aside}.{mart.name}"


def _frozen(generation: str) -> str:
    return f"{_GENERATIONS}.{generation}"
