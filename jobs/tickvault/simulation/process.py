"""Run the simulator: in this process until it is asked to stop, or in a child process of a test or a demo."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import requests

from tickvault.core.errors import ConfigError, SourceUnavailableError

DEFAULT_SEED = 7
_TIMEOUT = 30
_CHILD = "import sys; from tickvault.simulation.process import run_child; run_child(*sys.argv[1:])"


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
        answer = requests.request(method, f"{self.url}/_control/{what}", json=body, timeout=_TIMEOUT)
        if answer.status_code >= 400:  # noqa: PLR2004 - HTTP's errors
            raise ConfigError(f"the simulator refuses {what}: {answer.json()['error']}")
        return answer.json()


def environment(url: str) -> dict[str, str]:
    """Give the variables that point the platform's sources at the simulator of this URL."""
    paths = {
        "BINANCE_BASE_URL": "binance",
        "COINGECKO_BASE_URL": "coingecko",
        "YAHOO_BASE_URL": "yahoo",
        "FREECRYPTO_API": "freecryptoapi",
        "NEWS_BASE_URL": "news",
        "NEWS_RSS_URLS": "news/rss?id={id}",
    }
    # It takes any key, but without one that source counts as switched off; its rows must not pass for the market's.
    more = {"FREECRYPTO_API_KEY": "simulated", "SOURCE_ORIGIN": "-simulated"}
    return {name: f"{url}/{path}" for name, path in paths.items()} | more


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket; port 0 chooses a free one.

    Raises:
        ConfigError: The port is taken or the address is not of this machine.
    """
    try:
        return socket.create_server((host, port), backlog=128)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}; choose another --port") from error


def serve(
    listening: socket.socket,
    seed: int = DEFAULT_SEED,
    now: datetime | None = None,
    asset_info: Path | None = None,
    announce: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then return; open requests are finished.

    Args:
        listening: Socket from :func:`listen`.
        seed: Another seed is another market.
        now: Simulated time at the start; None follows the wall clock.
        asset_info: What is traded, the shipped ``asset_info.csv`` if None.
        announce: Called with the URL when the market is built.
    """
    import uvicorn

    from tickvault.simulation.market.market import market
    from tickvault.simulation.providers.app import build
    from tickvault.simulation.providers.state import State

    app = build(State(market(seed, asset_info), now))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))

    def stop(_signal: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    # uvicorn raises the signal that ended it once more: with a handler of our own it is not fatal.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    host, port = listening.getsockname()[:2]
    announce(f"http://{host}:{port}")
    server.run(sockets=[listening])


def run_child(file_number: str, seed: str, asset_info: str) -> None:
    """Serve on an inherited socket, and end when the parent does (its end of our standard input closes)."""

    def follow_parent() -> None:
        sys.stdin.read()
        signal.raise_signal(signal.SIGTERM)

    threading.Thread(target=follow_parent, daemon=True).start()
    serve(socket.socket(fileno=int(file_number)), int(seed), None, Path(asset_info) if asset_info else None)


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
        SourceUnavailableError: The child ended or does not answer.
    """
    with listen(host, port) as listening:
        simulator = Simulator(f"http://{host}:{listening.getsockname()[1]}")
        number = listening.fileno()
        command = [
            sys.executable,
            "-c",
            _CHILD,
            str(number),
            str(seed),
            str(asset_info.resolve()) if asset_info else "",
        ]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[number])
    # Ours is closed: were the child to die, a call would be refused at once instead of waiting in the backlog.
    try:
        _wait(simulator, child)
        if now:
            simulator.set_clock(now)
        yield simulator
    finally:
        child.communicate()
        child.wait(_TIMEOUT)


def _wait(simulator: Simulator, child: "subprocess.Popen[bytes]") -> None:
    try:
        requests.get(f"{simulator.url}/_control/health", timeout=_TIMEOUT).raise_for_status()
    except requests.RequestException as error:
        ended = child.poll()
        state = "does not answer" if ended is None else f"ended with code {ended}"
        raise SourceUnavailableError(f"the market simulator at {simulator.url} {state}: {error}") from error
