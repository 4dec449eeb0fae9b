"""Brings Prefect's states and the ledger in line with what still lives: a killed pod tells nobody that it is dead.

A flow run notes on itself the process it runs in (``host:pid``; in a cluster the host is the pod). A run that says it
is running in a process that is gone becomes Crashed, and is scheduled again a limited number of times; the new attempt
keeps its slot and adopts the Jobs that are still under way. A ledger row says «running» until its Job's pod ends it;
where the Job has ended without that, the row becomes «interrupted», and what the pod said is kept in the lake.
"""

import logging
import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import State
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import PrefectException
from prefect.states import Cancelled, Crashed, Scheduled

from tickvault.core.errors import ConfigError, PlatformError, SinkUnavailableError
from tickvault.core.settings import Settings, environment
from tickvault.flows.pipeline import PROCESS_LABEL
from tickvault.ledger import Ledger, Run
from tickvault.runners.inventory import Inventory
from tickvault.runners.pods import job_end
from tickvault.runs import joblog

_log = logging.getLogger(__name__)
_PATIENCE = timedelta(seconds=30)
"""A run that has only just started again still names the process of its attempt before."""
_SILENCE = timedelta(seconds=90)
"""The longest a run takes from the worker to the note of its process, and from a wish to cancel it to its end."""
_ATTEMPTS = 3
Death = Callable[[str, int, datetime], str | None]
"""Tells, of host, process id and the time its run began, why it is dead; None while it lives or cannot be judged."""


@dataclass(frozen=True, slots=True)
class Correction:
    """Something that was put right: what, and why."""

    what: str
    why: str


