"""Prefect's schedules on a cluster: the server makes runs, and a run that it made can begin in the worker's image."""

import json

from cluster import Cluster, until

from tickvault.flows.plan import PLANS

WORKER = "deployment/tickvault-jobs-flows"
# Asked of the run before it begins, in the Python and with the packages of the image.
SCRIPT = """
import json, sys
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from tickvault.flows.coalescing import newer_run
with get_client(sync_client=True) as client:
    deployment = client.read_deployment_by_name(sys.argv[1])
    one = DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))
    runs = [run for run in client.read_flow_runs(deployment_filter=one) if run.auto_scheduled]
    print(json.dumps({"runs": len(runs), "newer": newer_run(client, runs[0]) if runs else None}))
"""


def test_every_schedule_makes_runs_that_can_begin(cluster: Cluster) -> None:
    for plan in PLANS:

        def scheduled(flow: str = plan.name) -> dict[str, object] | None:
            said = json.loads(cluster.kubectl("exec", WORKER, "--", "python", "-c", SCRIPT, f"{flow}/daily"))
            return said if said["runs"] else None

        found = until(scheduled, f"runs that the schedule of {plan.name} made", 120)
        assert found["newer"] is None, "it is of days to come: nothing is due yet"
