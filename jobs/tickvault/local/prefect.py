"""A Prefect server of our own, for runs on this machine; it ends with the process that started it, even by a kill.

Prefect's own ephemeral server outlives a killed parent, takes a random port it may not get, and gives up after 20 s.
"""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tickvault.core.settings import Settings, environment, export
from tickvault.local import child, parent

_CHILD = "import sys; from tickvault.local.prefect import run_child; run_child(int(sys.argv[1]))"


class PrefectServer:
    """A server in a child process; ``start`` returns at once, ``wait`` when it answers."""

    def __init__(self, settings: Settings) -> None:
        self._home = settings.tickvault_home.expanduser().resolve() / "prefect"
        self._process: subprocess.Popen[bytes] | None = None
        self._log = self._home / "server.log"
        self.url = ""

    def start(self) -> None:
        """Start the child and point this process's Prefect at it."""
        self._home.mkdir(parents=True, exist_ok=True)
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
            export(
                {
                    "PREFECT_HOME": str(self._home),
                    "PREFECT_PROFILES_PATH": str(self._home / "profiles.toml"),
                    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                    "PREFECT_SERVER_UI_ENABLED": "false",
                    "PREFECT_LOGGING_LEVEL": "ERROR",
                    "PREFECT_LOGGING_TO_API_ENABLED": "false",
                    "PREFECT_API_REQUEST_TIMEOUT": "600",  # a slow machine's server answers late, but it answers
                    "PREFECT_SERVER_DATABASE_TIMEOUT": "600",
                    "PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT": "600",
                    "PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_TIMEOUT": "600",
                    "DO_NOT_TRACK": "1",
                    "PREFECT_API_URL": "",
                }
            )
            # In memory there is one connection. With a file, Prefect's own background writers collide with its API:
            # SQLite answers «locked» at once, and the client then waits two seconds, several times a minute.
            memory = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": "sqlite+aiosqlite:///:memory:"}
            arguments = ["-c", _CHILD, str(listening.fileno())]
            with self._log.open("wb") as log:
                self._process = child.start(
                    arguments, listening=listening, environment=environment() | memory, stdout=log.fileno(), stderr=log
                )
        export({"PREFECT_API_URL": self.url})

    def wait(self) -> None:
        """Wait until the server answers.

        Raises:
            SinkUnavailableError: It ended, or does not answer for very long.
        """
        import requests

        def answers() -> bool:
            # The socket is open already: the request waits in its backlog until the server is up.
            requests.get(f"{self.url}/health", timeout=10).raise_for_status()
            return True

        if self._process is not None:
            name = f"the local Prefect server (log: {self._log})"
            child.await_start(self._process, answers, name, (requests.RequestException,))

    def stop(self) -> None:
        """End the child."""
        if self._process is not None:
            child.stop(self._process)
            self._process = None


@contextmanager
def prefect_server(settings: Settings) -> Iterator[PrefectServer | None]:
    """Have a server for as long as the context lasts: the one ``PREFECT_API_URL`` names, else one of our own.

    It is starting when the context begins, so that other things can start beside it; ``wait`` before the first flow.
    """
    if environment().get("PREFECT_API_URL"):
        yield None
        return
    server = PrefectServer(settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        export({"PREFECT_API_URL": ""})


def run_child(number: int) -> None:
    """Serve on an inherited socket, and end when the parent does."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent.follow()
    import uvicorn
    from prefect.server.api.server import create_app

    config = uvicorn.Config(create_app(ephemeral=True), log_level="error", access_log=False, lifespan="on")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=number)])
