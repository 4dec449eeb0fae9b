"""Rows per second into PostgreSQL: the sink against psycopg2's ``execute_values``, in one run on one server.

The rows have ten columns, four of them ``decimal128(38,10)``. The baseline gets ready tuples, so that turning Arrow
into Python is not counted against it; the sink's time is that of a whole load: reading and checking the package,
staging, merging, the ledger and COMMIT.

Run it with ``python benchmarks/load.py [--rows 1000000]``; it exits with 1 when a goal is missed. Linux only.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import pyarrow as pa
import pyarrow.compute as pc
from psycopg2.extras import execute_values

from tickvault.core.batch import Batch
from tickvault.core.package import Package
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.core.stream import INSTANT, MONEY, Area, Stream, WriteMode, required
from tickvault.engines.storage import FolderStorage
from tickvault.lake import Lake
from tickvault.local import postgres
from tickvault.sinks.postgres import PostgresSink

SCHEMA = pa.schema(
    [
        required("symbol", pa.string()),
        required("source", pa.string()),
        required("trades", pa.int64()),
        required("note", pa.string()),
        pa.field("closed", pa.bool_()),
        pa.field("open", MONEY),
        pa.field("high", MONEY),
        pa.field("low", MONEY),
        pa.field("close", MONEY),
        required("observed_at", INSTANT),
    ]
)
SLOT = Slot(datetime(2026, 11, 20, 13, tzinfo=UTC))
BATCH_ROWS = 65_536
PAGE_ROWS = 1_000


def stream(name: str, mode: WriteMode) -> Stream:
    """Return the stream under test; appended rows have no key."""
    key = ("symbol", "observed_at") if mode is WriteMode.UPSERT else ()
    return Stream(name, SCHEMA, key, "observed_at", f"bench/{name}", name.upper(), Area.PRICES, mode)


def rows(count: int) -> Iterator[pa.RecordBatch]:
    """Yield rows whose keys come in the order a market yields them: by time, all symbols."""
    random = np.random.default_rng(7)
    symbols = pa.array([f"SYM{i:04d}" for i in range(500)])
    for start in range(0, count, BATCH_ROWS):
        n = np.arange(start, min(start + BATCH_ROWS, count))
        micros = 1_700_000_000_000_000 + (n // len(symbols)) * 60_000_000
        prices = [_prices(random, len(n)) for _ in range(4)]
        yield pa.RecordBatch.from_arrays(
            [
                symbols.take(pa.array(n % len(symbols))),
                pa.repeat("bench", len(n)),
                pa.array(n),
                pc.binary_join_element_wise("row", pa.array(n).cast(pa.string()), " "),
                pa.array(n % 2 == 0),
                *prices,
                pa.array(micros).cast(pa.timestamp("us")).cast(INSTANT),
            ],
            schema=SCHEMA,
        )


def _prices(random: np.random.Generator, count: int) -> pa.Array:
    """Return prices up to 100 000 that use all ten digits after the point."""
    words = np.zeros((count, 2), dtype=np.int64)  # low and high half of each 128 bits
    words[:, 0] = random.integers(1, 10**15, count)
    return pa.Array.from_buffers(MONEY, count, [None, pa.py_buffer(words)])


class Clock:
    """Measures wall seconds, and CPU seconds of this process and the server's sessions that ended meanwhile.

    On a machine that does other things too, the wall says how busy it is and the CPU what the work costs.
    """

    def __init__(self, data: Path) -> None:
        self._postmaster = (data / "postmaster.pid").read_text().split()[0]
        self._wall, self._cpu = time.perf_counter(), self._used()

    def read(self) -> tuple[float, float]:
        """Return wall and CPU seconds since the start."""
        wall = time.perf_counter() - self._wall
        time.sleep(0.5)  # the server counts a session's CPU once it has seen it end
        return wall, self._used() - self._cpu

    def _used(self) -> float:
        stat = Path(f"/proc/{self._postmaster}/stat").read_text().rpartition(")")[2].split()
        children = sum(map(int, stat[13:15])) / os.sysconf("SC_CLK_TCK")
        return time.process_time() + children


def sink_cost(settings: Settings, lake: Lake, stream_: Stream, package: Package) -> tuple[float, float]:
    """Time the load of a package: seconds of the wall, of CPU."""
    empty(settings, stream_.name)
    clock = Clock(Path(settings.postgres_host))
    with PostgresSink(settings, lake) as sink:
        result = sink.write(stream_, package, "bench")
    assert result.inserted == package.rows, result
    return clock.read()


def baseline_cost(settings: Settings, table: str, ready: list[tuple[Any, ...]], conflict: str) -> tuple[float, float]:
    """Time ``execute_values`` in one transaction, from ready tuples, into the very table of the sink."""
    names = ", ".join([*SCHEMA.names, "row_version", "package_id"])
    empty(settings, table)
    clock = Clock(Path(settings.postgres_host))
    with closing(psycopg2.connect(settings.postgres_dsn())) as connection, connection.cursor() as cursor:
        execute_values(cursor, f"INSERT INTO {table} AS t ({names}) VALUES %s {conflict}", ready, None, PAGE_ROWS)
        connection.commit()
    return clock.read()


def empty(settings: Settings, table: str) -> None:
    """Empty a table and forget that anything was loaded; settle what is still to be written."""
    with closing(psycopg2.connect(settings.postgres_dsn())) as connection, connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {table}, data_platform.loads")
        connection.commit()
        connection.autocommit = True
        cursor.execute("CHECKPOINT")


def compare(
    title: str, goal: float, settings: Settings, lake: Lake, stream_: Stream, conflict: str, count: int
) -> bool:
    """Measure both ways, the sink three times, and print rates and ratios of the best."""
    package = lake.land("bench", stream_, (Batch(stream_, b) for b in rows(count)), SLOT, "bench")
    with PostgresSink(settings, lake) as sink:
        sink.write(stream_, package, "first")  # makes the table and fills caches
    ready = [(*r.values(), "v1", "p1") for b in rows(count) for r in b.to_pylist()]
    theirs = baseline_cost(settings, stream_.name, ready, conflict)
    del ready
    ours = min(sink_cost(settings, lake, stream_, package) for _ in range(3))
    wall, cpu = theirs[0] / ours[0], theirs[1] / ours[1]
    print(
        f"{title:<7} sink {count / ours[0]:>9,.0f} rows/s, {ours[1]:5.1f} s CPU   execute_values"
        f" {count / theirs[0]:>7,.0f} rows/s, {theirs[1]:5.1f} s CPU"
        f"   ratio {wall:.1f}, by CPU {cpu:.1f} (goal {goal:.0f})",
        flush=True,
    )
    return wall >= goal


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    count = parser.parse_args().rows
    changed = ", ".join(f"{n} = EXCLUDED.{n}" for n in (*SCHEMA.names, "row_version", "package_id"))
    upsert = (
        f"ON CONFLICT (symbol, observed_at) DO UPDATE SET {changed}, load_timestamp = now()"
        " WHERE t.row_version < EXCLUDED.row_version"
    )
    with tempfile.TemporaryDirectory(prefix="tickvault-bench-") as folder, postgres.start(Path(folder) / "pg"):
        settings = Settings.load(
            _env_file=None, postgres_host=str(Path(folder) / "pg"), postgres_user="postgres", postgres_db="stock_data"
        )
        lake = Lake(FolderStorage(Path(folder) / "lake"))
        appended, merged = stream("bench_append", WriteMode.APPEND), stream("bench_upsert", WriteMode.UPSERT)
        met = [
            compare("append", 10, settings, lake, appended, "", count),
            compare("upsert", 5, settings, lake, merged, upsert, count),
        ]
    return 0 if all(met) else 1


if __name__ == "__main__":
    raise SystemExit(main())
