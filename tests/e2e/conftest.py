"""The cluster of `make up`, filled once per session, and what its node needs at most."""

import os
import re
import subprocess
import threading
from collections.abc import Iterator

import pytest
from cluster import CONTEXT, RELEASE, Cluster, Ended

EXTRACTS = (
    "extract-binance",
    "extract-coingecko",
    "extract-yfinance-crypto",
    "extract-freecryptoapi",
    "extract-crypto-news",
    "extract-faker-market",
    "extract-yfinance-stock",
)
STAGES = (EXTRACTS, ("load-postgres", "load-snowflake"), ("dbt-snowflake", "dbt-trino"))
PEAK_LIMIT_GIB = 6.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs the cluster; what takes the release apart comes last."""
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.engine("cluster"))
    items.sort(key=lambda item: item.path.name == "test_release.py")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The installed release; prints the node's peak memory at the end."""
    found = Cluster()
    try:
        profile = found.profile
    except (AssertionError, FileNotFoundError, subprocess.TimeoutExpired) as error:
        if os.environ.get("REQUIRE_ENGINES") == "1":
            pytest.fail(f"no release {RELEASE} in {CONTEXT}, and REQUIRE_ENGINES=1; run make up: {error}")
        pytest.skip(f"no release {RELEASE} in {CONTEXT}; run make up")
    peak, stop = [0.0], threading.Event()
    sampler = threading.Thread(target=_sample, args=(peak, stop), daemon=True)
    sampler.start()
    yield found
    stop.set()
    sampler.join()
    print(f"\npeak memory of the node: {peak[0]:.2f} GiB")  # noqa: T201 - a figure to read, not only to hold
    if profile == "minimal":
        assert 0 < peak[0] <= PEAK_LIMIT_GIB, f"the profile minimal is promised {PEAK_LIMIT_GIB} GiB"


@pytest.fixture(scope="session")
def filled(cluster: Cluster) -> dict[str, Ended]:
    """Every job triggered once by `kubectl create job --from`, stage by stage."""
    ended = {}
    for stage in STAGES:
        jobs = {name: cluster.start(name) for name in stage}
        ended |= {name: cluster.end_of(job, 900) for name, job in jobs.items()}
    return ended


def _sample(peak: list[float], stop: threading.Event) -> None:
    """Note the most memory the node used, without the page cache it could give back."""
    command = ["docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", "tickvault-control-plane"]
    units = {"MiB": 1 / 1024, "GiB": 1.0}
    while not stop.wait(2):
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        if match := re.match(r"([\d.]+)(MiB|GiB)", said):
            peak[0] = max(peak[0], float(match[1]) * units[match[2]])
