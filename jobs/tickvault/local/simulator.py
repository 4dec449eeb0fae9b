"""The market simulator in a child process, for tests and the demo; ``simulation`` is what it serves."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tickvault.core.errors import ConfigError
from tickvault.local import child, parent
from tickvault.simulation.server import DEFAULT_SEED, environment, listen, serve

_TIMEOUT = 300
"""Seconds; the first call also waits until the market is up."""
_CHILD = "import sys; from tickvault.local.simulator import run_child; run_child(*sys.argv[1:])"


@dataclass(slots=True)
class Simulator:
    """A running simulator, seen from outside.

    Args:
        url: For example ``http://127.0.0.1:8900``; a provider's base URL is ``url`` + ``/binance`` and so on.
    """

    url: str

    def base(self, provider: str) -> str:
        """Give the base URL a source is configured with."""
        return f"{self.url}/{provider}"

    def environment(self) -> dict[str, str]:
        """Give the variables that point the platform's sources here."""
        return environment(self.url)

    def set_clock(self, now: datetime | None) -> None:
        """Stop the simulated time at an instant (with its zone), or let it follow the wall clock again."""
        self._call("PUT", "clock", {"now": now and now.isoformat()})

    def fault(self, provider: str, kind: str, **details: object) -> None:
        """Add a fault: ``path``, ``symbols``, ``times``, ``retry_after`` (see :mod:`.providers.faults`)."""
        self._call("PUT", "faults", [*self._call("GET", "faults"), {"provider": provider, "kind": kind, **details}])

    def clear_faults(self) -> None:
        """Switch every fault off."""
        self._call("DELETE", "faults")

    def requests(self) -> dict[str, dict[str, int]]:
        """Give how often each path of each provider was asked since the start or ``forget_requests``."""
        counts: dict[str, dict[str, int]] = self._call("GET", "requests")
        return counts

    def forget_requests(self) -> None:
        """Start counting at zero."""
        self._call("DELETE", "requests")

    def _call(self, method: str, what: str, body: object = None) -> Any:
        import requests  # costs a command that only uses the other engines a tenth of a second

        answer = requests.request(method, f"{self.url}/_control/{what}", json=body, timeout=_TIMEOUT)
        if answer.status_code >= 400:  # noqa: PLR2004 - HTTP's errors
            raise ConfigError(f"the simulator refuses {what}: {answer.json()['error']}")
        return answer.json()


@contextmanager
def start(
    port: int = 0,
    seed: int = DEFAULT_SEED,
    now: datetime | None = None,
    asset_info: Path | None = None,
    host: str = "127.0.0.1",
) -> Iterator[Simulator]:
    """Run the simulator in a child process for as long as the context lasts; it also ends if this process is killed.

    Raises:
        ConfigError: The port is taken.
        SinkUnavailableError: The child ended or does not answer.
    """
    with listen(host, port) as listening:
        simulator = Simulator(f"http://{host}:{listening.getsockname()[1]}")
        process = spawn(listening, seed, asset_info)
    # Ours is closed: were the child to die, a call would be refused at once instead of waiting in the backlog.
    try:
        _wait(simulator, process)
        if now:
            simulator.set_clock(now)
        yield simulator
    finally:
        child.stop(process)


def spawn(
    listening: socket.socket, seed: int = DEFAULT_SEED, asset_info: Path | None = None
) -> "subprocess.Popen[bytes]":
    """Start the simulator on a socket that listens already, and return at once; it ends with this process."""
    arguments = [str(listening.fileno()), str(seed), str(asset_info.resolve()) if asset_info else ""]
    return child.start(["-c", _CHILD, *arguments], listening=listening)


def _wait(simulator: Simulator, process: "subprocess.Popen[bytes]") -> None:
    import requests

    def answers() -> bool:
        # The socket is open already: the request waits in its backlog until the server is up.
        requests.get(f"{simulator.url}/_control/health", timeout=_TIMEOUT).raise_for_status()
        return True

    child.await_start(process, answers, f"the market simulator at {simulator.url}", (requests.RequestException,))


def run_child(file_number: str, seed: str, asset_info: str) -> None:
    """Serve on an inherited socket, and end when the parent does."""
    parent.follow()
    serve(socket.socket(fileno=int(file_number)), int(seed), None, Path(asset_info) if asset_info else None)
