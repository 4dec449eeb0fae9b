"""Rows per second into PostgreSQL: the sink against psycopg2's ``execute_values``, in one run on one server.

The rows have ten columns, four of them ``decimal128(38,10)``. The baseline gets ready tuples, so that turning Arrow
into Python is not counted against it; the sink's time is that of a whole load: reading and checking the package,
staging, merging, the ledger and COMMIT.

    python benchmarks/load.py --rows 1000000
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psycopg2
import pyarrow as pa
import pyarrow.compute as pc
from psycopg2.extras import execute_values

from tickvault.embedded import postgres
from tickvault.lake import Lake
from tickvault.settings import Settings
from tickvault.sinks.postgres import PostgresSink
from tickvault.slot import Slot
from tickvault.source import Batch
from tickvault.storage import FolderStorage
from tickvault.stream import INSTANT, MONEY, Area, Stream, WriteMode, required

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


def sink_seconds(settings: Settings, lake: Lake, stream_: Stream, count: int) -> float:
    """Land the rows, then time the load of the package."""
    package = lake.land("bench", stream_, (Batch(stream_, b) for b in rows(count)), SLOT, "bench")
    with PostgresSink(settings, lake) as sink:
        sink.loaded()  # connect and set the ledger up
        started = time.perf_counter()
        result = sink.write(stream_, package, "bench")
        seconds = time.perf_counter() - started
    assert result.inserted == count, result
    return seconds


def baseline_seconds(settings: Settings, table: str, count: int, conflict: str) -> float:
    """Time ``execute_values`` in one transaction, from ready tuples, into a table like the sink's."""
    names = [*SCHEMA.names, "row_version", "package_id"]
    ready = [(*r.values(), "v1", "p1") for b in rows(count) for r in b.to_pylist()]
    with psycopg2.connect(settings.postgres_dsn()) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table}_baseline (LIKE {table} INCLUDING ALL)")
        started = time.perf_counter()
        execute_values(
            cursor,
            f"INSERT INTO {table}_baseline AS t ({', '.join(names)}) VALUES %s {conflict}",
            ready,
            None,
            PAGE_ROWS,
        )
        connection.commit()
        seconds = time.perf_counter() - started
    connection.close()
    return seconds


def compare(title: str, goal: float, count: int, sink: Callable[[], float], baseline: Callable[[], float]) -> bool:
    """Print both rates and their ratio."""
    ours, theirs = sink(), baseline()
    print(
        f"{title:<8} sink {count / ours:>10,.0f} rows/s   execute_values {count / theirs:>8,.0f} rows/s"
        f"   ratio {theirs / ours:5.1f} (goal {goal:.0f})"
    )
    return theirs / ours >= goal


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
            compare(
                "append",
                10,
                count,
                lambda: sink_seconds(settings, lake, appended, count),
                lambda: baseline_seconds(settings, appended.name, count, ""),
            ),
            compare(
                "upsert",
                4,
                count,
                lambda: sink_seconds(settings, lake, merged, count),
                lambda: baseline_seconds(settings, merged.name, count, upsert),
            ),
        ]
    return 0 if all(met) else 1


if __name__ == "__main__":
    raise SystemExit(main())
