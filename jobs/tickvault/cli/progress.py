"""Live progress of steps on standard error: one line per step as it ends; ``Progress`` is a flow's listener."""

import sys
import threading
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tickvault.flows.host import StepEvent
    from tickvault.flows.verdict import StepResult

_COLOURS = {"complete": "green", "off": "bright_black", "partial": "yellow", "failed": "red", "skipped": "bright_black"}


class Progress:
    """Prints what happens to steps; on a terminal the last line says which are under way.

    Args:
        verbose: Print the steps' own log lines too.
    """

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self._running: list[str] = []
        self._lock = threading.Lock()
        self._live = sys.stderr.isatty()

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
        with self._lock:
            click.echo(("\r\x1b[K" if self._live else "") + line, err=True)
        self._status()

    def _status(self) -> None:
        if self._live:
            with self._lock:
                text = f"  … {', '.join(self._running)}"[:100] if self._running else ""
                click.echo(f"\r\x1b[K{text}", nl=False, err=True)


def describe(result: "StepResult") -> str:
    """Say a step's end in a line: its name, status, rows, seconds, and what there is to know."""
    status = click.style(f"{result.status:<9}", fg=_COLOURS[result.status])
    tries = f", attempt {result.attempts}" if result.attempts > 1 else ""
    rows = f"{result.end.rows:>9,} rows" if result.status in ("complete", "partial") else " " * 14
    line = f"{result.name:<45} {status} {rows} {result.end.seconds:6.1f} s{tries}  {result.end.sentence}"
    return line.rstrip()
