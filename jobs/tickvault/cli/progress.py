"""Live progress of steps on standard error: one line per step as it ends; ``Progress`` is a flow's listener."""

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from tickvault.core.pulse import Pulse

if TYPE_CHECKING:
    from tickvault.flows.host import StepEvent
    from tickvault.flows.verdict import StepResult

_COLOURS = {"complete": "green", "off": "bright_black", "partial": "yellow", "failed": "red", "skipped": "bright_black"}


class Progress:
    """Prints what happens to steps; which are under way is a terminal's last line, elsewhere a line now and then.

    Args:
        verbose: Print the steps' own log lines too.
    """

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self._running: list[str] = []
        self._lock = threading.Lock()
        self._live = sys.stderr.isatty()
        self._pulse = Pulse(self._say)

    def __enter__(self) -> Self:
        if not self._live:
            self._pulse.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._live:
            self._pulse.__exit__(kind, error, traceback)

    def __call__(self, event: "StepEvent") -> None:
        """Show an event."""
        with self._lock:
            if event.kind == "started" and event.step not in self._running:
                self._running.append(event.step)
            if event.kind == "ended" and event.step in self._running:
                self._running.remove(event.step)
        if event.kind == "line" and self._verbose:
            self.write(f"  {event.step} | {event.line}")
        elif event.kind == "again":
            self.write(f"  {event.step:<45} {click.style('again', fg='yellow')}  {event.line}")
        elif event.kind == "ended" and event.result:
            self.write(f"  {describe(event.result)}")
        else:
            self._status()

    def write(self, line: str) -> None:
        """Print a line above the status."""
        self._pulse.heard()
        with self._lock:
            click.echo(("\r\x1b[K" if self._live else "") + line, err=True)
        self._status()

    def _status(self) -> None:
        if self._live:
            click.echo(f"\r\x1b[K{self._under_way()[:100]}", nl=False, err=True)

    def _say(self) -> None:
        if text := self._under_way():
            click.echo(text, err=True)

    def _under_way(self) -> str:
        with self._lock:
            return f"  … {', '.join(self._running)}" if self._running else ""


def describe(result: "StepResult") -> str:
    """Say a step's end in a line: its name, status, rows, seconds, and what there is to know."""
    status = click.style(f"{result.status:<9}", fg=_COLOURS[result.status])
    tries = f", attempt {result.attempts}" if result.attempts > 1 else ""
    rows = f"{result.end.rows:>9,} rows" if result.status in ("complete", "partial") else " " * 14
    line = f"{result.name:<45} {status} {rows} {result.end.seconds:6.1f} s{tries}  {result.end.sentence}"
    return line.rstrip()
