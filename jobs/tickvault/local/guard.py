"""Runs a program that knows nothing of us as a child that ends with its parent: ``python -m … SIGNAL USER PROGRAM …``.

PostgreSQL would outlive whoever started it. Between the two stands this process, a small one: when the parent is gone,
or asks it to stop, it sends the program the signal by which it ends well, waits, and ends with the program's code.
"""

import os
import signal
import subprocess
import sys
import threading
from types import FrameType
from typing import Any

from tickvault.local import parent

_PATIENCE_SECONDS = 120.0
"""Then the program is told to end without its last work (SIGQUIT): a database repairs itself at its next start."""


def rights(user: str) -> dict[str, Any]:
    """Return how ``subprocess`` runs something as a user, as ourselves where it is ""."""
    return {"user": user, "group": user, "extra_groups": ()} if user else {}


def run(ending: signal.Signals, user: str, program: list[str]) -> int:
    """Run a program until it ends, and return its exit code.

    Args:
        ending: Signal by which it ends well.
        user: Whom it runs as; "" as ourselves.
        program: What is run.
    """
    running = subprocess.Popen(program, stdin=subprocess.DEVNULL, **rights(user))

    def end(_signal: int, _frame: FrameType | None) -> None:
        if running.poll() is None:
            running.send_signal(ending)
            late = threading.Timer(_PATIENCE_SECONDS, running.send_signal, [signal.SIGQUIT])
            late.daemon = True
            late.start()

    signal.signal(signal.SIGTERM, end)
    parent.follow()
    return int(running.wait())


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, who asks us
    code = run(signal.Signals[sys.argv[1]], sys.argv[2], sys.argv[3:])
    os._exit(code if code >= 0 else 128 - code)
