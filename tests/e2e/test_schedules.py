"""Prefect's schedules on a cluster: the server makes runs, and a run that it made can begin in the worker's image."""

import json

from cluster import WORKER, Cluster, until

from tickvault.flows.plan import PLANS

# Asked of the run before it begins, in the Python and with the packages of the image.
SCRIPT = """
import json, sys
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from tickvault.flows.coalescing import newer_run
newer = {}
with get_client(sync_client=True) as client:
    for name in sys.argv[1:]:
        one = DeploymentFilter(id=DeploymentFilterId(any_=[client.read_deployment_by_name(name).id]))
        runs = [run for run in client.read_flow_runs(deployment_filter=one) if run.auto_scheduled]
        newer[name] = [newer_run(client, run) for run in runs[:1]]
print(json.dumps(newer))
"""


def test_every_schedule_makes_runs_that_can_begin(cluster: Cluster) -> None:
    names = [f"{plan.name}/daily" for plan in PLANS]

    def scheduled() -> dict[str, list[str | None]] | None:
        newer = json.loads(cluster.kubectl("exec", WORKER, "--", "python", "-c", SCRIPT, *names))
        return newer if all(newer.values()) else None

    newer = until(scheduled, "a run that each schedule made", 120)
    assert newer == {name: [None] for name in names}, "they are of days to come: nothing is due yet"
