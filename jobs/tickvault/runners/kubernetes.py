"""Runs steps as Kubernetes Jobs made from suspended CronJobs; the cluster's objects are the truth.

A Job is named ``<step>-<slot>-<n>`` and the name is the mutex: whoever comes second, a retried flow or another
creator, adopts the Job that is under way. One that ended is never taken for a new one; the next n is.
"""

import asyncio
import copy
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tickvault.core.errors import ConfigError
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.runners import pods
from tickvault.runners.runner import Runner, StepEnd
from tickvault.runners.step import Step
from tickvault.runners.watch import Watch, mapped, pods_of

OWNER = "tickvault.io/flow-run"
"""Annotation with the flow run's id."""

_CONFLICT, _NOT_FOUND = 409, 404
_ATTEMPTS = 50


class KubernetesRunner(Runner):
    """Makes a Job, passes its pod's log on, and reads exit code and termination message from the pod.

    Args:
        settings: Give namespace and the longest time a step may take.
        poll_seconds: How often Job and pod are looked at.
        start_seconds: How long a pod may take to be scheduled.
        mend_seconds: How long an image that cannot be pulled, or a missing Secret, is waited for.
        outage_seconds: How long the API server may be away.
    """

    parallel = 16

    def __init__(
        self,
        settings: Settings,
        poll_seconds: float = 1.0,
        start_seconds: float = 300.0,
        mend_seconds: float = 60.0,
        outage_seconds: float = 120.0,
    ) -> None:
        self.namespace, self.timeout = settings.tickvault_namespace, settings.step_timeout_seconds
        self.poll_seconds, self.start_seconds = poll_seconds, start_seconds
        self.mend_seconds, self.outage_seconds = mend_seconds, outage_seconds

    def perform(
        self, step: Step, slot: Slot, environment: Mapping[str, str], on_line: Callable[[str], None], owner: str
    ) -> StepEnd:
        """Make or adopt the step's Job and wait for its end."""
        return asyncio.run(self._run(step, slot, environment, on_line, owner))

    async def _run(
        self, step: Step, slot: Slot, environment: Mapping[str, str], on_line: Callable[[str], None], owner: str
    ) -> StepEnd:
        started = time.monotonic()
        async with connected() as (batch, core):
            manifest = await self._manifest(batch, step, slot, environment, owner)
            name = await self._create(batch, core, manifest, f"{step.name}-{slot.id}".lower())
            on_line(f"job/{name} in namespace {self.namespace}")
            watch = Watch(self, batch, core, name, on_line)
            try:
                end = await watch.follow()
            finally:
                await watch.close()
        seconds = time.monotonic() - started
        return StepEnd(end.exit_code, end.report, end.reason, seconds, f"job/{name}")

    async def _manifest(
        self, batch: Any, step: Step, slot: Slot, environment: Mapping[str, str], owner: str
    ) -> dict[str, Any]:
        """Read the CronJob and make a Job of its template."""
        found = await read_cron_job(batch, step.job, self.namespace)
        cron_job = batch.api_client.sanitize_for_serialization(found)
        return job_manifest(cron_job, step, slot, environment, owner)

    async def _create(self, batch: Any, core: Any, manifest: dict[str, Any], prefix: str) -> str:
        """Create the Job under the first free name, or adopt the one under way; returns its name."""
        from kubernetes_asyncio.client import ApiException

        for n in range(_ATTEMPTS):
            name = f"{prefix}-{n}"
            manifest["metadata"]["name"] = name
            try:
                await batch.create_namespaced_job(self.namespace, manifest)
            except ApiException as error:
                if error.status != _CONFLICT:
                    raise mapped(error, f"create job {name}") from error
            else:
                return name
            try:
                if await self._under_way(batch, core, name):
                    return name
            except ApiException as error:
                if error.status != _NOT_FOUND:  # else it was deleted between the two
                    raise mapped(error, f"read job {name}") from error
        raise ConfigError(f"{_ATTEMPTS} Jobs named {prefix}-<n> exist already; delete some")

    async def _under_way(self, batch: Any, core: Any, name: str) -> bool:
        """Tell whether a Job has not ended; its pod knows that a second or two before the Job's own status does."""
        as_dict = batch.api_client.sanitize_for_serialization
        job = as_dict(await batch.read_namespaced_job(name, self.namespace))
        pod = pods.newest(await pods_of(core, as_dict, self.namespace, name))
        return not (pods.job_end(job) or "deletionTimestamp" in job["metadata"] or (pod and pods.ending(pod)))


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Any, Any]]:
    """Connect to the cluster we are in, else to that of the kubeconfig; yields its batch and its core API.

    Raises:
        ConfigError: There is no cluster to connect to.
    """
    from kubernetes_asyncio.client import CoreV1Api
    from kubernetes_asyncio.config import ConfigException
    from prefect_kubernetes.credentials import KubernetesCredentials  # type: ignore[import-untyped]

    try:
        async with KubernetesCredentials().get_client("batch") as batch:
            yield batch, CoreV1Api(batch.api_client)
    except ConfigException as error:
        raise ConfigError(
            f"no Kubernetes cluster is configured here (KUBECONFIG): {error}; without one, tickvault extract, load or"
            " dbt runs a job here"
        ) from error


async def read_cron_job(batch: Any, job: str, namespace: str) -> Any:
    """Read a CronJob.

    Raises:
        ConfigError: There is none of this name, or we may not read it.
        SinkUnavailableError: The Kubernetes API does not answer.
    """
    from kubernetes_asyncio.client import ApiException

    try:
        return await batch.read_namespaced_cron_job(job, namespace)
    except ApiException as error:
        if error.status == _NOT_FOUND:
            raise ConfigError(
                f"there is no CronJob {job} in namespace {namespace}; is it in the chart's jobs, and is"
                f" TICKVAULT_NAMESPACE right? What there is: kubectl -n {namespace} get cronjobs"
            ) from error
        raise mapped(error, f"read CronJob {job}") from error


def job_manifest(
    cron_job: dict[str, Any], step: Step, slot: Slot, environment: Mapping[str, str], owner: str
) -> dict[str, Any]:
    """Make a Job of a CronJob's template: one attempt, this slot, the step's arguments.

    The first container's ``args`` are arguments of ``tickvault``; a step without any keeps the CronJob's own.
    """
    template = copy.deepcopy(cron_job["spec"]["jobTemplate"])
    spec, meta = template["spec"], template.get("metadata", {})
    spec["backoffLimit"] = 0
    spec.pop("podFailurePolicy", None)  # it may start a second pod; here every attempt is a Job of its own
    container = spec["template"]["spec"]["containers"][0]
    if step.argv:
        container["args"] = list(step.argv)
    given = dict(environment) | {"TICKVAULT_SLOT": slot.id}
    others = [e for e in container.get("env", []) if e["name"] not in given]
    container["env"] = others + [{"name": k, "value": v} for k, v in given.items()]
    labels = {"tickvault.io/job": step.job, "tickvault.io/slot": slot.id.lower()}
    owned_by = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": cron_job["metadata"]["name"],
        "uid": cron_job["metadata"]["uid"],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "labels": meta.get("labels", {}) | labels,
            "annotations": meta.get("annotations", {}) | ({OWNER: owner} if owner else {}),
            "ownerReferences": [owned_by],  # not as its controller: the CronJob's history limits must not delete it
        },
        "spec": spec,
    }
