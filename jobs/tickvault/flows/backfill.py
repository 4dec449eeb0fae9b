"""A backfill: a list of slots and the steps that run for them, oldest first, then the loads once."""

from collections.abc import Callable
from datetime import datetime, timedelta

from tickvault.core.errors import ConfigError
from tickvault.core.settings import Settings
from tickvault.core.slot import Schedule, Slot
from tickvault.flows.host import StepEvent
from tickvault.flows.plan import PLANS, Plan, plan, staged
from tickvault.flows.stage import Build, Extract, Load
from tickvault.flows.verdict import StepResult
from tickvault.runners.runner import Runner
from tickvault.runners.step import Step
from tickvault.transfer import catalog

_MAX_SLOTS = 5000


def plan_of(name: str) -> Plan:
    """Return the flow of this name, or a flow of one source on the schedule of the flow it belongs to.

    Raises:
        ConfigError: There is neither.
    """
    if any(p.name == name for p in PLANS):
        return plan(name)
    if name.endswith("-pipeline"):
        return plan(name)  # says which there are
    source = name.replace("-", "_")
    catalog.source(source)
    owner = next((p for p in PLANS if source in p.sources), PLANS[0])
    parts = (Extract((source,)), Load(source=source), Build())
    return Plan(source.replace("_", "-"), parts, cron=owner.cron, timezone=owner.timezone)


def slots(schedule: Schedule, first: Slot, last: Slot | None, now: datetime) -> list[Slot]:
    """List the slots from ``first`` to ``last``; a last that is a midnight stands for its whole day.

    Raises:
        ConfigError: The range is empty, or too long to be meant.
    """
    end = schedule.last(now).time if last is None else last.time
    if last is not None and end.time() == datetime.min.time():
        end += timedelta(days=1, seconds=-1)
    end = min(end, now)
    found: list[Slot] = []
    for slot in schedule.between(first.time, end):
        found.append(slot)
        if len(found) > _MAX_SLOTS:
            raise ConfigError(f"more than {_MAX_SLOTS} slots from {first} on; split the range")
    if not found:
        raise ConfigError(f"'{schedule.cron}' in {schedule.timezone} has no slot from {first} to {Slot.of(end)}")
    return found


def steps(flow: Plan, times: list[Slot], settings: Settings, *, force: bool = False) -> list[tuple[Slot, Step]]:
    """List what a backfill runs: the extracts slot by slot, then the other stages once, for the last slot."""
    found = staged(flow, settings, force=force)
    each = [step for stage, part in found if stage.each_slot for step in part]
    once = [step for stage, part in found if not stage.each_slot for step in part]
    return [(slot, step) for slot in times for step in each] + [(times[-1], step) for step in once]


def run(
    work: list[tuple[Slot, Step]], runner: Runner, name: str, listener: Callable[[StepEvent], None]
) -> list[StepResult]:
    """Run one step after the other; one that fails does not stop the next.

    Slots of one source resume from the one before, so they cannot run side by side.
    """
    results: list[StepResult] = []
    for slot, step in work:
        listener(StepEvent(name, slot.id, step.name, "started"))
        title = f"{slot} {step.name}"

        def pass_on(line: str, slot: Slot = slot, step: Step = step) -> None:
            listener(StepEvent(name, slot.id, step.name, "line", line))

        result = StepResult(title, runner.run(step, slot, {}, pass_on, "backfill"))
        results.append(result)
        listener(StepEvent(name, slot.id, step.name, "ended", result=result))
    return results
