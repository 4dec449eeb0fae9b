"""The platform's engines as processes of this machine: PostgreSQL, the Snowflake emulator, a market simulator."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from tickvault.local.simulator import Simulator


@dataclass(frozen=True, slots=True)
class Local:
    """Running engines, and the environment that points the platform at them."""

    environment: dict[str, str]
    simulator: "Simulator | None"


@contextmanager
def start(home: Path, *, live: bool = False, port: int = 0) -> Iterator[Local]:
    """Start the engines on their data below ``home`` and stop them at the end.

    Args:
        home: Folder of everything they keep.
        live: Leave the simulator out: sources use the public APIs.
        port: Port of the simulator; 0 chooses a free one. Addresses of news articles hold it.

    Raises:
        SinkUnavailableError: An engine does not start.
        ConfigError: An extra is not installed.
    """
    from tickvault.local import postgres, simulator
    from tickvault.local.snowflake import process as emulator

    home = home.expanduser().resolve()
    home.mkdir(parents=True, exist_ok=True)
    engines: list[AbstractContextManager[Any]] = [emulator.start(home / "snowflake"), postgres.start(home / "postgres")]
    if not live:
        engines.append(simulator.start(port=port))
    with ExitStack() as stack:
        warehouse, uri, *simulators = _start_together(stack, engines)
        market = simulators[0] if simulators else None
        # A step waits longer for its turn than a scheduled job would: nobody comes back for it.
        environment = {"LAKE_PATH": str(home / "lake"), "TICKVAULT_HOME": str(home), "LOCK_WAIT_SECONDS": "120"}
        environment |= warehouse.environment() | postgres_environment(uri)
        environment |= {"POSTGRES_READER_USER": postgres.create_reader(uri)}
        environment |= market.environment() if market else {}
        yield Local(environment, market)


def _start_together(stack: ExitStack, engines: list[AbstractContextManager[Any]]) -> list[Any]:
    """Enter all contexts side by side; the stack leaves each that was entered, also when another fails."""
    with ThreadPoolExecutor(len(engines)) as pool:
        entering = [pool.submit(engine.__enter__) for engine in engines]
    for engine, entered in zip(engines, entering, strict=True):
        if entered.exception() is None:
            stack.push(engine)
    return [entered.result() for entered in entering]


def postgres_environment(uri: str) -> dict[str, str]:
    """Return the ``POSTGRES_*`` variables of a libpq URI; a socket's folder is a host to libpq."""
    parts = urlsplit(uri)
    host = parse_qs(parts.query).get("host", [parts.hostname or "localhost"])[0]
    return {
        "POSTGRES_HOST": unquote(host),
        "POSTGRES_PORT": str(parts.port or 5432),
        "POSTGRES_DB": parts.path.lstrip("/"),
        "POSTGRES_USER": unquote(parts.username or "postgres"),
        "POSTGRES_PASSWORD": unquote(parts.password or ""),
    }
