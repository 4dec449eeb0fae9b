"""A session whose answers end at a deadline, their status line and headers too.

A time-out of a socket counts between two bytes, so who sends one byte a second is never too slow for it.
"""

import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http.client import HTTPResponse
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager

_until: ContextVar[float] = ContextVar("_until", default=float("inf"))


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """End whatever is received meanwhile once the seconds are over, with a TimeoutError as of a socket."""
    token = _until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until.reset(token)


def session() -> requests.Session:
    """Return a session that keeps to ``deadline``; it follows no redirects, whatever it is told."""
    made = _Session()
    for scheme in ("http://", "https://"):
        made.mount(scheme, _Adapter())
    return made


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Say that nothing redirects: requests would read, and unpack, the whole body of an answer that does."""
        del resp
        return None


class _Received(io.RawIOBase):
    """What comes from a socket, each piece awaited no longer than until the deadline of the time it was asked in."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._between = sock, sock.gettimeout()
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = _until.get() - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline for the whole answer is over")
        self._sock.settimeout(left if self._between is None else min(left, self._between))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_Received(sock))


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _bounded(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return _bounded(super().proxy_manager_for(proxy, **kwargs))


def _bounded(manager: PoolManager) -> PoolManager:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return manager
