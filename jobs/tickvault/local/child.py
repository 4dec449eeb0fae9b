"""The parent's side of a child process that ends with its parent, even when the parent is killed.

The child's standard input is a pipe whose other end we hold: the system closes it when we are gone, however that came,
and the child hears of it (``local.parent``). Prefect's server and the simulator also inherit the socket they listen on,
so that their address is known, and a call to it waits, before they are up.
"""

import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import IO

_STOP_SECONDS = 30.0


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


def stop(child: subprocess.Popen[bytes]) -> None:
    """Ask a child to stop, wait for it, and kill it after 30 s."""
    child.terminate()
    try:
        child.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
