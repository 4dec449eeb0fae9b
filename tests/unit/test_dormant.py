"""A server wakes at the first call, wakes again when it was killed, and turns callers away when it cannot start."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tickvault.local import child
from tickvault.local.dormant import Dormant

_SERVER = """
import os, socket, sys
from tickvault.local import parent
parent.follow()
listening = socket.socket(fileno=int(sys.argv[1]))
while True:
    caller, _ = listening.accept()
    caller.sendall(str(os.getpid()).encode())
    caller.close()
"""
_FAILING = "import sys, time; time.sleep(0.3); sys.exit(78)"


@contextmanager
def dormant(code: str) -> Iterator[Dormant]:
    def start(listening: socket.socket) -> "subprocess.Popen[bytes]":
        return child.start(["-c", code, str(listening.fileno())], listening=listening)

    listening = socket.create_server(("127.0.0.1", 0))
    engine = Dormant("server", listening, start)
    try:
        yield engine
    finally:
        engine.stop()


def call(engine: Dormant) -> str:
    with socket.create_connection(("127.0.0.1", engine.port), timeout=300) as caller:
        try:
            return caller.recv(100).decode()
        except ConnectionResetError:
            return ""


def until(said: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not said():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_sleeps_until_it_is_called_and_serves_every_call() -> None:
    with dormant(_SERVER) as engine:
        time.sleep(0.5)
        assert not engine.awake
        answers = {call(engine) for _ in range(3)}
        assert engine.process
        assert answers == {str(engine.process.pid)}
    assert engine.process.poll() is not None


def test_one_that_was_killed_wakes_again() -> None:
    with dormant(_SERVER) as engine:
        first = call(engine)
        assert engine.process
        engine.process.kill()
        until(lambda: not engine.awake)
        second = call(engine)
        assert second.isdigit()
        assert second != first
        assert engine.failure == ""


def test_one_that_cannot_start_turns_callers_away_and_says_why() -> None:
    with dormant(_FAILING) as engine:
        assert call(engine) == ""
        assert engine.failure == "ended with code 78 before it took a call"
        assert call(engine) == "", "each call tries again"


def test_it_is_not_there_any_more_once_it_was_stopped() -> None:
    with dormant(_SERVER) as engine:
        port = engine.port
    with socket.socket() as caller:
        assert caller.connect_ex(("127.0.0.1", port)) != 0
