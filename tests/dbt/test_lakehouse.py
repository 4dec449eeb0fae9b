"""Waiting for an engine: as long as it says something new, and not at all once it has ended."""

import time
from collections.abc import Callable

import lakehouse
import pytest


def _up_after(seconds: float) -> Callable[[], None]:
    began = time.monotonic()

    def attempt() -> None:
        if time.monotonic() - began < seconds:
            raise ConnectionError("not up yet")

    return attempt


def _ended() -> str:
    raise RuntimeError("Trino has ended")


def test_what_goes_on_is_waited_for() -> None:
    lakehouse._await(_up_after(2), lambda: f"starting {time.monotonic()}", quiet=0.5)


def test_what_is_silent_is_given_up() -> None:
    with pytest.raises(RuntimeError, match="without news: starting"):
        lakehouse._await(_up_after(2), lambda: "starting", quiet=0.5)


def test_what_goes_on_for_ever_is_given_up() -> None:
    with pytest.raises(RuntimeError, match="not up after 1 s"):
        lakehouse._await(_up_after(9), lambda: f"starting {time.monotonic()}", quiet=5, longest=1)


def test_what_has_ended_is_given_up_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(RuntimeError, match="has ended"):
        lakehouse._await(_up_after(9), _ended)
    assert time.monotonic() - began < 1
