"""Named points at which a test may end the process as ``kill -9`` would."""

import os

_armed: str | None = None

POINTS = (
    "after_extract",
    "mid_part",
    "before_manifest",
    "between_manifest_and_ledger",
    "before_widening",
    "after_widening",
    "before_changes_follow",
    "after_stage",
    "after_put",
    "after_copy",
    "after_lock",
    "between_changes_and_merge",
    "between_merge_and_late",
    "between_merge_and_commit",
    "after_commit",
    "after_freeze",
    "after_note",
    "after_show",
    "after_prune",
    "after_forget",
)


def arm(point: str | None) -> None:
    """Choose the point at which this process ends; None disarms."""
    global _armed  # noqa: PLW0603 - one process, one fault: the point is process-wide by nature
    if point is not None and point not in POINTS:
        from tickvault.core.errors import ConfigError

        raise ConfigError(f"FAULT_AT={point} is not a known point; known are {', '.join(POINTS)}")
    _armed = point


def at(point: str) -> None:
    """End the process with 137, without any clean-up, when this point is armed."""
    if point == _armed:
        os._exit(137)