@dataclass(slots=True)
class Reconciled:
    """What was put right, and what could not be asked.

    Args:
        corrections: What was put right.
        failures: Why a part was left out; the other part was done all the same.
        remarks: What is not looked at here, and why.
    """

    corrections: list[Correction] = field(default_factory=list)
    failures: list[PlatformError] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Raise what failed, all of it in one sentence.

        Raises:
            PlatformError: Something failed.
        """
        if not self.failures:
            return
        lasting = any(isinstance(failure, ConfigError) for failure in self.failures)
        text = "; ".join(str(failure) for failure in self.failures)
        raise ConfigError(text) if lasting else SinkUnavailableError(text)


def reconcile_flows(client: SyncPrefectClient, death: Death, now: datetime, *, dry_run: bool) -> list[Correction]:
    """Crash flow runs whose process is gone, and schedule them again up to three attempts in all."""
    types = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
    states = FlowRunFilterState(type=FlowRunFilterStateType(any_=types))
    found = []
    for run in client.read_flow_runs(flow_run_filter=FlowRunFilter(state=states)):
        why = _lost(run, death, now)
        if why is not None and run.state is not None:
            found.append(_end(client, run, why, now, dry_run=dry_run))
    return found


def _end(client: SyncPrefectClient, run: FlowRun, why: str, now: datetime, *, dry_run: bool) -> Correction:
    """Give a lost run the state it has in truth; one that was to be cancelled is."""
    if run.state and run.state.type == StateType.CANCELLING:
        if not dry_run:
            client.set_flow_run_state(run.id, Cancelled(message=f"reconciler: {why}"), force=True)
        return Correction(f"flow run {run.name} cancelled", why)
    again = run.deployment_id is not None and run.run_count < _ATTEMPTS
    if not dry_run:
        client.set_flow_run_state(run.id, Crashed(message=f"reconciler: {why}"), force=True)
        if again:
            message = f"reconciler: again after a crash ({why}); Jobs still under way are adopted"
            retry: State[Any] = Scheduled(name="AwaitingRetry", message=message, scheduled_time=now)
            client.set_flow_run_state(run.id, retry, force=True)
    return Correction(f"flow run {run.name} {'crashed, again' if again else 'crashed'}", why)


def _lost(run: FlowRun, death: Death, now: datetime) -> str | None:
    """Say why a run cannot be what it says it is; None while it can."""
    if run.state is None:
        return None
    age = now - run.state.timestamp
    if run.state.type == StateType.PENDING:
        return "its worker took it and never started it" if age > _SILENCE else None
    if run.state.type == StateType.CANCELLING:
        return "nobody was there to cancel it" if age > _SILENCE else None
    process = run.labels.get(PROCESS_LABEL)
    if not isinstance(process, str):
        # Only a worker's runs note their process; of one that somebody runs by hand nothing can be said.
        silent = run.deployment_id is not None and age > _SILENCE
        return "it never noted the process it runs in" if silent else None
    if age < _PATIENCE:
        return None
    host, _, pid = process.rpartition(":")
    return death(host, int(pid), run.state.timestamp)


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


def reconcile_ledger(ledger: Ledger, inventory: Inventory, settings: Settings, *, dry_run: bool) -> list[Correction]:
    """End ledger rows that say «running» of a Kubernetes Job that has ended or is gone, and keep its log."""
    # Of a run that began after the Jobs were listed its Job's absence says nothing. PostgreSQL's clock judges.
    before = ledger.runs.settled_before()
    known = {job["metadata"]["name"]: job for job in inventory.jobs()}
    found = []
    for run, job_name in ledger.runs.under_way(before):
        end = job_end(known[job_name]) if job_name in known else ("Deleted", "the Job is gone")
        if end is None:
            continue
        why = f"job/{job_name}: {end[0]} {end[1]}".strip()
        if not (dry_run or ledger.runs.interrupt(run, why)):
            continue  # it ended, or began anew, in this very moment
        found.append(Correction(f"run {run.run_id[:8]} of {run.job} interrupted", why))
        if not dry_run:
            _rescue(ledger, inventory, settings, run, job_name, why)
    return found


def _rescue(ledger: Ledger, inventory: Inventory, settings: Settings, run: Run, job_name: str, why: str) -> None:
    """Keep what the pod of an interrupted run said; a run is interrupted whether or not that can be had."""
    try:
        remains = inventory.remains(job_name)
    except PlatformError as error:
        _log.warning("the log of job/%s was not kept: %s", job_name, error)
        return
    if remains:
        joblog.rescue(settings, ledger, run, remains.log, f"{why}; its pod: {remains.end}" if remains.end else why)


def reconcile(settings: Settings, *, dry_run: bool) -> Reconciled:
    """Put everything right that can be judged from here; where one part cannot be asked the other is done.

    Raises:
        ConfigError: There is neither a Prefect server nor a cluster to look at.
    """
    in_cluster = settings.tickvault_runner == "kubernetes"
    has_prefect = bool(environment().get("PREFECT_API_URL"))
    if not (in_cluster or has_prefect):
        raise ConfigError(
            "PREFECT_API_URL is not set and TICKVAULT_RUNNER is not kubernetes: there is nothing to reconcile"
        )
    inventory, result = Inventory(settings), Reconciled()
    if not has_prefect:
        result.remarks.append("PREFECT_API_URL is not set: flow runs are not looked at, only the ledger")
    parts: list[Callable[[], list[Correction]]] = []
    if in_cluster:
        parts.append(lambda: _ledger(settings, inventory, dry_run=dry_run))
    if has_prefect:  # last: a server that hangs may use up the time this has
        parts.append(lambda: _flows(inventory if in_cluster else None, dry_run=dry_run))
    for part in parts:
        try:
            result.corrections += part()
        except PlatformError as error:
            result.failures.append(error)
    return result


def _flows(inventory: Inventory | None, *, dry_run: bool) -> list[Correction]:
    import httpx

    now = datetime.now(UTC)  # before the pods are listed: a run that began after that is too young to be judged
    death = pod_death(inventory.flow_pods()) if inventory else local_death
    try:
        with get_client(sync_client=True) as client:
            return reconcile_flows(client, death, now, dry_run=dry_run)
    except (httpx.HTTPError, PrefectException) as error:
        raise SinkUnavailableError(f"the Prefect server does not answer: {error}") from error


def _ledger(settings: Settings, inventory: Inventory, *, dry_run: bool) -> list[Correction]:
    with Ledger.open(settings) as ledger:
        return reconcile_ledger(ledger, inventory, settings, dry_run=dry_run)
