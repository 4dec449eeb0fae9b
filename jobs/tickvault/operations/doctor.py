"""Checks whether everything a run needs is there: one line per thing, with the way out where it is not."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from tickvault.core.engine import ENGINES
from tickvault.core.errors import PlatformError, SinkUnavailableError
from tickvault.core.settings import Settings

_NEEDED_GIB = {"memory": 8, "disk": 20}
_UI_PORTS = {4200: "Prefect", 8080: "Trino", 9001: "MinIO", 9090: "Prometheus", 15432: "PostgreSQL"}
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; ``good`` is None where it does not apply."""

    subject: str
    good: bool | None
    found: str


def examine(settings: Settings) -> Iterator[Finding]:
    """Check what the settings name: lake, ledger, targets, sources, free disk."""
    yield _attempt("lake", lambda: _lake(settings))
    yield _attempt("ledger", lambda: _ledger(settings))
    if settings.snowflake_account:
        yield _attempt("snowflake", lambda: _snowflake(settings))
    else:
        yield Finding("snowflake", None, "off: SNOWFLAKE_ACCOUNT is not set")
    if settings.trino_host:
        yield _attempt("trino", lambda: _trino(settings))
    else:
        yield Finding("trino", None, "off: TRINO_HOST is not set")
    off = [name for name in settings.build_engines if not ENGINES[name].is_on(settings)]
    missing = " and ".join(f"{ENGINES[name].setting.upper()} for {name}" for name in off)
    built = ", ".join(settings.build_engines) or "nowhere"
    yield Finding("warehouse", not off, f"TICKVAULT_BUILD names it: set {missing}" if off else f"built on {built}")
    urls = {
        "binance": settings.binance_base_url,
        "coingecko": settings.coingecko_base_url,
        "yahoo": settings.yahoo_base_url or "https://query1.finance.yahoo.com",
        "freecryptoapi": settings.freecrypto_api,
        "news": settings.news_base_url,
    }
    for name, url in urls.items():
        if url:
            yield _attempt(f"source {name}", partial(_reachable, url))
        elif name != "news" or not settings.news_feeds:
            yield Finding(f"source {name}", None, "off: no address is set")
    for url in settings.news_feeds:
        yield _attempt("source news, RSS", partial(_reachable, url))
    free = shutil.disk_usage(Path.cwd()).free / _GIB
    yield Finding("disk", free > 1, f"{free:.1f} GiB free here")


def examine_cluster(namespace: str) -> Iterator[Finding]:
    """Check what a kind cluster needs of this machine, and show the events of pods that do not start."""
    for tool in ("docker", "kind", "helm", "kubectl"):
        found = shutil.which(tool)
        yield Finding(tool, bool(found), found or f"not on the PATH; install {tool}")
    yield _command("container engine", "docker", "info", "--format", "{{.ServerVersion}}")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    yield Finding("memory", memory >= _NEEDED_GIB["memory"], f"{memory:.0f} GiB, {_NEEDED_GIB['memory']} are needed")
    free = shutil.disk_usage(Path.cwd()).free / _GIB
    yield Finding("disk", free >= _NEEDED_GIB["disk"], f"{free:.0f} GiB free, {_NEEDED_GIB['disk']} are needed")
    yield Finding("processors", True, str(os.cpu_count()))
    running = "tickvault" in _output("kind", "get", "clusters").split()
    for port, who in _UI_PORTS.items():
        taken = _listens(port)
        if running:
            yield Finding(f"port {port}", taken, f"{who} {'answers' if taken else 'does not answer'}")
        else:
            yield Finding(f"port {port}", not taken, f"for {who}: {'taken by another program' if taken else 'free'}")
    if running:
        yield from _pods(namespace)


def _pods(namespace: str) -> Iterator[Finding]:
    columns = "custom-columns=N:.metadata.name,P:.status.phase,R:.status.containerStatuses[*].ready"
    lines = _output("kubectl", "get", "pods", "-n", namespace, "--no-headers", "-o", columns).splitlines()
    for line in lines:
        name, phase, *ready = line.split()
        if phase == "Succeeded" or (phase == "Running" and "false" not in "".join(ready)):
            continue
        selector = f"involvedObject.name={name}"
        events = _output(
            *("kubectl", "get", "events", "-n", namespace, "--field-selector", selector, "--sort-by=.lastTimestamp"),
            *("-o", "custom-columns=R:.reason,M:.message", "--no-headers"),
        )
        yield Finding(
            f"pod {name}", False, f"{phase}; " + " | ".join(" ".join(e.split()) for e in events.splitlines()[-5:])
        )
    yield Finding("pods", bool(lines), f"{len(lines)} in namespace {namespace}")


def _attempt(subject: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, True, check())
    except PlatformError as error:
        return Finding(subject, False, str(error))


def _lake(settings: Settings) -> str:
    from tickvault.engines.storage import open_storage

    storage = open_storage(settings)
    key = f"doctor/{os.getpid()}-{os.urandom(4).hex()}"
    try:
        first, second = storage.put_if_absent(key, b"1"), storage.put_if_absent(key, b"2")
    finally:
        storage.delete(key)
    if not first or second:
        raise SinkUnavailableError(
            f"{storage.where()} does not honour «create only if absent», on which the lake rests"
        )
    return f"{storage.where()}: writes, and refuses to overwrite"


def _ledger(settings: Settings) -> str:
    from tickvault.ledger import Ledger

    with Ledger.open(settings) as ledger:
        settled, runs = ledger.runs.settle(), ledger.runs.count()
    ended = f"; ended, since their processes are gone: {', '.join(settled)}" if settled else ""
    return f"{settings.postgres_host}:{settings.postgres_port}/{settings.postgres_db}: {runs} runs{ended}"


def _snowflake(settings: Settings) -> str:
    from tickvault.engines.snowflake.session import Connection

    with closing(Connection(settings)) as connection:
        version = connection.run("SELECT CURRENT_VERSION()")[0][0]
    return f"account {settings.snowflake_account} answers, version {version}"


def _trino(settings: Settings) -> str:
    from tickvault.query.read import read

    return f"{settings.trino_host}: version {read(settings, 'trino', 'SELECT version()', 1)[1][0][0]}"


def _reachable(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=5).close()
    except OSError as error:
        raise SinkUnavailableError(f"{url} cannot be reached: {error}") from error
    return f"{url} can be reached"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _command(subject: str, *command: str) -> Finding:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(subject, False, str(error))
    return Finding(subject, done.returncode == 0, (done.stdout or done.stderr).strip())


def _output(*command: str) -> str:
    finding = _command("", *command)
    return finding.found if finding.good else ""
