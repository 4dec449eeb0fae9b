"""Brings Prefect's states and the ledger in line with what still lives: a killed pod tells nobody that it is dead.

A flow run notes on itself the process it runs in (``host:pid``; in a cluster the host is the pod). A run that says it
is running in a process that is gone becomes Crashed, and is scheduled again a limited number of times; the new attempt
keeps its slot and adopts the Jobs that are still under way. A ledger row says «running» until its Job's pod ends it;
where the Job has ended without that, the row becomes «interrupted».
"""

import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import State
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Crashed, Scheduled

from tickvault.flows.pipeline import PROCESS_LABEL
from tickvault.ledger import Ledger
from tickvault.runners.pods import job_end
from tickvault.settings import Settings

_PATIENCE = timedelta(seconds=30)
"""A run that has only just started may not have noted its process yet."""
_PENDING = timedelta(minutes=5)
"""A run a worker took and did not start within this time was lost with the worker."""
_ATTEMPTS = 3

Death = Callable[[str, int, datetime], str | None]
"""Tells, of host, process id and the time its run began, why it is dead; None while it lives or cannot be judged."""


@dataclass(frozen=True, slots=True)
class Correction:
    """Something that was put right: what, and why."""

    what: str
    why: str


def reconcile_flows(client: SyncPrefectClient, death: Death, now: datetime, *, dry_run: bool) -> list[Correction]:
    """Crash flow runs whose process is gone, and schedule them again up to three attempts in all."""
    states = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING]))
    found = []
    for run in client.read_flow_runs(flow_run_filter=FlowRunFilter(state=states)):
        why = _lost(run, death, now)
        if why is None or run.state is None:
            continue
        again = run.deployment_id is not None and run.run_count < _ATTEMPTS
        if not dry_run:
            client.set_flow_run_state(run.id, Crashed(message=f"reconciler: {why}"), force=True)
            if again:
                message = f"reconciler: again after a crash ({why}); Jobs still under way are adopted"
                retry: State[Any] = Scheduled(name="AwaitingRetry", message=message, scheduled_time=now)
                client.set_flow_run_state(run.id, retry, force=True)
        found.append(Correction(f"flow run {run.name} {'crashed, again' if again else 'crashed'}", why))
    return found


def _lost(run: FlowRun, death: Death, now: datetime) -> str | None:
    state = run.state
    if state is None or now - state.timestamp < _PATIENCE:
        return None
    process = run.labels.get(PROCESS_LABEL)
    if state.type == StateType.PENDING:
        late = now - state.timestamp > _PENDING
        return "its worker took it and never started it" if late else None
    if not isinstance(process, str) or run.start_time is None:
        return None
    host, _, pid = process.rpartition(":")
    return death(host, int(pid), state.timestamp)


def local_death(host: str, pid: int, _began: datetime) -> str | None:
    """Judge a process of this machine; of another one nothing can be said."""
    if host != socket.gethostname():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return f"its process {pid} is gone"
    except PermissionError:
        return None
    return None


def pod_death(pods: Iterable[dict[str, Any]]) -> Death:
    """Judge by the pods of the flows' namespace: gone, ended, or restarted since the run began."""
    known = {pod["metadata"]["name"]: pod for pod in pods}

    def death(host: str, _pid: int, began: datetime) -> str | None:
        pod = known.get(host)
        if pod is None:
            return f"its pod {host} is gone"
        status = pod.get("status", {})
        if status.get("phase") in ("Failed", "Succeeded"):
            return f"its pod {host} has ended: {status.get('reason', status['phase'])}"
        for container in status.get("containerStatuses", []):
            running = container.get("state", {}).get("running")
            if running is None:
                return f"the container {container['name']} of its pod {host} is not running"
            if datetime.fromisoformat(running["startedAt"]) > began:
                last = container.get("lastState", {}).get("terminated", {})
                cause = f" ({last['reason']})" if last.get("reason") else ""
                return f"the container {container['name']} of its pod {host} was restarted{cause}"
        return None

    return death


def reconcile_ledger(ledger: Ledger, jobs: Iterable[dict[str, Any]], *, dry_run: bool) -> list[Correction]:
    """End ledger rows that say «running» of a Kubernetes Job that has ended or is gone."""
    known = {job["metadata"]["name"]: job for job in jobs}
    rows = ledger.query(
        "SELECT run_id, job, job_name FROM data_platform.runs WHERE status = 'running' AND job_name IS NOT NULL"
        " AND started_at < now() - interval '30 seconds'"
    )
    found = []
    for run_id, job, job_name in rows:
        end = job_end(known[job_name]) if job_name in known else ("Deleted", "the Job is gone")
        if end is None:
            continue
        why = f"job/{job_name}: {end[0]} {end[1]}".strip()
        if not dry_run:
            ledger.query(
                "UPDATE data_platform.runs SET status = 'interrupted', finished_at = now(),"
                " outcome = outcome || jsonb_build_object('error', jsonb_build_object("
                "'type', 'Killed', 'message', %s::text)) WHERE run_id = %s AND status = 'running' RETURNING run_id",
                why,
                run_id,
            )
        found.append(Correction(f"run {run_id[:8]} of {job} interrupted", why))
    return found


def cluster(settings: Settings) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Read the flows' pods and the jobs' Jobs.

    Raises:
        SinkUnavailableError: The Kubernetes API does not answer.
        ConfigError: It does not let us.
    """
    return asyncio.run(_cluster(settings))


async def _cluster(settings: Settings) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    from aiohttp import ClientError
    from kubernetes_asyncio.client import ApiException

    from tickvault.errors import SinkUnavailableError
    from tickvault.runners.kubernetes import connected
    from tickvault.runners.watch import mapped

    flows = settings.tickvault_flows_namespace or settings.tickvault_namespace
    try:
        async with connected() as (batch, core):
            as_dict = batch.api_client.sanitize_for_serialization
            pods = as_dict(await core.list_namespaced_pod(flows))["items"]
            jobs = as_dict(await batch.list_namespaced_job(settings.tickvault_namespace))["items"]
    except ApiException as error:
        raise mapped(error, f"list pods of {flows} and jobs of {settings.tickvault_namespace}") from error
    except ClientError as error:
        raise SinkUnavailableError(f"the Kubernetes API does not answer: {error}") from error
    return pods, jobs


def reconcile(settings: Settings, *, dry_run: bool) -> list[Correction]:
    """Put everything right that can be judged from here.

    Raises:
        PlatformError: Prefect, the cluster or the ledger cannot be asked.
    """
    import httpx
    from prefect.client.orchestration import get_client

    from tickvault.errors import SinkUnavailableError

    in_cluster = settings.tickvault_runner == "kubernetes"
    pods, jobs = cluster(settings) if in_cluster else ([], [])
    death = pod_death(pods) if in_cluster else local_death
    try:
        with get_client(sync_client=True) as client:
            corrections = reconcile_flows(client, death, datetime.now(UTC), dry_run=dry_run)
    except httpx.HTTPError as error:
        raise SinkUnavailableError(f"the Prefect server does not answer: {error}") from error
    if in_cluster:
        with Ledger.open(settings) as ledger:
            corrections += reconcile_ledger(ledger, jobs, dry_run=dry_run)
    return corrections
