"""What a flow's steps amount to: never green unless everything is complete."""

from dataclasses import dataclass

from tickvault.core.errors import ExitCode, worst
from tickvault.runners.runner import StepEnd

SKIPPED = -1
"""Exit code of a step that was not tried, because the step before it failed."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """A step and how it ended; ``attempts`` counts from 1."""

    name: str
    end: StepEnd
    attempts: int = 1

    @property
    def status(self) -> str:
        """complete, off, partial, failed or skipped."""
        code = self.end.exit_code
        if code == SKIPPED:
            return "skipped"
        if code == ExitCode.COMPLETE:
            return "off" if self.end.report.get("off") else "complete"
        return "partial" if code == ExitCode.PARTIAL else "failed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A flow's end.

    Args:
        name: Complete, Partial or Failed: the name of its Prefect state.
        message: Which steps and why, or what was done.
        exit_code: The worst of its steps.
    """

    name: str
    message: str
    exit_code: int


def judge(results: list[StepResult]) -> Verdict:
    """Judge a flow by its steps; a source that is off, or does not offer a coin, is no failure."""
    bad = [r for r in results if r.status not in ("complete", "off")]
    if not bad:
        off = [r.name for r in results if r.status == "off"]
        rows = sum(r.end.rows for r in results if r.name.startswith("load-"))
        note = f" ({', '.join(off)}: off)" if off else ""
        return Verdict("Complete", f"{len(results)} steps complete, {rows:,} rows loaded{note}", 0)
    why = "; ".join(f"{r.name} {r.status}: {r.end.sentence}" for r in bad)
    whole = all(r.status in ("failed", "skipped") for r in results)
    code = worst(r.end.exit_code for r in bad if r.status != "skipped")
    return Verdict("Failed" if whole else "Partial", why, code)
