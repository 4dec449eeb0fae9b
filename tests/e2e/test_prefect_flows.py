"""The flows on Kubernetes: started by Prefect, run by the worker, every step a Job made from its CronJob."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cluster import WORKER, Cluster, until

from tickvault.flows.plan import PLANS

ENDED = {"COMPLETED", "FAILED", "CANCELLED"}
"""Not CRASHED: the reconciler passes through it on the way to another attempt."""
pytestmark = pytest.mark.usefixtures("filled")


RIGHT_WITHIN = timedelta(seconds=150)
"""Two minutes are promised; half a minute more for a machine that runs everything at once."""


def _start(cluster: Cluster, flow: str, *options: str) -> str:
    """Start a flow as a user does, with Prefect's command line in the worker's pod; returns the run's id."""
    said = cluster.kubectl("exec", WORKER, "--", "prefect", "deployment", "run", f"{flow}/daily", *options)
    (line,) = [line for line in said.splitlines() if "UUID" in line]
    return line.split()[-1]


def _ask(cluster: Cluster, expression: str, run: str) -> Any:
    """Ask Prefect of a run, in the worker's pod; the expression gives JSON."""
    script = (
        "import sys; from prefect.client.orchestration import get_client\n"
        f"with get_client(sync_client=True) as client: print({expression})"
    )
    return json.loads(cluster.kubectl("exec", WORKER, "--", "python", "-c", script, run))


def _state(cluster: Cluster, run: str) -> dict[str, str]:
    state: dict[str, str] = _ask(cluster, "client.read_flow_run(sys.argv[1]).state.model_dump_json()", run)
    return state


def _states(cluster: Cluster, run: str) -> list[tuple[datetime, str]]:
    """Every state a run was in, with the time it began, oldest first."""
    states = "client.read_flow_run_states(sys.argv[1])"
    listed = _ask(
        cluster, f"__import__('json').dumps([[s.timestamp.isoformat(), s.type.value] for s in {states}])", run
    )
    return sorted((datetime.fromisoformat(time), kind) for time, kind in listed)


def _wait(cluster: Cluster, run: str, seconds: float) -> dict[str, str]:
    def ended() -> dict[str, str] | None:
        state = _state(cluster, run)
        return state if state["type"] in ENDED else None

    return until(ended, f"the end of the flow run {run}", seconds)


def _ready_workers(cluster: Cluster) -> list[str]:
    pods = cluster.get("pods", "--selector", "tickvault.io/worker=true")["items"]
    states = {pod["metadata"]["name"]: pod["status"].get("containerStatuses", []) for pod in pods}
    return [name for name, containers in states.items() if containers and all(c["ready"] for c in containers)]


def _jobs_of(cluster: Cluster, run: str) -> list[tuple[str, str]]:
    """Each Job of a run: the job it is of, and its own name."""
    jobs = [job["metadata"] for job in cluster.get("jobs")["items"]]
    mine = [job for job in jobs if run in (job.get("annotations") or {}).values()]
    return sorted((job["labels"]["tickvault.io/job"], job["name"]) for job in mine)


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
        assert set(steps) <= {job for job, _ in _jobs_of(cluster, runs[plan.name])}


def test_a_killed_worker_ends_in_the_right_state(cluster: Cluster) -> None:
    run = _start(cluster, "prices-stock-pipeline")
    until(lambda: True if _state(cluster, run)["type"] == "RUNNING" else None, "the flow to run", 120)
    killed = set(_ready_workers(cluster))
    killed_at = datetime.now(UTC)
    cluster.kubectl("delete", "pods", *killed, "--grace-period=0", "--force")
    # The Deployment calls itself rolled out for a moment longer, so the pods are asked.
    until(lambda: set(_ready_workers(cluster)) - killed or None, "another worker", 180)
    assert _wait(cluster, run, 600)["type"] == "COMPLETED"
    # Asked afterwards, for without its worker nobody here can ask: what came after the kill, and when.
    noticed, kind = next(state for state in _states(cluster, run) if state[0] > killed_at)
    assert kind in {"CRASHED", "SCHEDULED", "COMPLETED"}, (
        kind
    )  # it may have said so itself, or ended in its last seconds
    assert noticed - killed_at <= RIGHT_WITHIN


def test_a_killed_step_is_run_again(cluster: Cluster) -> None:
    # The wait before another attempt is five minutes; this run's is five seconds, so that it is seen to the end.
    soon = ("--job-variable", 'env={"FLOW_RETRY_DELAY_SECONDS": "5"}')
    run, step = _start(cluster, "batch-data-pipeline", *soon), "extract-faker-market"

    def attempts() -> list[str]:
        return [name for job, name in _jobs_of(cluster, run) if job == step]

    def pod() -> str | None:
        found = [pod["metadata"]["name"] for name in attempts() for pod in cluster.pods(name)]
        return found[0] if found else None

    victim = until(pod, f"a pod of {step}", 120)
    cluster.kubectl("delete", "pod", victim, "--grace-period=0", "--force")
    until(lambda: attempts()[1:] or None, f"another attempt of {step}", RIGHT_WITHIN.total_seconds())
    assert _wait(cluster, run, 600)["type"] == "COMPLETED"
    first, second = (cluster.end_of(name) for name in attempts())
    assert (first.complete, second.complete) == (False, True)
