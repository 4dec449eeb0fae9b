"""What a run costs on a platform of three years against a fresh one, side by side on one server.

The old ledger knows 1,100 daily slots of ten packages each and 300,000 five-minute slots of one, all loaded into both
targets, with the runs, builds and logs that made them; its lake has every manifest, and its raw tables a row for each
package. What retention removes by its defaults is not there. Each thing is done in turn on the old and on the fresh
platform; the table shows medians and their ratio, and the goal is that none is above 1.5.

Run it with ``python benchmarks/age.py [--daily 1100] [--five-minute 300000] [--times 9]``; it exits with 1 when a goal
is missed. Making the old platform takes some minutes.
"""

import argparse
import contextlib
import io
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from past import DAILY, NOW, OFTEN, SYMBOLS, age

from tickvault.cli.status import command as status
from tickvault.core.batch import Batch
from tickvault.core.package import Cursor
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.core.stream import Stream
from tickvault.ledger import Ledger
from tickvault.ledger.builds import Build
from tickvault.local import postgres
from tickvault.local.snowflake.process import start as start_emulator
from tickvault.runs.entry import run_job
from tickvault.sources import Source
from tickvault.transfer import catalog
from tickvault.transfer.extraction import Extraction
from tickvault.transfer.loading import Loading
from tickvault.warehouse.build import Building
from tickvault.warehouse.journal import Journal
from tickvault.warehouse.target import target

GOAL = 1.5


class Bench(Source):
    """Yields a row per symbol for the slot."""

    name = "bench"
    streams = (DAILY[0], OFTEN)

    def read(self, stream: Stream, since: Cursor | None) -> Iterator[Batch]:
        """Read as ``Source.read`` says."""
        assert since is None or len(since) == len(SYMBOLS)
        time_ = self.context.slot.time
        rows = [{"symbol": s, "observed_at": time_, "value": n} for n, s in enumerate(SYMBOLS)]
        built = self.context.builder(stream).build(rows)
        yield Batch(stream, built.batch, dict.fromkeys(SYMBOLS, time_.isoformat()))


@dataclass
class Platform:
    """One platform: its settings, and how many slots it has run since."""

    settings: Settings
    runs: int = 0

    def next_slot(self) -> Slot:
        """Return a slot later than all before."""
        self.runs += 1
        return Slot.of(NOW + timedelta(minutes=5 * self.runs))


def quietly(work: Callable[[Platform], None], platform: Platform) -> None:
    """Do something on a platform without what it prints."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        work(platform)


def extract(platform: Platform) -> None:
    """Read both streams for a new slot."""
    assert run_job(Extraction("bench"), platform.settings, platform.next_slot()) == 0


def load(sink: str) -> Callable[[Platform], None]:
    """Return the load of what is pending in a sink."""

    def work(platform: Platform) -> None:
        assert run_job(Loading(sink), platform.settings, platform.next_slot()) == 0

    return work


def load_nothing(platform: Platform) -> None:
    """Load with nothing pending."""
    assert run_job(Loading("postgres", label="again"), platform.settings, platform.next_slot()) == 0


def show(*options: str) -> Callable[[Platform], None]:
    """Return ``tickvault status`` with options."""

    def work(platform: Platform) -> None:
        from tickvault.cli import status as module

        module.load_settings = lambda: platform.settings  # type: ignore[assignment]
        status.main([*options, "--json"], standalone_mode=False)

    return work


def reconcile(platform: Platform) -> None:
    """Look for runs whose Job is gone, in a cluster without Jobs."""
    from tickvault.operations.reconciliation import reconcile_ledger

    class Nothing:
        def jobs(self) -> list[dict[str, object]]:
            return []

    with Ledger.open(platform.settings) as ledger:
        reconcile_ledger(ledger, Nothing(), platform.settings, dry_run=False)  # type: ignore[arg-type]


def build_nothing(platform: Platform) -> None:
    """Ask for a build that a green one covers."""
    wanted = target("dev-trino")
    with Ledger.open(platform.settings) as ledger:
        journal = Journal(ledger, wanted)
        inputs = journal.inputs(platform.settings.dbt_project_dir, platform.settings.seeds_path)
        if journal.covering(inputs, "") is None:
            made = Build(uuid.uuid4().hex, ledger.runs.start("dbt-trino", platform.next_slot(), None), inputs)
            journal.start(made, "")
            journal.finish(made, green=True)
    assert run_job(Building(wanted), platform.settings, platform.next_slot()) == 0


def measure(
    work: Callable[[Platform], None], platforms: list[Platform], times: int, before: list[Callable[[Platform], None]]
) -> list[float]:
    """Do something in turn on each platform and return the median seconds of each."""
    seconds: list[list[float]] = [[] for _ in platforms]
    for turn in range(times + 1):
        for platform, taken in zip(platforms, seconds, strict=True):
            for step in before:
                quietly(step, platform)
            began = time.perf_counter()
            quietly(work, platform)
            if turn:  # the first warms up
                taken.append(time.perf_counter() - began)
    return [statistics.median(taken) for taken in seconds]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--daily", type=int, default=1100)
    parser.add_argument("--five-minute", type=int, default=300_000)
    parser.add_argument("--times", type=int, default=9)
    given = parser.parse_args()
    catalog.source = lambda _: Bench  # type: ignore[assignment]
    with tempfile.TemporaryDirectory(prefix="tickvault-age-") as folder, contextlib.ExitStack() as stack:
        root = Path(folder)
        uri = stack.enter_context(postgres.start(root / "pg", "old"))
        postgres.create_database(uri, "fresh")
        emulator = stack.enter_context(start_emulator(root / "snowflake"))
        platforms = []
        for name in ("old", "fresh"):
            snowflake = {k.lower(): v for k, v in emulator.environment().items()} | {"snowflake_database": name.upper()}
            settings = Settings.load(
                _env_file=None, postgres_host=str(root / "pg"), postgres_user="postgres", postgres_db=name,
                lake_path=root / name, tickvault_home=root / "home", tickvault_log_level="ERROR", **snowflake,
            )  # fmt: skip
            platforms.append(Platform(settings))
        print("making the old platform", flush=True)
        age(platforms[0].settings, given.daily, given.five_minute)
        print(f"\n{'':<28}{'fresh':>10}{'old':>10}{'ratio':>8}", flush=True)
        met = True
        for title, work, before in CASES:
            old, fresh = measure(work, platforms, given.times, before)
            met &= old <= GOAL * fresh
            print(f"{title:<28}{fresh * 1000:>7.0f} ms{old * 1000:>7.0f} ms{old / fresh:>8.2f}", flush=True)
    return 0 if met else 1


CASES: list[tuple[str, Callable[[Platform], None], list[Callable[[Platform], None]]]] = [
    ("extract", extract, []),
    ("load postgres", load("postgres"), [extract]),
    ("load, nothing pending", load_nothing, [load("postgres")]),
    ("load snowflake", load("snowflake"), [extract]),
    ("status", show(), []),
    ("status --packages", show("--packages"), []),
    ("status --watermarks", show("--watermarks"), []),
    ("reconcile", reconcile, []),
    ("build, nothing to do", build_nothing, [load("postgres")]),
]


if __name__ == "__main__":
    sys.exit(main())
