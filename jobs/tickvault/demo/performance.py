"""Puts the demo on the terminal: what runs now, one line per flow and day, and the table at the end."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.table import Table

from tickvault.core.errors import ConfigError, worst
from tickvault.core.program import pasted
from tickvault.core.pulse import Pulse
from tickvault.core.settings import Settings, export
from tickvault.demo.days import Day, Player, Stopwatch, calendar
from tickvault.demo.tally import Built, Tally, built, fingerprint, landed, tallies
from tickvault.flows.host import StepEvent
from tickvault.flows.local import FlowResult
from tickvault.flows.plan import PLANS
from tickvault.local import engines as local
from tickvault.local.home import Home
from tickvault.local.prefect import prefect_server
from tickvault.runners.process import ProcessRunner

_COLORS = {0: "green", 10: "yellow"}
_TAIL_LINES = 12


class Performance:
    """One performance of the demo.

    Args:
        console: Where to show it.
        home: Folder of the engines and their data.
        port: Port of the simulated market; None: the one of before.
    """

    def __init__(self, console: Console, home: Home, port: int | None = None) -> None:
        self.console, self.home, self.port = console, home, port
        self._running: dict[str, float] = {}
        self._tail: list[str] = []
        self._lock = threading.Lock()
        self._status: Status | None = None
        self._now, self._started = "", time.monotonic()
        self._pulse = Pulse(self._say)

    def run(self, *, days: int, build: str, fresh: bool) -> int:
        """Run it all; returns the exit code of what went worst.

        Raises:
            ConfigError: Another demo runs in this folder, or with ``fresh`` somebody uses its engines.
        """
        started = time.monotonic()
        with self.home.alone("demo"):
            if fresh:
                self._forget()
            if self.port is not None and not local.are_running(self.home):
                self.home.choose_market_port(self.port)
            return self._run(days, build, started)

    def _run(self, days: int, build: str, started: float) -> int:
        live, folder = self.home.live, self.home.folder
        market = "the public APIs" if live else "a simulated market"
        self.console.print(f"[bold]Tickvault[/] on this machine, against {market}; everything is kept in {folder}")
        with self._busy("starting PostgreSQL, the Snowflake emulator and the market"), self._player() as player:
            self._headline(started, "engines are up")
            codes: list[int] = []
            for day in calendar(days, build, live=live):
                codes += self._day(player, day, started)
            again, same = self._again(player, day, started)
            self._end(player.settings, player.stopwatch, time.monotonic() - started)
        return worst([*codes, *again]) or (0 if same else 1)

    def _forget(self) -> None:
        """Remove what an earlier demo left."""
        if users := local.end(self.home):
            raise ConfigError(f"the engines of {self.home.folder} are in use by {', '.join(users)}; wait for it")
        self.home.empty()

    @contextmanager
    def _player(self) -> Iterator[Player]:
        settings = Settings.load(tickvault_home=self.home.folder)
        minutes = settings.tickvault_local_idle_minutes
        with (
            prefect_server(settings) as server,
            local.use(self.home, "tickvault demo", idle_minutes=minutes, passing=True) as engines,
        ):
            for note in engines.notes:
                self.console.print(f"[yellow]{note}[/]", highlight=False)
            engines.wake()
            engines.borrow_clock()
            export(engines.environment)
            with ProcessRunner(engines.environment) as runner:
                runner.warm()
                yield Player(Settings.load(), engines, runner, server, self._listen)
            engines.keep()

    def _day(self, player: Player, day: Day, started: float) -> list[int]:
        """Run a day and return how its flows and its build ended."""
        before = landed(player.settings, day.slot)
        self._now = f"{day.slot.date} {day.title}"
        results = player.play(day)
        whole = {source for plan in PLANS for source in plan.sources} <= set(before)
        who = "every source" if whole else ", ".join(before)
        resumed = f", resumed: {who} had landed before" if before else ""
        self._headline(started, self._now + resumed)
        for result in results:
            self._show(result)
        codes = [r.verdict.exit_code for r in results]
        if day.build and not any(codes):
            self._now = "dbt builds, tests and publishes the warehouse"
            end = player.build(day.slot)
            color = _COLORS.get(end.exit_code, "red")
            text = end.sentence or _published(end.report)
            self.console.print(f"          [{color}]{'dbt build':<24}[/] {text}, {end.seconds:.1f} s")
            codes.append(end.exit_code)
        if any(codes):
            self.console.print("\n".join(self._tail), markup=False, style="dim")
        return codes

    def _again(self, player: Player, day: Day, started: float) -> tuple[list[int], bool]:
        """Run the last day once more; returns how its flows ended, and whether both targets are as they were."""
        self._now = f"{day.slot.date} the same day once more"
        before = fingerprint(player.settings)
        codes = [r.verdict.exit_code for r in player.play(day)]
        after = fingerprint(player.settings)
        self._headline(started, f"{day.slot.date} the same day once more")
        if before == after:
            self.console.print(
                f"          [green]nothing doubled[/]: {after.postgres_rows:,} rows in PostgreSQL, "
                f"{after.snowflake_rows:,} in Snowflake, checksum {after.checksum}, before and after"
            )
        else:
            self.console.print(f"          [red]rows changed[/]: {before} became {after}")
        return codes, before == after

    def _show(self, result: FlowResult) -> None:
        steps = {s.name: s.end for s in result.steps}
        rows = sum(o.rows for name, o in steps.items() if name.startswith("extract-"))
        color = _COLORS.get(result.verdict.exit_code, "red")
        text = f"{rows:>9,} rows read, {sum(o.seconds for o in steps.values()):>5.1f} s in {len(steps)} steps"
        off = [name.removeprefix("extract-") for name, o in steps.items() if o.report.get("off")]
        text += f"; off: {', '.join(off)}" if off else ""
        text += f"; {result.verdict.message}" if result.verdict.exit_code else ""
        self.console.print(f"          [{color}]{result.flow:<24}[/] {text}", highlight=False)

    def _end(self, settings: Settings, stopwatch: Stopwatch, seconds: float) -> None:
        self.console.print()
        self.console.print(sources_table(tallies(settings), stopwatch))
        if models := built(settings):
            self.console.print()
            self.console.print(marts_table(models))
            self.console.print()
        loads = {n: s for n, s in stopwatch.seconds.items() if n.startswith("load-")}
        for sink in PLANS[0].sinks:
            total = sum(s for name, s in loads.items() if name.startswith(f"load-{sink}"))
            self.console.print(f"loading into {sink} took {total:.1f} s in all", highlight=False)
        self.console.print(f"\n[bold]done in {seconds:.0f} s[/]. What to look at next:", highlight=False)
        for what, command in _NEXT:
            if what:
                self.console.print(f"  [dim]{what}[/]", highlight=False)
            self.console.print(f"    {pasted(command)}", highlight=False, soft_wrap=True)

    def _listen(self, event: StepEvent) -> None:
        with self._lock:
            if event.kind == "started":
                self._running[event.step] = time.monotonic()
            elif event.kind == "line" and (said := _worth_saying(event.line)):
                self._tail = [*self._tail, f"{event.step}: {said}"][-_TAIL_LINES:]
            elif event.kind == "ended":
                self._running.pop(event.step, None)
            if self._status:
                self._status.update(f"{self._now}  " + "  ".join(self._running))

    def _headline(self, started: float, text: str) -> None:
        self._pulse.heard()
        self.console.print(f"[dim]{time.monotonic() - started:7.1f} s[/] [bold]{text}[/]", highlight=False)

    @contextmanager
    def _busy(self, text: str) -> Iterator[None]:
        """Show what is under way: a line that changes on a terminal, a further line now and then elsewhere."""
        self._now = text
        if not self.console.is_terminal:
            with self._pulse:
                yield
            return
        with self.console.status(text) as self._status:
            yield
        self._status = None

    def _say(self) -> None:
        with self._lock:
            steps = ", ".join(f"{step} {time.monotonic() - since:.0f} s" for step, since in self._running.items())
        seconds = time.monotonic() - self._started
        self.console.print(
            f"{seconds:7.1f} s … {self._now}{': ' if steps else ''}{steps}",
            style="dim",
            highlight=False,
            soft_wrap=True,
        )


_NEXT = (
    ("where the engines are, and what ran, landed and was loaded", "tickvault local status"),
    ("what coins and stocks cost now", "tickvault local latest BTC AAPL"),
    ("a metric by its dimensions", "tickvault local metric revenue --by tier"),
    ("a shell for SQL, with completion and history, and a question without it", "tickvault local sql"),
    ("", 'tickvault local query "select symbol, date, close from raw_cryptobars order by date desc limit 5"'),
    (
        "the same marts in the Snowflake emulator",
        'tickvault local query --on snowflake "select * from MARTS.DIM_ASSET"',
    ),
    ("a mart as a file", "tickvault local export fct_transactions --parquet trades.parquet"),
    ("the sealed packages of the lake", "tickvault local lake ls"),
    ("how psql, DBeaver and notebooks connect", "tickvault local up"),
)
"""What is worth asking, and the command that asks it: alone on its line, to be pasted."""


def _worth_saying(line: str) -> str:
    """Return what a person needs of a step's line where something went wrong: all but what a log notes in passing."""
    try:
        logged = json.loads(line)
        return "" if logged["level"] in {"debug", "info"} else str(logged["message"])
    except (ValueError, KeyError, TypeError):
        return line


