"""What stands for several ends: what to report of them, and whether to try again."""

from tickvault.core.errors import (
    ConfigError,
    ExitCode,
    RateLimitError,
    SinkUnavailableError,
    SourceRejectedError,
    to_raise,
    worst,
)


def test_the_worst_exit_code():
    assert worst([]) == 0
    assert worst([0, 10, 0]) == 10
    assert worst([10, 137]) == 75  # a kill says nothing of the data
    assert worst([75, 65, 10]) == 65
    assert worst([65, 78]) == 78
    assert worst(ExitCode) == ExitCode.CONFIGURATION  # each has its place


def test_a_run_ends_with_what_a_retry_may_mend():
    refused, wrong, away = SourceRejectedError("x"), ConfigError("x"), SinkUnavailableError("x")
    assert to_raise([refused, wrong, away, RateLimitError("x")]) is away
    assert to_raise([refused, wrong]) is refused
    assert to_raise([wrong, refused]) is wrong
