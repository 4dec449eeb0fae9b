"""The flows on Kubernetes: started by Prefect, run by the worker, every step a Job made from its CronJob."""

import json

import pytest
from cluster import Cluster, until

from tickvault.flows.plan import PLANS

WORKER = "deployment/tickvault-jobs-flows"
ENDED = {"COMPLETED", "FAILED", "CANCELLED"}
"""Not CRASHED: the reconciler passes through it on the way to another attempt."""
pytestmark = pytest.mark.usefixtures("filled")


def _start(cluster: Cluster, flow: str) -> str:
    """Start a flow as a user does, with Prefect's command line in the worker's pod; returns the run's id."""
    said = cluster.kubectl("exec", WORKER, "--", "prefect", "deployment", "run", f"{flow}/daily")
    (line,) = [line for line in said.splitlines() if "UUID" in line]
    return line.split()[-1]


def _state(cluster: Cluster, run: str) -> dict[str, str]:
    script = (
        "import sys; from prefect.client.orchestration import get_client\n"
        "with get_client(sync_client=True) as client: print(client.read_flow_run(sys.argv[1]).state.model_dump_json())"
    )
    state: dict[str, str] = json.loads(cluster.kubectl("exec", WORKER, "--", "python", "-c", script, run))
    return state


def _wait(cluster: Cluster, run: str, seconds: float) -> dict[str, str]:
    def ended() -> dict[str, str] | None:
        state = _state(cluster, run)
        return state if state["type"] in ENDED else None

    return until(ended, f"the end of the flow run {run}", seconds)


def _ready_workers(cluster: Cluster) -> list[str]:
    pods = cluster.get("pods", "--selector", "tickvault.io/worker=true")["items"]
    states = {pod["metadata"]["name"]: pod["status"].get("containerStatuses", []) for pod in pods}
    return [name for name, containers in states.items() if containers and all(c["ready"] for c in containers)]


def _jobs_of(cluster: Cluster, run: str) -> list[str]:
    jobs = cluster.get("jobs")["items"]
    mine = [job for job in jobs if run in (job["metadata"].get("annotations") or {}).values()]
    return sorted(job["metadata"]["labels"]["tickvault.io/job"] for job in mine)


def test_every_flow_is_registered_with_its_schedule(cluster: Cluster) -> None:
    listed = cluster.kubectl("exec", WORKER, "--", "prefect", "deployment", "ls", "--output", "json")
    found = [(tuple(d["tags"]), [s["schedule"]["cron"] for s in d["schedules"]]) for d in json.loads(listed)]
    assert sorted(found) == sorted((plan.tags, [plan.cron]) for plan in PLANS)


def test_the_flows_run_every_step_as_a_job(cluster: Cluster) -> None:
    runs = {plan.name: _start(cluster, plan.name) for plan in PLANS}
    for plan in PLANS:
        state = _wait(cluster, runs[plan.name], 600)
        assert state["type"] == "COMPLETED", state
        steps = [f"extract-{s.replace('_', '-')}" for s in plan.sources] + [f"load-{s}" for s in plan.sinks]
        assert set(steps) <= set(_jobs_of(cluster, runs[plan.name]))


def test_a_killed_worker_ends_in_the_right_state(cluster: Cluster) -> None:
    run = _start(cluster, "prices-stock-pipeline")
    until(lambda: True if _state(cluster, run)["type"] == "RUNNING" else None, "the flow to run", 120)
    killed = set(_ready_workers(cluster))
    cluster.kubectl("delete", "pods", *killed, "--grace-period=0", "--force")
    # The Deployment calls itself rolled out for a moment longer, so the pods are asked.
    until(lambda: set(_ready_workers(cluster)) - killed or None, "another worker", 180)
    assert _wait(cluster, run, 600)["type"] == "COMPLETED"
