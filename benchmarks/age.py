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
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tickvault.cli.status import command as status
from tickvault.core.batch import Batch
from tickvault.core.package import Cursor, Package, fingerprint
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.core.stream import INSTANT, Stream, required
from tickvault.engines.postgres.connection import Connection
from tickvault.engines.scratch import scratch
from tickvault.engines.snowflake import tables
from tickvault.engines.snowflake.session import Connection as Snowflake
from tickvault.engines.storage import FolderStorage
from tickvault.ledger import Ledger
from tickvault.ledger.builds import Build
from tickvault.local import postgres
from tickvault.local.snowflake.process import start as start_emulator
from tickvault.runs.entry import run_job
from tickvault.sinks.snowflake import SnowflakeSink
from tickvault.sources import Source
from tickvault.transfer import catalog
from tickvault.transfer.extraction import Extraction
from tickvault.transfer.loading import Loading
from tickvault.warehouse.build import Building
from tickvault.warehouse.journal import Journal
from tickvault.warehouse.target import target

GOAL = 1.5
NOW = datetime(2026, 11, 20, tzinfo=UTC)
SYMBOLS = [f"SYM{n:02d}" for n in range(50)]
SCHEMA = pa.schema([required("symbol", pa.string()), required("observed_at", INSTANT), pa.field("value", pa.int64())])


def stream(name: str) -> Stream:
    """Return a stream of the benchmark's source."""
    return Stream(f"raw_{name}", SCHEMA, ("symbol", "observed_at"), "observed_at", f"bench/{name}")


DAILY = tuple(stream(f"daily_{n}") for n in range(10))
OFTEN = stream("five_minute")


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


def package(stream_: Stream, slot: Slot) -> Package:
    """Return the package of a slot, as its manifest says."""
    folder = f"{stream_.lake_path}/dt={slot.date}/{slot.id}/r0"
    cursor = dict.fromkeys(SYMBOLS, slot.time.isoformat())
    return Package(
        "bench", stream_.name, slot, 0, f"{folder}/manifest.json", 0, (), fingerprint(stream_.landed_schema), cursor,
        (), None, 0, uuid.uuid4().hex, slot.time, declares=stream_,
    )  # fmt: skip


def age(settings: Settings, daily: int, often: int) -> None:
    """Give a platform its history."""
    Ledger.open(settings).close()
    storage = FolderStorage(settings.lake_path / settings.minio_bucket)
    histories = [(s, daily, timedelta(days=1)) for s in DAILY] + [(OFTEN, often, timedelta(minutes=5))]
    with Connection.open(settings) as connection:
        for stream_, slots, step in histories:
            began = time.monotonic()
            cursor = json.dumps(dict.fromkeys(SYMBOLS, "x"))
            # In pieces, the oldest first: one transaction for all would keep every version of the kept cursor's row.
            for last in range(slots, 0, -100):
                history = (stream_.name, stream_.lake_path, NOW, step)
                connection.run(_PACKAGES, cursor, *history, max(1, last - 99), last)
            for n in range(1, slots + 1):
                one = package(stream_, Slot.of(NOW - n * step))
                path = storage.root / one.manifest_key
                path.parent.mkdir(parents=True)
                path.write_bytes(one.to_json())
            print(f"  {stream_.name}: {slots:,} slots in {time.monotonic() - began:.0f} s", flush=True)
        connection.run(_RUNS)
        connection.run(_LOADS, SnowflakeSink.target(settings))
        for sql in (_BUILDS, _MODELS, "VACUUM ANALYZE"):  # the server's own would come minutes later
            connection.run(sql)
        # A hundred packages in one transaction left a hundred versions of this row; one after the other they leave two.
        connection.run("VACUUM FULL data_platform.cursors")
        loads = connection.rows(
            "SELECT package_id, source, stream, run_id FROM data_platform.loads WHERE sink = 'snowflake'"
        )
        counts = {
            t: connection.one(f"SELECT count(*) FROM data_platform.{t}")[0] for t in ("runs", "packages", "loads")
        }
    fill_snowflake(settings, loads)
    print("  " + ", ".join(f"{n:,} {name}" for name, n in counts.items()), flush=True)


