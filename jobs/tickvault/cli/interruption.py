"""SIGTERM and Ctrl-C of a command that runs much at once: one sentence, everything it started ended, 143 or 130."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import click


class Interrupted(BaseException):
    """Asked to stop; no ``Exception``, so that nobody on the way takes it for a failure of their own."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def interruptible(sentence: str) -> Iterator[None]:
    """Leave the contexts inside, which end what was started, when a signal asks to; then say so and exit.

    Meanwhile nobody is heard: other threads find what they work with gone, and libraries say so at length. They are not
    waited for either.

    Args:
        sentence: What is said at the end.
    """
    unheard = os.open(os.devnull, os.O_WRONLY)
    heard = os.dup(2)

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        sys.stdout.flush()
        os.dup2(unheard, 1)
        os.dup2(unheard, 2)
        raise Interrupted(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except Interrupted as interrupted:
        os.dup2(heard, 2)
        click.echo(f"\n{sentence}", err=True)
        os._exit(128 + interrupted.number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(unheard)
        os.close(heard)
