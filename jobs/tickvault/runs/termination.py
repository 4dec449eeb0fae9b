"""What a run says of its end in the few bytes that Kubernetes keeps: JSON always, counts first, lists shortened."""

import json
from collections.abc import Mapping
from typing import Any

MOST_BYTES = 4000
"""Kubernetes keeps 4,096 bytes of a container's termination message."""


def message(head: Mapping[str, Any], rest: Mapping[str, Any]) -> str:
    """Return both as one JSON object of at most ``MOST_BYTES``.

    Args:
        head: What must be there whole: job, slot, exit code, counts.
        rest: What is shortened where it is too long, the longest first: a text ends with ``…``, a list's last entry
            says how many it had more.
    """
    said = {name: _fit(value) for name, value in rest.items()}
    while len(text := _json({**head, **said}).encode()) > MOST_BYTES and said:
        longest = max(said, key=lambda name: len(_json(said[name]).encode()))
        shorter = _shorter(said[longest])
        if shorter is None:
            del said[longest]
        else:
            said[longest] = shorter
    return text.decode()


def _fit(value: Any) -> Any:
    return json.loads(_json(value))


def _json(value: Any) -> str:
    return json.dumps(value, default=str)


def _shorter(value: Any) -> Any:
    """Return a value with half of it left out and said so, None where there is nothing left to leave out."""
    if isinstance(value, str):
        return f"{value[: len(value) // 2]}…" if len(value) > 1 else None
    if isinstance(value, list):
        more = 0
        if value and isinstance(value[-1], str) and value[-1].startswith("… and ") and value[-1].endswith(" more"):
            more = int(value[-1].split()[2])
            value = value[:-1]
        kept = value[: len(value) // 2]
        return [*kept, f"… and {more + len(value) - len(kept)} more"] if len(value) > 0 else None
    if isinstance(value, dict) and value:
        longest = max(value, key=lambda name: len(_json(value[name])))
        shorter = _shorter(value[longest])
        return {**value, longest: shorter} if shorter is not None else {k: v for k, v in value.items() if k != longest}
    return None
