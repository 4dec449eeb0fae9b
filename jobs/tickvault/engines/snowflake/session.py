"""One session with Snowflake, with the driver's errors turned into the platform's."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tickvault.core.errors import (
    ConfigError,
    LoadRejectedError,
    PlatformError,
    SinkUnavailableError,
    TableLockedError,
)
from tickvault.core.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa
    from snowflake.connector import SnowflakeConnection

Row = tuple[Any, ...]

_SET_UP = "Run «tickvault snowflake init»"
_LOCK_TIMEOUT = 10
_LOGIN_TIMEOUT = 60
# Numbers of https://docs.snowflake.com/en/developer-guide/python-connector/python-connector-api and of the server.
_LOCKED = {625}
_MISSING = {2003, 2043, 90105, 90106}
_FORBIDDEN = {3001, 606}
_INTERRUPTED = {604, 630}


class LockedError(TableLockedError):
    """Another transaction holds what this statement wants; begin again later."""


class MissingObjectError(ConfigError):
    """A database, schema, table or stage does not exist, or the role may not see it."""


class Connection:
    """A session in which every statement outside BEGIN … COMMIT commits by itself.

    Args:
        settings: Where Snowflake is, and who logs in.
        reader: Whether it is the reader's role, and that alone; the emulator knows no roles.

    Raises:
        ConfigError: Nothing or the wrong thing is set, or the user is refused.
        SinkUnavailableError: Snowflake does not answer.
    """

    def __init__(self, settings: Settings, *, reader: bool = False) -> None:
        self._where = f"Snowflake account {settings.snowflake_account}"
        if settings.snowflake_host:
            self._where += f" at {settings.snowflake_host}:{settings.snowflake_port}"
        reads = reader and not settings.snowflake_host
        self._driver = self._open(settings, settings.snowflake_reader_role if reads else None)
        if reads:
            self.run("USE SECONDARY ROLES NONE")  # else the user's other roles lend it what they may

    def run(self, statement: str, *values: object) -> list[Row]:
        """Execute one statement and return its rows; ``%s`` stand for the values.

        Raises:
            LockedError: Another transaction holds a lock; the current one is not usable any more.
            MissingObjectError: Something named in the statement does not exist.
            ConfigError: The role lacks a right or has no warehouse.
            SinkUnavailableError: The session is lost or the statement was cut off.
            LoadRejectedError: Anything else the server refuses.
        """
        from snowflake.connector import errors

        try:
            with self._driver.cursor() as cursor:
                cursor.execute(statement, values or None)
                return [tuple(row) for row in cursor.fetchall()]
        except (errors.Error, OSError) as error:
            raise self._mapped(error, statement) from error

    def ask(self, statement: str, limit: int) -> tuple[list[str], list[Row]]:
        """Run one reading statement and return its columns and at most ``limit`` rows; errors as of ``run``."""
        from snowflake.connector import errors

        try:
            with self._driver.cursor() as cursor:
                cursor.execute(statement)
                rows = [tuple(row) for row in cursor.fetchmany(limit)]
                return [column.name for column in cursor.description], rows
        except (errors.Error, OSError) as error:
            raise self._mapped(error, statement) from error

    def arrow(self, statement: str) -> "Iterator[pa.Table]":
        """Run one reading statement and yield its rows as they arrive, at least one table; errors as of ``run``."""
        from snowflake.connector import errors

        try:
            with self._driver.cursor() as cursor:
                cursor.execute(statement)
                arrived = False
                for table in cursor.fetch_arrow_batches():
                    arrived = True
                    yield table
                if not arrived:
                    yield cursor.fetch_arrow_all(force_return_table=True)
        except (errors.Error, OSError) as error:
            raise self._mapped(error, statement) from error

    def close(self) -> None:
        """End the session; an open transaction is rolled back by the server."""
        from snowflake.connector import errors

        try:
            self._driver.close()
        except (errors.Error, OSError) as error:
            logging.getLogger(__name__).debug("closing %s: %s", self._where, error)

    def _mapped(self, error: Exception, statement: str) -> PlatformError:
        from snowflake.connector import errors

        number = getattr(error, "errno", None)
        what = f"{self._where}: {' '.join(statement.split())[:120]} … failed: {error}"
        if number in _LOCKED:
            return LockedError(what)
        if number in _MISSING:
            return MissingObjectError(f"{what}. {_SET_UP}, or check SNOWFLAKE_DATABASE")
        if number in _FORBIDDEN:
            return ConfigError(f"{what}. {_SET_UP}, or check SNOWFLAKE_ROLE and SNOWFLAKE_WAREHOUSE")
        refused = isinstance(error, errors.ProgrammingError | errors.DataError | errors.IntegrityError)
        if refused and number not in _INTERRUPTED:
            return LoadRejectedError(what)
        return SinkUnavailableError(what)

    def _open(self, settings: Settings, role: str | None) -> "SnowflakeConnection":
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # RequestsDependencyWarning about the chardet that sqlfluff brings
            import snowflake.connector
        from snowflake.connector import errors

        if not settings.snowflake_account:
            raise ConfigError("SNOWFLAKE_ACCOUNT is not set; name the account, or «fakesnow» with SNOWFLAKE_HOST")
        logging.getLogger("snowflake.connector").setLevel(logging.ERROR)
        try:
            return snowflake.connector.connect(**_parameters(settings, role))
        except (errors.OperationalError, errors.InterfaceError, errors.HttpError, OSError) as error:
            raise SinkUnavailableError(f"{self._where} does not answer: {error}") from error
        except errors.Error as error:
            raise ConfigError(f"{self._where} refuses {settings.snowflake_user}: {error}") from error


def _parameters(settings: Settings, role: str | None = None) -> dict[str, Any]:
    emulator = {
        "host": settings.snowflake_host,
        "port": settings.snowflake_port,
        "protocol": settings.snowflake_protocol,
    }
    return {
        "account": settings.snowflake_account,
        "user": settings.snowflake_user,
        "role": role or settings.snowflake_role,
        "warehouse": settings.snowflake_warehouse,
        "database": settings.snowflake_database,
        "schema": settings.snowflake_schema,
        "network_timeout": settings.snowflake_network_timeout,
        "login_timeout": min(_LOGIN_TIMEOUT, settings.snowflake_network_timeout),
        "autocommit": True,
        "application": "tickvault",
        "platform_detection_timeout_seconds": 0.01,  # asks every cloud's metadata server, for statistics only
        # At connect, not by ALTER SESSION: the emulator lacks that. Times are stored as UTC without a zone.
        "session_parameters": {"QUERY_TAG": "tickvault", "LOCK_TIMEOUT": _LOCK_TIMEOUT, "TIMEZONE": "UTC"},
        **(emulator if settings.snowflake_host else {}),
        **_credentials(settings),
    }


def _credentials(settings: Settings) -> dict[str, Any]:
    secret = settings.snowflake_private_key
    pem = secret.get_secret_value().encode() if secret else None
    if settings.snowflake_private_key_path:
        try:
            pem = settings.snowflake_private_key_path.read_bytes()
        except OSError as error:
            raise ConfigError(f"SNOWFLAKE_PRIVATE_KEY_PATH cannot be read: {error}") from error
    if pem:
        return {"private_key": _der(pem, settings)}
    if settings.snowflake_password:
        return {"password": settings.snowflake_password.get_secret_value()}
    raise ConfigError("set SNOWFLAKE_PASSWORD, SNOWFLAKE_PRIVATE_KEY or SNOWFLAKE_PRIVATE_KEY_PATH")


def _der(pem: bytes, settings: Settings) -> bytes:
    from cryptography.hazmat.primitives import serialization

    phrase = settings.snowflake_private_key_passphrase
    try:
        key = serialization.load_pem_private_key(pem, phrase.get_secret_value().encode() if phrase else None)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"the Snowflake private key cannot be read; check its passphrase: {error}") from error
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
