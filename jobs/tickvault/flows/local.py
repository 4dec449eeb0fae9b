"""Runs Prefect flows in this process, several at once."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from tickvault.core.errors import ConfigError
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.flows.host import Host, StepEvent, hosting
from tickvault.flows.plan import plan
from tickvault.flows.verdict import StepResult, Verdict, judge
from tickvault.local.prefect import PrefectServer
from tickvault.runners.runner import Runner


@dataclass(frozen=True, slots=True)
class FlowResult:
    """How a flow ended: its Prefect state's name, and its steps in the order they ended."""

    flow: str
    slot: str
    verdict: Verdict
    steps: list[StepResult]


def run_flows(
    names: Sequence[str],
    slot: Slot,
    runner: Runner,
    settings: Settings,
    on_event: Callable[[StepEvent], None] = lambda _event: None,
    *,
    server: PrefectServer | None = None,
    environment: Mapping[str, str] | None = None,
    force: bool = False,
) -> list[FlowResult]:
    """Run flows side by side for one slot, each a real Prefect flow, and return when the last has ended.

    Args:
        names: Names of the flows.
        slot: Their slot.
        runner: Runs the steps; shared by all.
        settings: The settings.
        on_event: Called by several threads at once with what happens to each step.
        server: A server of ``prefect_server`` that may still be starting.
        environment: Variables for every step, such as ``TICKVAULT_CLOCK``.
        force: Read sources again although the slot is complete.

    Raises:
        ConfigError: There is no such flow.
        SinkUnavailableError: The Prefect server does not start.
    """
    for name in names:
        plan(name)
    if server is not None:
        server.wait()
    import prefect.context
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    prefect.context.refresh_global_settings_context()  # it was imported before the server had its address, perhaps

    def run(name: str) -> FlowResult:
        host = Host(settings, runner, on_event, environment or {})
        # A heartbeat is for a reconciler; here its thread would only hold up the flow's end by a second.
        with hosting(host), temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            state = flow_object(name)(slot=slot.id, force=force, return_state=True)
        verdict = judge(host.results)
        if not host.results or (verdict.exit_code == 0 and not state.is_completed()):
            # Prefect itself failed: what it says is all there is.
            verdict = Verdict(state.name or "Crashed", state.message or "the flow ended without a word", 75)
        return FlowResult(name, slot.id, verdict, host.results)

    pool = ThreadPoolExecutor(len(names), thread_name_prefix="flow")
    try:
        return list(pool.map(run, names))
    finally:  # all have ended, or we were interrupted, and do not wait for what we are about to end
        pool.shutdown(wait=False, cancel_futures=True)


def flow_object(name: str) -> Any:
    """Import a flow by its name.

    Raises:
        ConfigError: There is no flow of this name, or Prefect is not installed.
    """
    module = plan(name).name.replace("-", "_")
    try:
        return getattr(import_module(f"tickvault.flows.{module}"), module)
    except ModuleNotFoundError as error:
        raise ConfigError(f"flows need Prefect: install Tickvault with its extra 'prefect' ({error})") from error
