"""What a runner is: it starts one step somewhere else, passes its log on, and says honestly how it ended."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from tickvault.core.errors import ExitCode
from tickvault.core.slot import Slot
from tickvault.runners.step import Step

_FINAL = frozenset({ExitCode.COMPLETE, ExitCode.PARTIAL, ExitCode.REJECTED, ExitCode.CONFIGURATION})


@dataclass(frozen=True, slots=True)
class StepEnd:
    """How a step ended.

    Args:
        exit_code: Of its process; 128 + n when signal n ended it, as a shell and Kubernetes say it.
        report: The termination message: what ``run_job`` said of itself, empty when it could not.
        reason: Why it ended, where it could not say so itself: killed, never started, out of memory.
        seconds: How long it ran.
        place: Where it ran: a process, or the Kubernetes Job.
    """

    exit_code: int
    report: dict[str, Any] = field(default_factory=dict)
    reason: str | None = None
    seconds: float = 0.0
    place: str = ""

    @property
    def may_pass(self) -> bool:
        """Whether another attempt could end better: not when it is done, nor when the data or a setting is wrong."""
        return self.exit_code not in _FINAL

    @property
    def rows(self) -> int:
        """Rows that came through: loaded by a load, read by an extract."""
        return int(self.report.get("rows_loaded", self.report.get("rows_read", 0)))

    @property
    def sentence(self) -> str:
        """What there is to say of it; empty when all is well."""
        missing = self.report.get("missing") or []
        reported = self.report.get("error", {}).get("message") or "; ".join(missing)
        if self.exit_code == 0:
            return f"off: {self.report['off']}" if self.report.get("off") else ""
        last = str(self.report.get("termination", "")).strip().split("\n")[-1]
        return self.reason or reported or last or f"ended with exit code {self.exit_code} and said nothing"


class Runner(ABC):
    """Runs steps; several threads may call it at once."""

    parallel: int = 2
    """Steps of one flow that run side by side."""

    def run(
        self, step: Step, slot: Slot, environment: Mapping[str, str], on_line: Callable[[str], None], owner: str = ""
    ) -> StepEnd:
        """Run a step for a slot to its end.

        Args:
            step: What to run.
            slot: Its slot, given as ``TICKVAULT_SLOT``.
            environment: Variables for this step, over those the runner has itself.
            on_line: Called with each line of its log as it comes.
            owner: Id of the flow run, noted where the runner can.

        Raises:
            ConfigError: The runner itself is set wrongly.
            TransientError: The place where steps run does not answer.
        """
        errors: list[str] = []

        def pass_on(line: str) -> None:
            if line.startswith("error: "):
                errors[:] = [line.removeprefix("error: ")]
            on_line(line)

        end = self.perform(step, slot, environment, pass_on, owner)
        if end.exit_code and errors and not end.reason and "exit_code" not in end.report:
            # It failed before it was a job: the command line's own sentence is all it left.
            return replace(end, reason=errors[0])
        return end

    @abstractmethod
    def perform(
        self, step: Step, slot: Slot, environment: Mapping[str, str], on_line: Callable[[str], None], owner: str
    ) -> StepEnd:
        """Do what ``run`` promises."""

    def close(self) -> None:
        """Give back what the runner holds."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def parse_report(text: str | None) -> dict[str, Any]:
    """Read a termination message; one that was cut off or is none of ours is kept as text."""
    if not text or not text.strip():
        return {}
    try:
        report = json.loads(text)
    except json.JSONDecodeError:
        return {"termination": text.strip()[-1000:]}
    return report if isinstance(report, dict) else {"termination": text.strip()}
