"""Ends transactions whose client is gone, as Snowflake does, only sooner.

A client that is killed says no good-bye, and its open transaction would make everybody else's updates of the same rows
fail for ever. Its session is ended as a whole: were only the transaction rolled back, the client's COMMIT would still
be answered with success. A client whose connection is still open is only slow, and gets more time.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fakesnow.conn import FakeSnowflakeConnection

log = logging.getLogger(__name__)

_TICK = 0.5


@dataclass
class _Use:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    last: float = field(default_factory=time.monotonic)
    client: object = None


@dataclass(frozen=True)
class Limits:
    """What sessions and statements may take, in seconds.

    Args:
        idle_seconds: How long a session may leave a transaction untouched once its client is gone.
        connected_seconds: How long while its client is still connected: on a busy machine it may be slow.
        statement_seconds: How long one statement may run; then it is cancelled, as Snowflake's time-out does.
    """

    idle_seconds: float = 5.0
    connected_seconds: float = 20.0
    statement_seconds: float = 300.0


@dataclass
class Limit:
    """Of one statement."""

    over: bool = False
    """Whether it took too long and was interrupted."""


class Sessions:
    """Knows when each session was last used.

    Args:
        connections: The server's own map of token to connection.
        limits: How long a session may leave its transaction untouched.
        connected: Whether the connection from this address is.
    """

    def __init__(
        self,
        connections: "dict[str, FakeSnowflakeConnection]",
        limits: Limits,
        connected: Callable[[object], bool],
    ) -> None:
        self._connections, self._limits, self._connected = connections, limits, connected
        self._uses: dict[str, _Use] = {}
        self._last = time.monotonic()

    @asynccontextmanager
    async def using(
        self, token: str, seconds: float, client: object, gone: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[Limit]:
        """Hold a session for one request; a repeated request waits for the first, DuckDB serves one at a time.

        A statement that runs for longer than the seconds is interrupted, and so is one whose client is gone: a build
        that was killed would else go on beside the next one. The client is the address it asks from.
        """
        use, limit = self._uses.setdefault(token, _Use()), Limit()
        use.client = client

        def interrupt() -> None:
            if connection := self.connection(token):
                limit.over = True
                connection._duck_conn.interrupt()  # noqa: SLF001

        async with use.lock:
            timer = asyncio.get_running_loop().call_later(seconds, interrupt)
            watch = asyncio.create_task(_when(gone, interrupt))
            try:
                yield limit
            finally:
                timer.cancel()
                watch.cancel()
                use.last = self._last = time.monotonic()

    def idle_seconds(self) -> float:
        """Return for how long no session has asked for anything."""
        busy = any(use.lock.locked() for use in self._uses.values())
        return 0.0 if busy else time.monotonic() - self._last

    def connection(self, token: str) -> "FakeSnowflakeConnection | None":
        """Return the session of a token, or None."""
        return self._connections.get(token)

    async def watch(self) -> None:
        """End abandoned transactions until cancelled."""
        while True:
            await asyncio.sleep(_TICK)
            self.end_abandoned()

    def end_abandoned(self) -> None:
        """Roll back and delete every session that has been idle for too long inside a transaction."""
        now = time.monotonic()
        for token, connection in list(self._connections.items()):
            use = self._uses.setdefault(token, _Use())
            idle = now - use.last
            longest = self._limits.connected_seconds if self._connected(use.client) else self._limits.idle_seconds
            if idle > longest and not use.lock.locked() and _in_transaction(connection):
                log.warning("a session left its transaction idle for %.0f s: rolled back and ended", idle)
                close(connection)
                del self._connections[token]
        for token in self._uses.keys() - self._connections.keys():
            if not self._uses[token].lock.locked():
                del self._uses[token]

    def close(self) -> None:
        """Roll back and end every session."""
        for connection in self._connections.values():
            close(connection)
        self._connections.clear()


async def _when(gone: Callable[[], Awaitable[bool]], interrupt: Callable[[], None]) -> None:
    while not await gone():
        await asyncio.sleep(_TICK)
    interrupt()


def _in_transaction(connection: "FakeSnowflakeConnection") -> bool:
    # DuckDB has no way to ask, but it refuses a second BEGIN.
    import duckdb

    try:
        connection._duck_conn.begin()  # noqa: SLF001
    except duckdb.TransactionException:
        return True
    connection._duck_conn.rollback()  # noqa: SLF001
    return False


def close(connection: "FakeSnowflakeConnection") -> None:
    """Roll a session's transaction back, if it has one, and end it."""
    import duckdb

    with suppress(duckdb.Error):
        connection._duck_conn.rollback()  # noqa: SLF001
    connection.close()
