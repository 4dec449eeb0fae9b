"""Who is dead, by the pods a Kubernetes 1.34 API server shows; what becomes of it; and which late run makes way."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from prefect.client.schemas.objects import StateType

from tickvault.core.errors import ConfigError, SinkUnavailableError
from tickvault.flows import coalescing
from tickvault.flows.pipeline import PROCESS_LABEL
from tickvault.operations import reconciliation
from tickvault.operations.reconciliation import Correction, pod_death, reconcile, reconcile_flows

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


def found(kind: str, seconds: float, *, process: str | None = None, deployment: str | None = "d", count: int = 1):
    """A flow run as Prefect lists it, so many seconds in its state."""
    state = SimpleNamespace(type=StateType(kind), timestamp=BEGAN - timedelta(seconds=seconds))
    labels = {PROCESS_LABEL: process} if process else {}
    return SimpleNamespace(id="id", name="daily", state=state, labels=labels, deployment_id=deployment, run_count=count)


class Prefect(Server):
    """Notes the states it is told to set."""

    def __init__(self, *runs: SimpleNamespace) -> None:
        super().__init__(*runs)
        self.states: list[str] = []

    def set_flow_run_state(self, _run: str, state: object, force: bool) -> None:
        assert force
        self.states.append(state.name)


AGAIN, CRASHED, CANCELLED, NOTHING = ["Crashed", "AwaitingRetry"], ["Crashed"], ["Cancelled"], []


@pytest.mark.parametrize(
    ("run", "states"),
    [
        (found("RUNNING", 31, process="gone:7"), AGAIN),
        (found("RUNNING", 31, process="gone:7", count=3), CRASHED),
        (found("RUNNING", 31, process="gone:7", deployment=None), CRASHED),
        (found("RUNNING", 29, process="gone:7"), NOTHING),  # the label of the attempt before
        (found("RUNNING", 9000, process="here:7"), NOTHING),
        (found("RUNNING", 91), AGAIN),  # killed before it noted its process
        (found("RUNNING", 89), NOTHING),
        (found("RUNNING", 9000, deployment=None), NOTHING),  # by hand, on whatever machine
        (found("PENDING", 91), AGAIN),
        (found("PENDING", 89, process="gone:7"), NOTHING),
        (found("CANCELLING", 91, process="gone:7"), CANCELLED),
        (found("CANCELLING", 91), CANCELLED),
        (found("CANCELLING", 89), NOTHING),
    ],
)
def test_what_becomes_of_a_run(run, states):
    def death(host: str, pid: int, began: datetime) -> str | None:
        assert (pid, began) == (7, run.state.timestamp)
        return "its pod is gone" if host == "gone" else None

    client = Prefect(run)
    assert bool(reconcile_flows(client, death, BEGAN, dry_run=True)) == bool(states)
    assert client.states == []
    reconcile_flows(client, death, BEGAN, dry_run=False)
    assert client.states == states


DONE = Correction("run 1 interrupted", "its Job is gone")


def _part(end: Correction | Exception):
    def part(*_: object, **__: object) -> list[Correction]:
        if isinstance(end, Exception):
            raise end
        return [end]

    return part


@pytest.mark.parametrize(
    ("flows", "ledger", "kind", "said"),
    [
        (SinkUnavailableError("no Prefect"), DONE, SinkUnavailableError, "no Prefect"),
        (DONE, SinkUnavailableError("no ledger"), SinkUnavailableError, "no ledger"),
        (SinkUnavailableError("no Prefect"), ConfigError("no rights"), ConfigError, "no rights; no Prefect"),
    ],
)
def test_one_half_does_not_wait_for_the_other(monkeypatch, make_settings, flows, ledger, kind, said):
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect/api")
    monkeypatch.setattr(reconciliation, "_flows", _part(flows))
    monkeypatch.setattr(reconciliation, "_ledger", _part(ledger))
    result = reconcile(make_settings(tickvault_runner="kubernetes"), dry_run=False)
    assert result.corrections == [end for end in (ledger, flows) if end is DONE]
    with pytest.raises(kind) as caught:
        result.check()
    assert str(caught.value) == said


def test_without_prefect_the_ledger_alone_is_looked_at(monkeypatch, make_settings):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(reconciliation, "_ledger", _part(DONE))
    result = reconcile(make_settings(tickvault_runner="kubernetes"), dry_run=False)
    result.check()
    assert result.corrections == [DONE]
    assert result.remarks == ["PREFECT_API_URL is not set: flow runs are not looked at, only the ledger"]
    with pytest.raises(ConfigError, match="nothing to reconcile"):
        reconcile(make_settings(), dry_run=False)
