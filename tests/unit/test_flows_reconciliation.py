"""Who is dead, by the pods a Kubernetes 1.34 API server shows; and which late run makes way."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from tickvault.flows import coalescing
from tickvault.flows.reconciliation import pod_death

BEGAN = datetime(2026, 11, 20, 13, 5, tzinfo=UTC)


def pod(state: dict, last: dict | None = None, **status: object) -> dict:
    container = {"name": "flows", "state": state, "lastState": last or {}}
    return {"metadata": {"name": "flows-0"}, "status": {"phase": "Running", "containerStatuses": [container]} | status}


@pytest.mark.parametrize(
    ("pods", "said"),
    [
        ([], "pod flows-0 is gone"),
        ([pod({}, phase="Failed", reason="Evicted")], "has ended: Evicted"),
        ([pod({"waiting": {"reason": "CrashLoopBackOff"}})], "is not running"),
        (
            [pod({"running": {"startedAt": "2026-11-20T13:06:00Z"}}, {"terminated": {"reason": "OOMKilled"}})],
            "was restarted (OOMKilled)",
        ),
        ([pod({"running": {"startedAt": "2026-11-20T13:00:00Z"}})], None),
    ],
)
def test_a_flows_pod(pods, said):
    why = pod_death(pods)("flows-0", 7, BEGAN)
    assert why is None if said is None else said in why


def run(name: str, hour: int, *, auto: bool = True, deployment: str | None = "d") -> SimpleNamespace:
    time = BEGAN + timedelta(hours=hour)
    return SimpleNamespace(id=name, name=name, auto_scheduled=auto, deployment_id=deployment, expected_start_time=time)


class Server:
    """Answers what it is told to; the filter is Prefect's."""

    def __init__(self, *runs: SimpleNamespace) -> None:
        self.runs = list(runs)

    def read_flow_runs(self, **_filters: object) -> list[SimpleNamespace]:
        return self.runs


@pytest.fixture(autouse=True)
def _any_deployment(monkeypatch):
    monkeypatch.setattr(coalescing, "DeploymentFilterId", lambda any_: None)


def test_a_late_run_makes_way_for_a_later_one_of_its_schedule():
    assert coalescing.newer_run(Server(run("b", 24), run("c", 48)), run("a", 0)) == "b"


@pytest.mark.parametrize(
    ("mine", "others"),
    [
        (run("a", 0), []),
        (run("a", 0), [run("a", 0)]),
        (run("a", 0), [run("by-hand", 24, auto=False)]),
        (run("by-hand", 0, auto=False), [run("b", 24)]),
        (run("local", 0, deployment=None), [run("b", 24)]),
    ],
)
def test_what_makes_way_for_nothing(mine, others):
    assert coalescing.newer_run(Server(*others), mine) is None
