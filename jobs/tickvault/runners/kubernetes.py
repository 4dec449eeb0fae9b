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

from tickvault.errors import ConfigError, ExitCode, SinkUnavailableError
from tickvault.flows.plan import Step
from tickvault.runners import pods
from tickvault.runners.runner import Outcome, Runner
from tickvault.settings import Settings
from tickvault.slot import Slot

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
    ) -> Outcome:
        """Make or adopt the step's Job and wait for its end."""
        return asyncio.run(self._run(step, slot, environment, on_line, owner))

    async def _run(
        self, step: Step, slot: Slot, environment: Mapping[str, str], on_line: Callable[[str], None], owner: str
    ) -> Outcome:
        started = time.monotonic()
        async with connected() as (batch, core):
            manifest = await self._manifest(batch, step, slot, environment, owner)
            name = await self._create(batch, core, manifest, f"{step.name}-{slot.id}".lower())
            on_line(f"job/{name} in namespace {self.namespace}")
            watch = _Watch(self, batch, core, name, on_line)
            try:
                outcome = await watch.follow()
            finally:
                await watch.close()
        seconds = time.monotonic() - started
        return Outcome(outcome.exit_code, outcome.report, outcome.reason, seconds, f"job/{name}")

    async def _manifest(
        self, batch: Any, step: Step, slot: Slot, environment: Mapping[str, str], owner: str
    ) -> dict[str, Any]:
        """Read the CronJob and make a Job of its template."""
        from kubernetes_asyncio.client import ApiException

        try:
            found = await batch.read_namespaced_cron_job(step.job, self.namespace)
        except ApiException as error:
            if error.status == _NOT_FOUND:
                raise ConfigError(
                    f"there is no CronJob {step.job} in namespace {self.namespace}; is it in the chart's jobs, and is"
                    " TICKVAULT_NAMESPACE right?"
                ) from error
            raise mapped(error, f"read CronJob {step.job}") from error
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


class _Watch:
    """Follows one Job: its pod, its log, its end."""

    def __init__(
        self,
        runner: KubernetesRunner,
        batch: Any,
        core: Any,
        name: str,
        on_line: Callable[[str], None],
    ) -> None:
        self.runner, self.batch, self.core, self.name, self.on_line = runner, batch, core, name, on_line
        self.log: asyncio.Task[None] | None = None
        self.began = time.monotonic()

    async def follow(self) -> Outcome:
        """Look at Job and pod until there is an end."""
        from aiohttp import ClientError
        from kubernetes_asyncio.client import ApiException

        answered = time.monotonic()
        while True:
            try:
                outcome = await self._look()
                answered = time.monotonic()
            except (ApiException, ClientError, TimeoutError) as error:
                if isinstance(error, ApiException) and error.status in (401, 403):
                    raise mapped(error, f"watch job {self.name}") from error
                if time.monotonic() - answered > self.runner.outage_seconds:
                    raise SinkUnavailableError(f"the Kubernetes API does not answer: {error}") from error
                outcome = None
            if outcome:
                if self.log:  # let the last lines come
                    await asyncio.wait([self.log], timeout=5)
                return outcome
            await asyncio.sleep(self.runner.poll_seconds)

    async def close(self) -> None:
        """Leave the log."""
        if self.log:
            self.log.cancel()
            await asyncio.gather(self.log, return_exceptions=True)

    async def _look(self) -> Outcome | None:
        from kubernetes_asyncio.client import ApiException

        as_dict, namespace = self.batch.api_client.sanitize_for_serialization, self.runner.namespace
        try:
            job = as_dict(await self.batch.read_namespaced_job(self.name, namespace))
        except ApiException as error:
            if error.status == _NOT_FOUND:
                return Outcome(pods.KILLED, reason=f"job/{self.name} was deleted")
            raise
        pod = pods.newest(await pods_of(self.core, as_dict, namespace, self.name))
        if pod and pods.started(pod) and self.log is None:
            self.log = asyncio.create_task(self._stream(pod))
        if pod and (outcome := pods.ending(pod)):
            return outcome
        if end := pods.job_end(job):
            if pod is None and end[0] != "DeadlineExceeded":
                return Outcome(pods.KILLED, reason=f"its pod was deleted ({end[0]}: {end[1]})")
            return Outcome(pods.KILLED, reason=f"{end[0]}: {end[1]}")
        return await self._late(pod)

    async def _late(self, pod: dict[str, Any] | None) -> Outcome | None:
        """Give up what does not start in time, or takes too long."""
        waited, reason = time.monotonic() - self.began, None
        code = ExitCode.TRANSIENT
        if waited > self.runner.timeout:
            reason = f"ended after {self.runner.timeout:g} s, the longest a step may take (STEP_TIMEOUT_SECONDS)"
        elif pod and not pods.started(pod) and (hindered := pods.hindrance(pod)):
            patience = self.runner.mend_seconds if hindered[0] == ExitCode.CONFIGURATION else self.runner.start_seconds
            if waited > patience:
                code, reason = hindered
        elif pod is None and waited > self.runner.start_seconds:
            reason = "no pod was made"
        if reason is None:
            return None
        events = await self._events(pod["metadata"]["name"] if pod else self.name)
        await self.batch.delete_namespaced_job(
            self.name, self.runner.namespace, propagation_policy="Background", grace_period_seconds=0
        )
        return Outcome(int(code), reason=reason + (f" [{events}]" if events else ""))

    async def _events(self, name: str) -> str:
        """Return the last warnings about an object, in a line."""
        found = await self.core.list_namespaced_event(
            self.runner.namespace, field_selector=f"involvedObject.name={name},type=Warning"
        )
        return "; ".join(f"{e.reason}: {e.message}" for e in found.items[-3:])

    async def _stream(self, pod: dict[str, Any]) -> None:
        """Pass the pod's log on line by line; a break in it is no failure of the step."""
        from aiohttp import ClientError
        from kubernetes_asyncio.client import ApiException

        try:
            answer = await self.core.read_namespaced_pod_log(
                pod["metadata"]["name"],
                self.runner.namespace,
                container=pod["spec"]["containers"][0]["name"],
                follow=True,
                _preload_content=False,
                _request_timeout=self.runner.timeout,
            )
            async for line in answer.content:
                self.on_line(line.decode(errors="replace").rstrip("\n"))
        except (ApiException, ClientError, TimeoutError, ValueError) as error:  # ValueError: a line without an end
            self.on_line(f"(the log of pod {pod['metadata']['name']} broke off: {str(error) or type(error).__name__})")


async def pods_of(
    core: Any, as_dict: Callable[[Any], dict[str, Any]], namespace: str, name: str
) -> list[dict[str, Any]]:
    """List the pods of a Job."""
    selector = f"batch.kubernetes.io/job-name={name}"
    found: list[dict[str, Any]] = as_dict(await core.list_namespaced_pod(namespace, label_selector=selector))["items"]
    return found


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
        raise ConfigError(f"no Kubernetes cluster is configured here: {error}") from error


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
    kept = [e for e in container.get("env", []) if e["name"] not in given]
    container["env"] = kept + [{"name": k, "value": v} for k, v in given.items()]
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


def mapped(error: Any, what: str) -> Exception:
    """Map an error of the API: not allowed or not valid is a wrong setting, everything else may pass."""
    text = f"Kubernetes does not let us {what}: {error.status} {error.reason}"
    return ConfigError(text) if error.status in (400, 401, 403, 422) else SinkUnavailableError(text)
