"""What is in the cluster now: the flows' pods, the jobs' Jobs, and what a Job's last pod left to read."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from tickvault.core.errors import SinkUnavailableError
from tickvault.core.settings import Settings
from tickvault.runners import pods
from tickvault.runners.kubernetes import connected
from tickvault.runners.watch import mapped, pods_of

_LINES = 20_000
"""The longest log that is read: its end, where the reason stands."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Remains:
    """What a Job's last pod left.

    Args:
        end: How the pod ended, in a sentence; None where it did not say.
        log: Its lines, each after the time it was written.
    """

    end: str | None
    log: list[str]


class Inventory:
    """Reads the cluster; each method asks anew.

    Raises:
        SinkUnavailableError: The Kubernetes API does not answer.
        ConfigError: It does not let us.
    """

    def __init__(self, settings: Settings) -> None:
        self.namespace = settings.tickvault_namespace
        self.flows_namespace = settings.tickvault_flows_namespace or settings.tickvault_namespace

    def flow_pods(self) -> list[dict[str, Any]]:
        """List the pods flows run in."""

        async def read(_batch: Any, core: Any, as_dict: Callable[[Any], Any]) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = as_dict(await core.list_namespaced_pod(self.flows_namespace))["items"]
            return found

        return asyncio.run(_ask(read, f"list pods of {self.flows_namespace}"))

    def jobs(self) -> list[dict[str, Any]]:
        """List the jobs' Jobs."""

        async def read(batch: Any, _core: Any, as_dict: Callable[[Any], Any]) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = as_dict(await batch.list_namespaced_job(self.namespace))["items"]
            return found

        return asyncio.run(_ask(read, f"list jobs of {self.namespace}"))

    def remains(self, job_name: str) -> Remains | None:
        """Read the log of a Job's last pod that started; None when there is no such pod any more."""

        async def read(_batch: Any, core: Any, as_dict: Callable[[Any], Any]) -> Remains | None:
            known = await pods_of(core, as_dict, self.namespace, job_name)
            pod = pods.newest([pod for pod in known if pods.started(pod)])
            if pod is None:
                return None
            answer = await core.read_namespaced_pod_log(
                pod["metadata"]["name"],
                self.namespace,
                container=pod["spec"]["containers"][0]["name"],
                timestamps=True,
                tail_lines=_LINES,
                _preload_content=False,  # else the client would read a log of one JSON line as an object
            )
            ended = pods.ending(pod)
            text = (await answer.read()).decode(errors="replace")
            return Remains(ended.reason if ended else None, text.split("\n"))

        return asyncio.run(_ask(read, f"read the log of job/{job_name}"))


async def _ask(read: Callable[[Any, Any, Callable[[Any], Any]], Awaitable[T]], what: str) -> T:
    from aiohttp import ClientError
    from kubernetes_asyncio.client import ApiException

    try:
        async with connected() as (batch, core):
            return await read(batch, core, batch.api_client.sanitize_for_serialization)
    except ApiException as error:
        raise mapped(error, what) from error
    except (ClientError, TimeoutError) as error:
        raise SinkUnavailableError(f"the Kubernetes API does not answer: {error}") from error