def fill_snowflake(settings: Settings, loads: list[tuple[str, ...]]) -> None:
    """Note the same loads in the target's own ledger."""
    names = tables.Names.of(settings)
    columns = list(zip(*loads, strict=True))
    slots = [package_id.split(".")[2] for package_id in columns[0]]
    counts = {name: [0] * len(loads) for name in tables.COUNTS.values()}
    texts = dict(zip(("PACKAGE_ID", "SOURCE", "STREAM", "RUN_ID"), columns, strict=True))
    table = pa.table(
        {**texts, "SLOT": slots, "ATTEMPT": columns[3], **counts, "LOADED_AT": [NOW.replace(tzinfo=None)] * len(loads)}
    )
    with closing(Snowflake(settings)) as session, scratch() as folder:
        for sql in tables.foundation(names):
            session.run(sql)
        pq.write_table(table, folder / "loads.parquet")
        session.run(f"PUT 'file://{folder}/loads.parquet' @{names.stage}/age/ AUTO_COMPRESS = FALSE")
        session.run(tables.copy(names.loads, f"{names.stage}/age/"))
        assert session.run(f"SELECT COUNT(*) FROM {names.loads}")[0][0] == len(loads)


_PACKAGES = """
    WITH given AS (SELECT %s::jsonb AS cursor, %s::text AS stream, %s::text AS path, %s::timestamptz AS now,
        %s::interval AS step, %s::integer AS first, %s::integer AS last),
    history AS (SELECT given.*, now - n * step AS slot FROM given, generate_series(first, last) n)
    INSERT INTO data_platform.packages (package_id, source, stream, slot, revision, rows, rejected, manifest_key,
        cursor, watermark_column, watermark_value, outcomes, run_id, landed_at, registered_at)
    SELECT concat_ws('.', 'bench', stream, to_char(slot AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISS"Z"'), 'r0'), 'bench',
        stream, slot, 0, 0, 0, format('%%s/dt=%%s/%%s/r0/manifest.json', path,
            to_char(slot AT TIME ZONE 'UTC', 'YYYY-MM-DD'), to_char(slot AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISS"Z"')),
        cursor, 'observed_at', slot::text, '[]', 'run', slot, slot
    FROM history ORDER BY history.slot"""
_RUNS = """
    INSERT INTO data_platform.runs (run_id, job, slot, status, started_at, finished_at, exit_code)
    SELECT md5(random()::text || slot || job), job, slot, 'complete', slot, slot, 0
    FROM (SELECT DISTINCT slot FROM data_platform.packages
        WHERE slot > '2026-11-20'::timestamptz - interval '400 days') s
    CROSS JOIN unnest(ARRAY['extract-old', 'load-postgres-old', 'load-snowflake-old']) job"""
_LOADS = """
    INSERT INTO data_platform.loads (package_id, sink, source, stream, slot, run_id, loaded_at, target)
    SELECT package_id, sink, source, stream, slot, 'run', slot, CASE sink WHEN 'snowflake' THEN %s END
    FROM data_platform.packages CROSS JOIN unnest(ARRAY['postgres', 'snowflake']) sink"""
_BUILDS = """
    INSERT INTO data_platform.builds (build_id, run_id, target, slot, selection, inputs, status, started_at,
        finished_at)
    SELECT md5(random()::text || slot || target), 'run', target, slot, '', 'old', 'green', slot, slot
    FROM (SELECT DISTINCT slot FROM data_platform.packages WHERE stream = 'raw_daily_0') s
    CROSS JOIN unnest(ARRAY['dev-snowflake', 'dev-trino']) target"""
_MODELS = """
    INSERT INTO data_platform.models (build_id, run_id, target, node, kind, status, seconds)
    SELECT build_id, 'run', target, 'node_' || n, 'model', 'success', 1
    FROM data_platform.builds, generate_series(1, 160) n
    WHERE slot > '2026-11-20'::timestamptz - interval '90 days'"""


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
