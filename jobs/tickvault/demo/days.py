"""What the demo runs: the history as a backfill, then the daily flows, the last day twice."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from tickvault.core.settings import Settings
from tickvault.core.slot import Schedule, Slot
from tickvault.flows.host import StepEvent
from tickvault.flows.local import FlowResult, run_flows
from tickvault.flows.plan import PLANS
from tickvault.local.engines import Local
from tickvault.local.prefect import PrefectServer
from tickvault.runners.runner import Runner, StepEnd
from tickvault.runners.step import Step
from tickvault.warehouse.target import TARGETS

FIRST_DAY = datetime(2026, 11, 16, tzinfo=UTC)
"""A Monday: two splits of the market and its weekend are in sight. Fixed, so that two demos show the same rows."""
FLOWS = tuple(p.name for p in PLANS)


@dataclass(frozen=True, slots=True)
class Day:
    """One thing the demo runs: a slot of all flows."""

    slot: Slot
    title: str
    build: bool = False


@dataclass(slots=True)
class Stopwatch:
    """Seconds each step took, added up over the days by the step's job and flow."""

    seconds: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, step: str, end: StepEnd) -> None:
        """Add an ended step; flows end steps side by side."""
        with self._lock:
            self.seconds[step] = self.seconds.get(step, 0.0) + end.seconds


def calendar(days: int, build: str, *, live: bool) -> Iterator[Day]:
    """Yield what to run, in order; live, the last scheduled slot is all the public APIs can serve.

    Args:
        days: Simulated days after the history.
        build: ``off``, ``twice`` (after the history and after the last day) or ``daily``.
        live: Use the public APIs.
    """
    schedule = Schedule(PLANS[0].cron, PLANS[0].timezone)
    if live:
        yield Day(schedule.last(datetime.now(UTC)), "today and the history", build != "off")
        return
    yield Day(schedule.last(FIRST_DAY), "history", build != "off")
    slots = list(schedule.between(FIRST_DAY, FIRST_DAY + timedelta(days=days)))
    for number, slot in enumerate(slots, 1):
        last = number == len(slots)
        yield Day(slot, f"day {number} of {days}", build == "daily" or (last and build == "twice"))


class Player:
    """Runs days of the calendar against local engines.

    Args:
        settings: Point at the engines.
        local: The engines.
        runner: Runs the steps.
        server: The Prefect server.
        listener: Told of every event, by several threads at once.
    """

    def __init__(
        self,
        settings: Settings,
        local: Local,
        runner: Runner,
        server: PrefectServer | None,
        listener: Callable[[StepEvent], None],
    ) -> None:
        self.settings, self.local, self.runner, self.server = settings, local, runner, server
        self._listener = listener
        self.stopwatch = Stopwatch()

    def play(self, day: Day) -> list[FlowResult]:
        """Run all flows side by side for a day's slot, with the market's clock at that time."""
        if self.local.simulator:
            self.local.simulator.set_clock(day.slot.time)
        return run_flows(
            FLOWS,
            day.slot,
            self.runner,
            self.settings.model_copy(update={"tickvault_build": "off"}),  # a day is built once, after its flows
            self._listen,
            server=self.server,
            environment=self._environment(day.slot),
        )

    def build(self, slot: Slot) -> StepEnd:
        """Build and publish the warehouse on every engine that is built, side by side; return the worst end."""
        steps = [Step(t.job, t.job, t.argv) for t in TARGETS if t.engine in self.settings.build_engines]
        with ThreadPoolExecutor(len(steps) or 1) as pool:
            ends = pool.map(partial(self._build, slot), steps)
            return max(ends, key=lambda end: (end.exit_code, end.seconds), default=StepEnd(0))

    def _build(self, slot: Slot, step: Step) -> StepEnd:
        end = self.runner.run(
            step,
            slot,
            self._environment(slot),
            lambda line: self._listener(StepEvent("dbt", slot.id, step.name, "line", line)),
        )
        self.stopwatch.note(step.name, end)
        return end

    def _environment(self, slot: Slot) -> dict[str, str]:
        return {"TICKVAULT_CLOCK": slot.time.isoformat()} if self.local.simulator else {}

    def _listen(self, event: StepEvent) -> None:
        if event.kind == "ended" and event.result:
            self.stopwatch.note(event.step, event.result.end)
        self._listener(event)
