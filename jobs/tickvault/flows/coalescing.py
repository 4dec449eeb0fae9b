"""Late slots: a run that a later one of its own schedule covers makes way for it.

A worker that was away for a week finds seven late runs of each flow. Every source resumes from its cursor, or reads
what is true now, so the latest run alone brings everything the others would have brought. The deployments' concurrency
limit of one with ENQUEUE keeps runs from running side by side; on its own it would only make them queue.
"""

from datetime import UTC

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.types import DateTime

_WAITING = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING]


def newer_run(client: SyncPrefectClient, run: FlowRun) -> str | None:
    """Return the name of a later run of the same schedule that is due already, None when there is none.

    Only runs that the scheduler made count: one with a slot or other parameters of its own is somebody's wish.
    """
    if not (run.auto_scheduled and run.deployment_id and run.expected_start_time):
        return None
    due_now = DateTime.now(UTC)
    due = client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[run.deployment_id])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_WAITING)),
            expected_start_time=FlowRunFilterExpectedStartTime(after_=run.expected_start_time, before_=due_now),
        ),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
    )
    mine = run.expected_start_time
    later = [
        r for r in due if r.id != run.id and r.auto_scheduled and r.expected_start_time and r.expected_start_time > mine
    ]
    return later[0].name if later else None
