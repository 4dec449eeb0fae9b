"""The engines that a supervisor keeps: PostgreSQL, and the emulator and the market, which wake when they are called."""

import json
import logging
import socket
import subprocess
import threading
import urllib.request
from contextlib import suppress
from typing import Any

import requests

from tickvault.core.errors import PlatformError
from tickvault.engines.postgres.connection import Connection
from tickvault.local import postgres
from tickvault.local.dormant import Dormant
from tickvault.local.engines import postgres_environment
from tickvault.local.home import Home
from tickvault.local.simulator import Simulator
from tickvault.local.simulator import spawn as spawn_market
from tickvault.local.snowflake.process import Emulator
from tickvault.local.snowflake.process import spawn as spawn_emulator

log = logging.getLogger(__name__)

DATABASE = "stock_data"
_FOR_EVER = float("inf")
_BUSY = """SELECT extract(epoch FROM clock_timestamp() - max(CASE state WHEN 'active' THEN clock_timestamp()
    ELSE state_change END)) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"""


class Engines:
    """The engines of one folder.

    Args:
        home: The folder.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._access, (snowflake, market), self._notes = home.settle()
        self._lock = threading.Lock()
        self._server: postgres.Server | None = None
        self._emulator = Dormant("Snowflake emulator", snowflake, self._start_emulator)
        self._market = Dormant("simulated market", market, spawn_market) if market else None
        self._dormant = [self._emulator, *([self._market] if self._market else [])]

    def _start_emulator(self, listening: socket.socket) -> "subprocess.Popen[bytes]":
        return spawn_emulator(self._home.folder / "snowflake", listening)

    def wake(self) -> dict[str, Any]:
        """Have PostgreSQL up, and return how all engines are reached, with what is to be said of it.

        Raises:
            SinkUnavailableError: PostgreSQL does not start.
        """
        with self._lock:
            if self._server is None or self._server.process.poll() is not None:
                self._server = self._start_postgres()
            notes, self._notes = self._notes, []
            market = None if self._home.live else f"http://127.0.0.1:{self._access.market_port}"
            return {"environment": self._environment(self._server, market), "market": market, "notes": notes}

    def _start_postgres(self) -> postgres.Server:
        server = postgres.run(self._home.folder / "postgres", self._access.postgres_port)
        try:
            postgres.create_database(server.uri("postgres"), DATABASE)
            postgres.create_reader(server.uri(DATABASE), self._access.reader_password)
        except PlatformError:
            server.stop()
            raise
        return server

    def _environment(self, server: postgres.Server, market: str | None) -> dict[str, str]:
        # A step waits longer for its turn than a scheduled job would: nobody comes back for it.
        home = str(self._home.folder)
        environment = {"LAKE_PATH": f"{home}/lake", "TICKVAULT_HOME": home, "LOCK_WAIT_SECONDS": "1800"}
        environment |= {"SNOWFLAKE_NETWORK_TIMEOUT": "900"}  # it is there: what takes long, takes long
        environment |= postgres_environment(server.uri(DATABASE)) | {"POSTGRES_READER_USER": postgres.READER}
        environment |= Emulator("127.0.0.1", self._access.snowflake_port, 0).environment()
        return environment | (Simulator(market).environment() if market else {})

    def set_clock_going(self) -> None:
        """Have the market's time follow the wall clock again; asleep it has none of its own."""
        if self._market and self._market.awake:
            try:
                Simulator(f"http://127.0.0.1:{self._market.port}").set_clock(None)
            except requests.RequestException as error:
                log.warning("the simulated market's clock stands still: %s", error)

    def mend(self) -> None:
        """Start PostgreSQL again if it ended under its users."""
        if self._server is not None and self._server.process.poll() is not None:
            try:
                self.wake()
            except PlatformError as error:
                log.warning("%s", error)
                self._server = None  # the next user tries again, and is told

    def idle_seconds(self) -> float:
        """Return for how long nobody has used an engine without being a user of ours, as psql and a notebook do."""
        return min(self._postgres_idle(), self._emulator_idle())

    def _postgres_idle(self) -> float:
        if self._server is None or self._server.process.poll() is not None:
            return _FOR_EVER
        with suppress(PlatformError), Connection.to(self._server.uri(DATABASE), "PostgreSQL") as connection:
            seconds = connection.one(_BUSY)[0]
            return _FOR_EVER if seconds is None else float(seconds)
        return _FOR_EVER

    def _emulator_idle(self) -> float:
        if not self._emulator.awake:
            return _FOR_EVER
        with (
            suppress(OSError, ValueError),
            urllib.request.urlopen(f"http://127.0.0.1:{self._emulator.port}/healthz", timeout=5) as answer,
        ):
            return float(json.load(answer)["idle_seconds"])
        return 0.0  # it is at work: a statement keeps it from answering

    def failures(self) -> list[str]:
        """Say which engines could not be started the last time they were called, and where they say why."""
        said = {"Snowflake emulator": self._home.folder / "snowflake" / "emulator.log"}
        return [f"the {e.name} {e.failure}; see {said.get(e.name, self._home.log)}" for e in self._dormant if e.failure]

    def facts(self) -> dict[str, str]:
        """Say of each engine where it is and whether it runs."""
        up = self._server is not None and self._server.process.poll() is None
        facts = {"PostgreSQL": f"127.0.0.1:{self._access.postgres_port}, {'running' if up else 'asleep'}"}
        for engine in self._dormant:
            state = "running" if engine.awake else engine.failure or "wakes at the first call"
            facts[engine.name] = f"127.0.0.1:{engine.port}, {state}"
        return facts

    def stop(self) -> None:
        """End them all."""
        for engine in self._dormant:
            engine.stop()
        with self._lock:
            if self._server is not None:
                self._server.stop()