def _published(report: dict[str, Any]) -> str:
    if report.get("covered_by"):
        return "nothing was loaded since the last build"
    names = report.get("published") or {}
    return f"built and tested {report.get('nodes', 0)} nodes, published {len(names)} marts and semantic models"


def marts_table(models: list[Built]) -> Table:
    """Draw what the last build left in the warehouse; seconds are those of its statements."""
    table = Table(box=None, pad_edge=False, header_style="bold", title="What was built of it", title_justify="left")
    table.add_column("model")
    for name in ("tables", "rows", "s"):
        table.add_column(name, justify="right")
    for model in models:
        table.add_row(model.name, str(model.tables), f"{model.rows:,}", f"{model.seconds:.1f}")
    return table


def sources_table(rows: list[Tally], stopwatch: Stopwatch) -> Table:
    """Draw what each source brought; seconds and rows/s are those of this demo, empty where it read nothing."""
    table = Table(box=None, pad_edge=False, header_style="bold", title="What landed where", title_justify="left")
    table.add_column("source")
    for name in (
        "read",
        "rejected",
        "PostgreSQL\nloaded",
        "\nunchanged",
        "Snowflake\nloaded",
        "\nunchanged",
        "s",
        "rows/s",
    ):
        table.add_column(name, justify="right")
    for row in rows:
        seconds = stopwatch.seconds.get(f"extract-{row.source.replace('_', '-')}", 0.0)
        table.add_row(
            row.source,
            *(f"{n:,}" for n in (row.read, row.rejected, row.postgres_loaded, row.postgres_unchanged)),
            *(f"{n:,}" for n in (row.snowflake_loaded, row.snowflake_unchanged)),
            f"{seconds:.1f}",
            f"{row.read / seconds:,.0f}" if seconds else "",
        )
    for known in {s for p in PLANS for s in p.sources} - {r.source for r in rows}:
        table.add_row(known, *["-"] * 8)
    return table
