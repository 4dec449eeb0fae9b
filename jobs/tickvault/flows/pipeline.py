"""The one flow all three pipelines are: stages of steps, each step a Prefect task, and an end that never lies."""

import os
import socket
from typing import Any

from prefect import State, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, TaskRun
from prefect.context import FlowRunContext
from prefect.runtime import task_run
from prefect.states import Cancelled, Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from tickvault.core.errors import PlatformError, TransientError
from tickvault.core.slot import Schedule, Slot
from tickvault.flows import coalescing
from tickvault.flows.host import Host, StepEvent, hosted
from tickvault.flows.plan import Plan, plan, stages
from tickvault.flows.verdict import SKIPPED, StepResult, judge
from tickvault.runners.runner import StepEnd
from tickvault.runners.step import Step

OPTIONS: dict[str, Any] = {"retries": 0, "persist_result": False, "task_runner": ThreadPoolTaskRunner(max_workers=16)}
"""Of every flow: a run is never repeated as a whole, its steps are; how many run at once is up to the runner."""

VARIABLES = frozenset(
    {
        "faker_num_customers",
        "faker_num_corporates",
        "faker_num_stock_transactions",
        "faker_num_crypto_transactions",
        "news_read_limit",
    }
)
"""Prefect variables that become the settings of the same name."""

PROCESS_LABEL = "tickvault.process"


class StepFailedError(TransientError):
    """A step failed in a way that may pass; Prefect tries it again."""

    def __init__(self, end: StepEnd) -> None:
        super().__init__(end.sentence)
        self.end = end


def run_pipeline(name: str, slot: str | None, *, force: bool) -> "State[Any]":
    """Run a flow's steps and return its final state: Completed, Failed named Partial, or Failed.

    Args:
        name: The flow's name.
        slot: The slot; None takes the time it was scheduled for.
        force: Read sources again although the slot is complete.
    """
    flow, run = plan(name), _flow_run()
    _note_process(run)
    with hosted() as host:
        chosen = Slot.parse(slot) if slot else _slot_of(run, flow, host)
        with get_client(sync_client=True) as client:
            if slot is None and (newer := coalescing.newer_run(client, run)):
                return Cancelled(name="Coalesced", message=f"slot {chosen} is covered by the later run {newer}")
            variables = {v.name.upper(): str(v.value) for v in client.read_variables() if v.name in VARIABLES}
            if run.deployment_id:
                client.update_flow_run(run.id, name=f"{name}-{chosen}".lower())
        host.results[:] = _run_stages(flow, chosen, host, str(run.id), variables, force)
        verdict = judge(host.results)
    if verdict.exit_code == 0:
        return Completed(message=verdict.message)
    return Failed(name=verdict.name, message=verdict.message)


def _note_process(run: FlowRun) -> None:
    """Before all else: the reconciler finds by this label whether our process still lives."""
    if run.deployment_id:
        with get_client(sync_client=True) as client:
            client.update_flow_run_labels(run.id, {PROCESS_LABEL: f"{socket.gethostname()}:{os.getpid()}"})


def _run_stages(
    flow: Plan, slot: Slot, host: Host, owner: str, variables: dict[str, str], force: bool
) -> list[StepResult]:
    """Run stage by stage; a failed step stops nothing but the steps that need it."""
    results: dict[str, StepResult] = {}
    environment = variables | dict(host.environment)
    for stage in stages(flow, host.settings, force=force):
        futures = {}
        for step in stage:
            before = results.get(step.after or "")
            if before and before.status in ("failed", "skipped"):
                end = StepEnd(SKIPPED, reason=f"{before.name} {before.status}")
                _end(host, flow, slot, results, StepResult(step.name, end))
                continue
            attempt = run_step.with_options(
                name=step.name, retries=step.retries, retry_delay_seconds=list(step.retry_delays)
            )
            futures[step.name] = attempt.submit(flow, step, slot, host, owner, environment, results)
        for name, future in futures.items():
            future.wait()
            if name not in results:
                end = StepEnd(1, reason=f"Prefect: {future.state.message}")
                _end(host, flow, slot, results, StepResult(name, end))
    return list(results.values())


def _may_pass(_task: object, _run: TaskRun, state: "State[Any]") -> bool:
    """Tell Prefect whether to try again: only what may end better."""
    return isinstance(state.result(raise_on_failure=False), StepFailedError)


@task(cache_policy=NO_CACHE, persist_result=False, retry_condition_fn=_may_pass)
def run_step(
    flow: Plan,
    step: Step,
    slot: Slot,
    host: Host,
    owner: str,
    environment: dict[str, str],
    results: dict[str, StepResult],
) -> Any:
    """Run one step; its attempts are this task's retries.

    Raises:
        StepFailedError: It failed and may pass.
    """
    log = get_run_logger()

    def pass_on(line: str) -> None:
        log.info("%s", line)
        host.notify(flow.name, slot.id, step, "line", line)

    attempt = int(task_run.run_count or 1)
    host.notify(flow.name, slot.id, step, "started")
    try:
        end = host.runner.run(step, slot, environment, pass_on, owner)
    except PlatformError as error:
        end = StepEnd(int(error.exit_code), reason=str(error))
    if end.may_pass and attempt <= step.retries:
        wait = step.retry_delays[attempt - 1]
        host.notify(flow.name, slot.id, step, "again", f"{end.sentence}; attempt {attempt + 1} in {wait:g} s")
        raise StepFailedError(end)
    _end(host, flow, slot, results, StepResult(step.name, end, attempt))
    if end.may_pass:
        raise StepFailedError(end)
    if end.exit_code:
        return Failed(name=results[step.name].status.capitalize(), message=end.sentence)
    return end.report


def _end(host: Host, flow: Plan, slot: Slot, results: dict[str, StepResult], result: StepResult) -> None:
    results[result.name] = result
    host.listener(StepEvent(flow.name, slot.id, result.name, "ended", result=result))


def _flow_run() -> FlowRun:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("a pipeline runs inside its Prefect flow")
    return context.flow_run


def _slot_of(run: FlowRun, flow: Plan, host: Host) -> Slot:
    """A scheduled run stands for the very time it was scheduled for, any other for the last time of the schedule."""
    if run.auto_scheduled and run.expected_start_time:
        return Slot.of(run.expected_start_time)
    now = host.settings.tickvault_clock or run.expected_start_time or host.settings.now()
    return Schedule(flow.cron, flow.timezone).last(now)
