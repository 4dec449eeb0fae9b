"""A word every so often from what takes long, for those who look at a file or a log instead of a terminal."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

SECONDS = 15.0


class Pulse:
    """Calls ``say`` whenever nothing was heard for some seconds, in a thread of its own, for as long as it is open.

    Args:
        say: Says what is under way.
        seconds: How long silence may last.
    """

    def __init__(self, say: Callable[[], None], seconds: float = SECONDS) -> None:
        self._say, self._seconds = say, seconds
        self._heard, self._over = threading.Event(), False
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)

    def heard(self) -> None:
        """Note that something was said: the silence begins anew."""
        self._heard.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over = True
        self._heard.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over:
            if not self._heard.wait(self._seconds):
                self._say()
            self._heard.clear()
