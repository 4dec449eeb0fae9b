"""The parent's side of a child process that ends with its parent, even when the parent is killed.

The child's standard input is a pipe whose other end we hold: the system closes it when we are gone, however that came,
and the child hears of it (``local.parent``). Prefect's server and the simulator also inherit the socket they listen on,
so that their address is known, and a call to it waits, before they are up.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from tickvault.core.errors import SinkUnavailableError

_START_SECONDS = 900.0
_STOP_SECONDS = 120.0


def start(
    arguments: Sequence[str],
    *,
    listening: socket.socket | None = None,
    environment: Mapping[str, str] | None = None,
    stdout: int | None = None,
    stderr: IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start this Python with these arguments, and return at once; what it runs has to call ``local.parent.follow``.

    Args:
        arguments: What ``python`` is called with.
        listening: A socket it inherits under the same number; close ours then, so that a dead child refuses calls.
        environment: Its variables; None: ours.
        stdout: ``subprocess.PIPE`` to read what it prints; None: where ours goes.
        stderr: A file for its messages; None: where ours go.
    """
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        pass_fds=[listening.fileno()] if listening else [],
        env=environment,
    )


def await_start(
    child: subprocess.Popen[bytes],
    started: Callable[[], bool],
    name: str,
    not_yet: tuple[type[Exception], ...],
    seconds: float = _START_SECONDS,
) -> None:
    """Wait until a child is up, for as long as it lives: a slow machine is no reason to give up, a dead child is.

    Args:
        child: The child.
        started: Whether it is up; may raise.
        name: What it is called in a sentence.
        not_yet: What ``started`` may raise before it is up.
        seconds: Longest time; then something else is wrong than that the machine is slow.

    Raises:
        SinkUnavailableError: It ended, or is not up by then.
    """
    deadline = time.monotonic() + seconds
    while True:
        why: object = ""
        try:
            if started():
                return
        except not_yet as error:
            why = error
        if (code := child.poll()) is not None:
            raise SinkUnavailableError(f"{name} ended with code {code}")
        if time.monotonic() > deadline:
            raise SinkUnavailableError(f"{name} does not answer, {seconds:g} s after its start: {why}")
        time.sleep(0.02)


def stop(child: subprocess.Popen[bytes], seconds: float | None = None) -> None:
    """Ask a child to stop, wait for it, and kill it after these seconds, 120 by default."""
    child.terminate()
    try:
        child.wait(_STOP_SECONDS if seconds is None else seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
