"""A server that sleeps until somebody calls: we hold the socket it listens on, and start it at the first call.

The call waits in the socket's backlog meanwhile. A server that ended is started again by the next call.
"""

import logging
import select
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress

from tickvault.local import child

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.1


class Dormant:
    """One such server.

    Args:
        name: What it is called in a sentence.
        listening: Its socket, which is ours from now on.
        start: Starts it on the socket and returns at once.
    """

    def __init__(
        self, name: str, listening: socket.socket, start: Callable[[socket.socket], "subprocess.Popen[bytes]"]
    ) -> None:
        self.name = name
        self.process: subprocess.Popen[bytes] | None = None
        self.failure = ""
        """Why it could not be started the last time; "" where it could."""
        self._listening, self._start = listening, start
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name=name, daemon=True)
        self._watcher.start()

    @property
    def awake(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listening.getsockname()[1])

    def stop(self) -> None:
        """End it, and wait for it no more; who calls is refused from now on."""
        self._ended.set()
        self._watcher.join()
        self._listening.close()
        if self.process is not None:
            child.stop(self.process)

    def _watch(self) -> None:
        served = True
        while not self._ended.is_set():
            if self.awake:
                served = served or not self._called(0)
                self.failure = "" if served else self.failure
                self._ended.wait(_TICK_SECONDS)
            elif not served:
                code = self.process.returncode if self.process else 0
                if code >= 0:  # one that was killed is started again, by the call that waits
                    self.failure = f"ended with code {code} before it took a call"
                    log.warning("the %s %s", self.name, self.failure)
                    self._refuse()
                served = True
            elif self._called(_TICK_SECONDS):
                self.process, served = self._start(self._listening), False

    def _called(self, seconds: float) -> bool:
        return bool(select.select([self._listening], [], [], seconds)[0])

    def _refuse(self) -> None:
        """Turn away who waited for a server that failed: an error at once is better than none for ever."""
        self._listening.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self._listening.accept()[0].close()
        self._listening.setblocking(True)
