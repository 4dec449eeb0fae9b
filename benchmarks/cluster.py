"""Seconds in the kind cluster: from a trigger to the first rows read, and for the three daily flows end to end.

Needs the release of ``make up``; ends with 1 when a figure is over its goal. Both run for a slot nobody ran before, so
that everything is read, loaded and built. Run it with ``python benchmarks/cluster.py [--runs 3]``.
"""

import argparse
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/e2e"))
from cluster import Cluster, until

from tickvault.core.slot import Slot
from tickvault.flows.plan import PLANS

FIRST_ROW_GOAL, FLOWS_GOAL = 6.0, 300.0
WORKER = "deployment/tickvault-jobs-flows"
STATES = """
import sys
from prefect.client.orchestration import get_client
with get_client(sync_client=True) as client:
    print(*(client.read_flow_run(run).state.name for run in sys.argv[1:]))
"""


def first_rows(cluster: Cluster) -> float:
    """Return the seconds from `kubectl create job` to the first stream that was read and landed."""
    slot = Slot.of(datetime.now(UTC) - timedelta(days=30)).id
    started = time.time()
    job = cluster.start("extract-binance", env={"TICKVAULT_SLOT": slot})
    assert cluster.end_of(job).complete, f"the Job {job} failed"
    lines = [json.loads(line) for line in cluster.kubectl("logs", f"job/{job}").splitlines() if line.startswith("{")]
    landed = next(line["time"] for line in lines if line["message"].startswith("landed"))
    return datetime.fromisoformat(landed).timestamp() - started


def daily_flows(cluster: Cluster) -> tuple[float, list[str]]:
    """Return the seconds of the three daily flows, started together, and how each ended."""
    slot = Slot.of(datetime.now(UTC) - timedelta(days=1)).id
    started, runs = time.monotonic(), []
    for plan in PLANS:
        deployment = ("prefect", "deployment", "run", f"{plan.name}/daily", "--param", f"slot={slot}")
        said = cluster.kubectl("exec", WORKER, "--", *deployment)
        runs.append(next(line.split()[-1] for line in said.splitlines() if "UUID" in line))

    def ended() -> list[str] | None:
        states = cluster.kubectl("exec", WORKER, "--", "python", "-c", STATES, *runs).split()
        return states if set(states) <= {"Completed", "Partial", "Failed", "Crashed", "Cancelled"} else None

    states = until(ended, "the end of the three flows", 1800)
    return time.monotonic() - started, states


def main() -> int:
    """Measure, print, compare with the goals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    cluster = Cluster()
    first_rows(cluster)  # warms the node
    row = min(first_rows(cluster) for _ in range(runs))
    print(f"trigger to first rows read: {row:.1f} s, best of {runs} (goal: {FIRST_ROW_GOAL:g} s)")
    seconds, states = daily_flows(cluster)
    print(f"three daily flows: {seconds:.0f} s, {', '.join(states)} (goal: {FLOWS_GOAL:g} s)")
    return int(row > FIRST_ROW_GOAL or seconds > FLOWS_GOAL or set(states) != {"Completed"})


if __name__ == "__main__":
    sys.exit(main())
