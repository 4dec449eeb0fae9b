"""Serve the simulator until it is asked to stop; ``local.simulator`` does so in a child process."""

import signal
import socket
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import FrameType

from tickvault.core.errors import ConfigError

DEFAULT_SEED = 7


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
    more = {"FREECRYPTO_API_KEY": "the-simulator-takes-any", "SOURCE_ORIGIN": "-simulated"}
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
