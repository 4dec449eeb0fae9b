"""What can go wrong, by what the caller should do about it.

A driver's own error is mapped once, at the edge, with ``raise … from``. A message says what failed, where, and what
to do; the exit code tells Kubernetes and the flows whether to try again.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum

from tickvault.core import redaction


class ExitCode(IntEnum):
    """How a job's process ends; the chart maps these to a ``podFailurePolicy``."""

    COMPLETE = 0
    PARTIAL = 10
    REJECTED = 65
    TRANSIENT = 75
    CONFIGURATION = 78


BUG = 1
"""How a process ends after an error nobody foresaw."""
BUG_MESSAGE = "a bug, not a failure of yours: please report it with this traceback"


_SEVERITY = (ExitCode.COMPLETE, ExitCode.PARTIAL, ExitCode.TRANSIENT, ExitCode.REJECTED, ExitCode.CONFIGURATION)
"""Mildest first: what passes by itself, then what somebody has to look at, then what somebody has to put right."""


def worst(codes: Iterable[int]) -> ExitCode:
    """Return the exit code that stands for several things that are over.

    A process that a signal or a bug ended counts as a failure that may pass: it says nothing of the data.
    """
    known = (ExitCode(code) if code in set(ExitCode) else ExitCode.TRANSIENT for code in codes)
    return max(known, key=_SEVERITY.index, default=ExitCode.COMPLETE)


class PlatformError(Exception):
    """Anything the platform itself reports, without any secret; ``exit_code`` is how the process ends."""

    exit_code: ExitCode = ExitCode.REJECTED

    def __init__(self, message: str = "") -> None:
        super().__init__(redaction.text(message))


class ConfigError(PlatformError):
    """Something is set wrongly or not at all: a person has to act, trying again cannot help."""

    exit_code = ExitCode.CONFIGURATION


class TransientError(PlatformError):
    """May pass by itself: try again later."""

    exit_code = ExitCode.TRANSIENT


class SourceUnavailableError(TransientError):
    """A source does not answer, answers 5xx, or answers something that is cut off."""


class RateLimitError(SourceUnavailableError):
    """A source asks us to wait.

    Args:
        message: What was asked of whom.
        retry_after: Seconds the source asks for, or None when it does not say.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SinkUnavailableError(TransientError):
    """A target does not answer, or a lock on it could not be had in time."""


class TableLockedError(SinkUnavailableError):
    """Somebody else holds one table of a target for longer than we may wait; its other tables can be loaded."""


class InterruptedRunError(TransientError):
    """The process was asked to stop (SIGTERM, SIGINT) before it was done."""


class TerminalError(PlatformError):
    """The data or the answer is wrong; the same attempt would fail the same way."""


class SourceRejectedError(TerminalError):
    """A source refuses the request, or answers something that is not what it documents."""


class SchemaMismatchError(TerminalError):
    """A column is missing, unknown, or of another type than declared."""

    def __init__(self, stream: str, column: str, expected: str, found: str) -> None:
        super().__init__(f"{stream}.{column}: expected {expected}, found {found}")
        self.stream, self.column, self.expected, self.found = stream, column, expected, redaction.text(found)


class LoadRejectedError(TerminalError):
    """A target refuses the rows of a package."""


class GateFailedError(TerminalError):
    """Checks that guard publication did not pass.

    Args:
        checks: One sentence per failed check.
    """

    def __init__(self, checks: list[str]) -> None:
        super().__init__(f"{len(checks)} check(s) failed: " + "; ".join(checks))
        self.checks = redaction.data(checks)


def to_raise(errors: Sequence[PlatformError]) -> PlatformError:
    """Return the error a run ends with whose parts failed in different ways: the first that may pass, else the first.

    Not the worst, for a run's exit code answers another question than ``worst``: not how bad it is, but whether to
    try again. As long as one part may still be mended by that, yes; what is done is sealed and will not be repeated.
    """
    return next((e for e in errors if isinstance(e, TransientError)), errors[0])
