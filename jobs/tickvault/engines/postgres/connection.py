"""One psycopg connection to PostgreSQL, for statements; rows in bulk go through ``PostgresSession``."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from tickvault.core.errors import TerminalError
from tickvault.core.settings import Settings
from tickvault.engines.postgres.errors import mapped, refused

if TYPE_CHECKING:
    import psycopg

Row = tuple[Any, ...]
_KEEPALIVES = b"""SELECT set_config('tcp_keepalives_idle', '10', false),
    set_config('tcp_keepalives_interval', '5', false), set_config('tcp_keepalives_count', '3', false)"""
"""A host that vanished is found gone within half a minute, and what it had locked is free."""


def where(settings: Settings) -> str:
    """Say in words which PostgreSQL the settings name."""
    return f"PostgreSQL at {settings.postgres_host}:{settings.postgres_port}/{settings.postgres_db}"


def quoted(name: str) -> str:
    """Return an identifier in quotes."""
    return '"' + name.replace('"', '""') + '"'


class Connection:
    """A connection whose statements commit by themselves, except inside ``transaction``.

    Raises:
        SinkUnavailableError: PostgreSQL does not answer.
        ConfigError: PostgreSQL refuses user, password, database, or a privilege is missing.
        TerminalError: PostgreSQL refuses a statement.
    """

    def __init__(self, driver: "psycopg.Connection[Row]", where: str) -> None:
        self._driver, self._where = driver, where

    @classmethod
    def open(cls, settings: Settings, *, reader: bool = False) -> Self:
        """Connect to the database the settings name, as who only reads where ``reader`` says so."""
        return cls.to(settings.postgres_dsn(reader=reader), where(settings))

    @classmethod
    def to(cls, dsn: str, where: str) -> Self:
        """Connect to a libpq URI or keyword string; ``where`` says in words what it is."""
        import psycopg

        try:
            driver = psycopg.connect(dsn, autocommit=True)
            driver.execute(_KEEPALIVES)
        except psycopg.Error as error:
            raise refused(error, where) from error
        return cls(driver, where)

    @property
    def closed(self) -> bool:
        """Whether it was closed or is lost."""
        return self._driver.closed

    def close(self) -> None:
        """Give the connection, and with it every lock, back."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what is run meanwhile one transaction."""
        with self._mapped(), self._driver.transaction():
            yield

    def rows(self, sql: str, *values: Any) -> list[Row]:
        """Run a statement that returns rows; ``%s`` stand for the values."""
        with self._mapped():
            return self._driver.execute(sql.encode(), values or None).fetchall()

    def first(self, sql: str, *values: Any) -> Row | None:
        """Run a statement and return its first row, None where there is none."""
        with self._mapped():
            return self._driver.execute(sql.encode(), values or None).fetchone()

    def one(self, sql: str, *values: Any) -> Row:
        """Run a statement that always has a row, and return it."""
        row = self.first(sql, *values)
        assert row is not None, sql  # noqa: S101 - by the statement's form
        return row

    def run(self, sql: str, *values: Any) -> int:
        """Run a statement and return the number of rows it touched."""
        with self._mapped():
            return self._driver.execute(sql.encode(), values or None).rowcount

    def run_many(self, sql: str, rows: list[Row]) -> None:
        """Run a statement for each row of values."""
        with self._mapped(), self._driver.cursor() as cursor:
            cursor.executemany(sql.encode(), rows)

    def scrambled(self, password: str, user: str) -> str:
        """Return what the server may know of a password: it is not told it, nor is its log."""
        with self._mapped():
            return self._driver.pgconn.encrypt_password(password.encode(), user.encode(), b"scram-sha-256").decode()

    def read(self, sql: str, limit: int) -> tuple[list[str], list[Row]]:
        """Run one statement that only reads; return its columns and at most ``limit`` rows.

        The transaction is read-only, and what is prepared is one statement: nothing can end the transaction in it.
        """
        with self._mapped(read_only=True), self._driver.transaction():
            self._driver.execute(b"SET TRANSACTION READ ONLY")
            cursor = self._driver.execute(sql.encode(), prepare=True)
            if cursor.description is None:
                return [], []
            return [column.name for column in cursor.description], cursor.fetchmany(limit)

    @contextmanager
    def _mapped(self, *, read_only: bool = False) -> Iterator[None]:
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
            raise mapped(error, self._where, lost=lost, refusal=TerminalError, read_only=read_only) from error
