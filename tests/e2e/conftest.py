"""The cluster of `make up`, filled once per session, and what its node needs at most."""

import os
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
STAGES = (EXTRACTS, ("load-postgres", "load-snowflake"), ("dbt-postgres", "dbt-snowflake", "dbt-trino"), ("retention",))
PEAK_LIMIT_GIB = 7.0
MEMORY = """cd /sys/fs/cgroup
cat memory.stat 2>/dev/null || { cat memory/memory.stat; echo kernel $(cat memory/memory.kmem.usage_in_bytes); }"""
"""What the node holds by kind, in cgroups version 2 or 1."""


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
    print(f"\npeak memory of the node: {peak[0]:.2f} GiB beside the page cache")  # noqa: T201 - a figure to read, not only to hold
    if profile == "minimal":
        assert 0 < peak[0] <= PEAK_LIMIT_GIB, f"the profile minimal is promised {PEAK_LIMIT_GIB} GiB"


@pytest.fixture(scope="session")
def filled(cluster: Cluster) -> dict[str, Ended]:
    """Every job triggered once by `kubectl create job --from`, stage by stage."""
    ended = {}
    unbuilt = {"dbt-postgres"} if cluster.profile != "minimal" else set()
    for stage in STAGES:
        jobs = {name: cluster.start(name) for name in stage if name not in unbuilt}
        ended |= {name: cluster.end_of(job, 900) for name, job in jobs.items()}
    return ended


def _sample(peak: list[float], stop: threading.Event) -> None:
    """Note the most memory the node needed: what its processes and its kernel hold, not files cached on the way."""
    command = ["docker", "exec", "tickvault-control-plane", "sh", "-c", MEMORY]
    while not stop.wait(2):
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        fields = dict(line.split() for line in said.splitlines())
        held = [fields.get(f"total_{name}", fields.get(name, "0")) for name in ("rss", "anon", "shmem", "kernel")]
        peak[0] = max(peak[0], sum(map(int, held)) / 2**30)
