"""The child's side of a process that ends with its parent; the other side is ``local.child``."""

import os
import signal
import threading

_STDIN = 0


def follow() -> None:
    """Send this process SIGTERM when its parent ends, which closes the other end of our standard input.

    Whoever calls it has a way to stop at SIGTERM, now or soon: before, the signal ends it at once.
    """
    threading.Thread(target=_wait, name="parent", daemon=True).start()


def _wait() -> None:
    while os.read(_STDIN, 1024):  # not sys.stdin: a read of that would hold its lock at the interpreter's end
        pass
    os.kill(os.getpid(), signal.SIGTERM)
