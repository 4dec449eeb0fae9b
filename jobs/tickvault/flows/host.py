"""Who hosts a flow: which runner its steps go to and who is told of them; a worker's flows host themselves."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from tickvault.core.settings import Settings
from tickvault.flows.verdict import StepResult
from tickvault.runners.runner import Runner
from tickvault.runners.step import Step


@dataclass(frozen=True, slots=True)
class StepEvent:
    """Something that happened to a step: ``started``, ``line`` of its log, ``again`` after a wait, or ``ended``.

    Args:
        flow: The flow's name.
        slot: The slot's id.
        step: The step's name.
        kind: What happened.
        line: The log line, or why it is tried again.
        result: How it ended.
    """

    flow: str
    slot: str
    step: str
    kind: str
    line: str = ""
    result: StepResult | None = None


@dataclass(slots=True)
class Host:
    """What a flow finds around it.

    Args:
        settings: The settings.
        runner: Runs the steps.
        listener: Told of every event, by several threads at once.
        environment: Variables for every step.
        results: Filled by the flow, in the order of its plan.
    """

    settings: Settings
    runner: Runner
    listener: Callable[[StepEvent], None] = lambda _event: None
    environment: Mapping[str, str] = field(default_factory=dict)
    results: list[StepResult] = field(default_factory=list)

    def notify(self, flow: str, slot: str, step: Step, kind: str, line: str = "") -> None:
        """Tell the listener of an event before a step's end."""
        self.listener(StepEvent(flow, slot, step.name, kind, line))


_current: ContextVar[Host | None] = ContextVar("host", default=None)


@contextmanager
def hosting(host: Host) -> Iterator[None]:
    """Host the flows that this thread calls."""
    token = _current.set(host)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def hosted() -> Iterator[Host]:
    """Give a flow its host; on a worker, one made from the settings, whose runner ends with the flow."""
    host = _current.get()
    if host is not None:
        yield host
        return
    from tickvault.runners import open_runner

    settings = Settings.load()
    with open_runner(settings) as runner:
        yield Host(settings, runner)
