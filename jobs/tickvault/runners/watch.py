"""Follows one Kubernetes Job from its first event to its end: its pod, its log, its exit code."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

from tickvault.core.errors import ConfigError, ExitCode, SinkUnavailableError
from tickvault.runners import pods
from tickvault.runners.runner import StepEnd

_NOT_FOUND = 404


class Patience(Protocol):
    """Where a Job is, and how long each thing about it may take; all in seconds."""

    namespace: str
    timeout: float
    poll_seconds: float
    start_seconds: float
    mend_seconds: float
    outage_seconds: float


class Watch:
    """Follows one Job: its pod, its log, its end."""

    def __init__(
        self,
        patience: Patience,
        batch: Any,
        core: Any,
        name: str,
        on_line: Callable[[str], None],
    ) -> None:
        self.patience, self.batch, self.core, self.name, self.on_line = patience, batch, core, name, on_line
        self.log: asyncio.Task[None] | None = None
        self.began = time.monotonic()

    async def follow(self) -> StepEnd:
        """Look at Job and pod until there is an end."""
        from aiohttp import ClientError
        from kubernetes_asyncio.client import ApiException

        answered = time.monotonic()
        while True:
            try:
                end = await self._look()
                answered = time.monotonic()
            except (ApiException, ClientError, TimeoutError) as error:
                if isinstance(error, ApiException) and error.status in (401, 403):
                    raise mapped(error, f"watch job {self.name}") from error
                if time.monotonic() - answered > self.patience.outage_seconds:
                    raise SinkUnavailableError(f"the Kubernetes API does not answer: {error}") from error
                end = None
            if end:
                if self.log:  # let the last lines come
                    await asyncio.wait([self.log], timeout=5)
                return end
            await asyncio.sleep(self.patience.poll_seconds)

    async def close(self) -> None:
        """Leave the log."""
        if self.log:
            self.log.cancel()
            await asyncio.gather(self.log, return_exceptions=True)

    async def _look(self) -> StepEnd | None:
        from kubernetes_asyncio.client import ApiException

        as_dict, namespace = self.batch.api_client.sanitize_for_serialization, self.patience.namespace
        try:
            job = as_dict(await self.batch.read_namespaced_job(self.name, namespace))
        except ApiException as error:
            if error.status == _NOT_FOUND:
                return StepEnd(pods.KILLED, reason=f"job/{self.name} was deleted")
            raise
        pod = pods.newest(await pods_of(self.core, as_dict, namespace, self.name))
        if pod and pods.started(pod) and self.log is None:
            self.log = asyncio.create_task(self._stream(pod))
        if pod and (end := pods.ending(pod)):
            return end
        if of_job := pods.job_end(job):
            reason, message = of_job
            if pod is None and reason != "DeadlineExceeded":
                return StepEnd(pods.KILLED, reason=f"its pod was deleted ({reason}: {message})")
            return StepEnd(pods.KILLED, reason=f"{reason}: {message}")
        return await self._late(pod)

    async def _late(self, pod: dict[str, Any] | None) -> StepEnd | None:
        """Give up what does not start in time, or takes too long."""
        waited, reason = time.monotonic() - self.began, None
        code = ExitCode.TRANSIENT
        if waited > self.patience.timeout:
            reason = f"ended after {self.patience.timeout:g} s, the longest a step may take (STEP_TIMEOUT_SECONDS)"
        elif pod and not pods.started(pod) and (hindered := pods.hindrance(pod)):
            allowed = (
                self.patience.mend_seconds if hindered[0] == ExitCode.CONFIGURATION else self.patience.start_seconds
            )
            if waited > allowed:
                code, reason = hindered
        elif pod is None and waited > self.patience.start_seconds:
            reason = "no pod was made"
        if reason is None:
            return None
        events = await self._events(pod["metadata"]["name"] if pod else self.name)
        await self.batch.delete_namespaced_job(
            self.name, self.patience.namespace, propagation_policy="Background", grace_period_seconds=0
        )
        return StepEnd(int(code), reason=reason + (f" [{events}]" if events else ""))

    async def _events(self, name: str) -> str:
        """Return the last warnings about an object, in a line."""
        found = await self.core.list_namespaced_event(
            self.patience.namespace, field_selector=f"involvedObject.name={name},type=Warning"
        )
        return "; ".join(f"{e.reason}: {e.message}" for e in found.items[-3:])

    async def _stream(self, pod: dict[str, Any]) -> None:
        """Pass the pod's log on line by line; a break in it is no failure of the step."""
        from aiohttp import ClientError
        from kubernetes_asyncio.client import ApiException

        try:
            answer = await self.core.read_namespaced_pod_log(
                pod["metadata"]["name"],
                self.patience.namespace,
                container=pod["spec"]["containers"][0]["name"],
                follow=True,
                _preload_content=False,
                _request_timeout=self.patience.timeout,
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


def mapped(error: Any, what: str) -> Exception:
    """Map an error of the API: not allowed or not valid is a wrong setting, everything else may pass."""
    text = f"Kubernetes does not let us {what}: {error.status} {error.reason}"
    return ConfigError(text) if error.status in (400, 401, 403, 422) else SinkUnavailableError(text)
