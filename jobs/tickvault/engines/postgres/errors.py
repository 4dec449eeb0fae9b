"""What PostgreSQL's errors mean to the platform, whichever driver passes them on: the one map of SQLSTATEs.

Classes and codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from tickvault.core.errors import (
    ConfigError,
    LoadRejectedError,
    PlatformError,
    SinkUnavailableError,
    TableLockedError,
    TerminalError,
)

_AGAIN = ("40001", "40P01")  # serialization failure, deadlock
_LOST = ("08", "57P", "25P03")  # connection exception, shutdown, ended for idling in a transaction
_LOCKED = ("55P03",)  # lock not had in time
_BUSY = ("53", "57014", "58")  # out of resources, cancelled, the server's disk
_READ_ONLY = "25006"
_FORBIDDEN = ("28", "3D000", "42501")  # wrong password, no such database, a missing privilege
_REFUSALS = ("authentication failed", "does not exist", "no password supplied", "no pg_hba.conf entry")
"""What the text holds while connecting, when neither driver gives a SQLSTATE."""


class RetryableError(SinkUnavailableError):
    """The transaction is undone or its end unknown, and the very same may well succeed now."""


def refused(error: Exception, where: str) -> PlatformError:
    """Return the error of a connection that could not be had."""
    text = one_line(error)
    if (_code(error)).startswith(_FORBIDDEN) or any(word in text for word in _REFUSALS):
        return ConfigError(f"{where} refuses us: {text}; check POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB")
    return SinkUnavailableError(f"{where} does not answer: {text}")


def mapped(
    error: Exception,
    where: str,
    *,
    lost: bool,
    refusal: type[TerminalError] = LoadRejectedError,
    read_only: bool = False,
) -> PlatformError:
    """Return the platform's error for a driver's.

    Args:
        error: The driver's; its ``sqlstate`` decides.
        where: Which server, in words.
        lost: Whether an error without a SQLSTATE is the driver's way to say that the connection is lost.
        refusal: What everything else is: the server refuses what it was given.
        read_only: Whether the transaction is read-only because we want it so.
    """
    code, text = _code(error), one_line(error)
    if code.startswith(_AGAIN):
        return RetryableError(f"{where}: {text}")
    if code.startswith(_LOST) or (not code and lost):
        return RetryableError(f"the connection to {where} is lost, it does not answer: {text}")
    if code.startswith(_LOCKED):
        return TableLockedError(f"{where}: {text}: somebody else holds it for longer than LOCK_WAIT_SECONDS")
    if code.startswith(_BUSY) or (code == _READ_ONLY and not read_only):  # a standby, after a failover
        return SinkUnavailableError(f"{where} cannot do it now: {text}")
    if code.startswith(_FORBIDDEN):
        return ConfigError(f"{where} forbids it: {text}; check the grants of POSTGRES_USER")
    return refusal(f"{where} refuses: {text}")


def one_line(error: BaseException) -> str:
    """Return an error's text in one line."""
    return " ".join(str(error).split())


def _code(error: Exception) -> str:
    return getattr(error, "sqlstate", None) or ""
