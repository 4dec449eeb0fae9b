"""Generate trades into Parquet, against Faker row by row in the same run; exits with 1 when a promise is not kept.

Run it with ``python benchmarks/generator.py [--rows 1000000] [--memory-rows 10000000]``.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.engines.http.client import HttpClient
from tickvault.market.streams import CUSTOMERS, TRANSACTIONS_PERSONAL
from tickvault.sources import Context
from tickvault.sources.faker_market import FakerMarket

LEAST_ROWS_PER_SECOND = 500_000
MOST_MEMORY_MIB = 256
SLOT = Slot.parse("20261120T130000Z")
BASELINE_ROWS = 2_000


def platform(rows: int) -> Iterator[pa.RecordBatch]:
    """Yield about as many personal trades: four fifths of a day's."""
    settings = Settings.load(
        faker_num_stock_transactions=rows * 5 // 8, faker_num_crypto_transactions=rows * 5 // 8, history_days=1
    )
    source = FakerMarket(Context(settings, HttpClient(settings), SLOT))
    for batch in source.read(TRANSACTIONS_PERSONAL, None):
        yield batch.records


def baseline(rows: int) -> Iterator[pa.RecordBatch]:
    """Yield trades as the obvious loop makes them: one Faker call per value, one dict per row."""
    from faker import Faker  # here, so that it does not count as the platform's memory

    fake = Faker()
    fake.seed_instance(1)
    made = []
    for number in range(rows):
        quantity, price = (Decimal(str(fake.pyfloat(min_value=1, max_value=1000, right_digits=4))) for _ in range(2))
        made.append(
            {
                "transaction_id": f"T{number}",
                "customer_id": fake.bothify("C######"),
                "customer_type": "personal",
                "company_id": None,
                "asset_type": fake.random_element(("stock", "crypto")),
                "asset_symbol": fake.cryptocurrency_code(),
                "transaction_type": fake.random_element(("buy", "sell")),
                "quantity": quantity,
                "price_per_unit": price,
                "transaction_amount": quantity * price,
                "fee_amount": round(quantity * price / 1000, 10),
                "currency": fake.currency_code(),
                "transaction_timestamp": fake.date_time_this_year(),
            }
        )
    yield pa.RecordBatch.from_pylist(made, TRANSACTIONS_PERSONAL.schema)


def write(batches: Iterator[pa.RecordBatch], folder: Path) -> int:
    """Write batches to Parquet as the lake does, and return the rows."""
    rows = 0
    schema = TRANSACTIONS_PERSONAL.schema
    repeating = [
        f.name for f in schema if pa.types.is_string(f.type) and f.name not in TRANSACTIONS_PERSONAL.primary_key
    ]
    with pq.ParquetWriter(folder / "part", schema, compression="zstd", use_dictionary=repeating) as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def rows_per_second(batches: Iterator[pa.RecordBatch], name: str) -> float:
    """Return rows per second of CPU time over all threads: the wall clock of a busy machine says little."""
    with tempfile.TemporaryDirectory() as folder:
        start, start_cpu = time.perf_counter(), time.process_time()
        rows = write(batches, Path(folder))
        seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    print(f"{name:<20}{rows:>12,} rows{seconds:>8.2f} s{cpu:>8.2f} s CPU{rows / cpu:>14,.0f} rows/s")
    return rows / cpu


def peak_memory(rows: int) -> float:
    """Return the MiB a process of its own needs at most to generate and write so many rows."""
    code = [sys.executable, __file__, "--only-memory", "--rows", str(rows)]
    return float(subprocess.run(code, check=True, capture_output=True, text=True).stdout.split()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--memory-rows", type=int, default=10_000_000, help="0 leaves the memory out")
    parser.add_argument("--only-memory", action="store_true", help="generate, and print the peak memory in MiB")
    given = parser.parse_args()
    if given.only_memory:
        with tempfile.TemporaryDirectory() as folder:
            write(platform(given.rows), Path(folder))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return 0
    next(FakerMarket(Context(settings := Settings.load(), HttpClient(settings), SLOT)).read(CUSTOMERS, None))
    slow = rows_per_second(baseline(BASELINE_ROWS), "Faker, row by row")
    fast = rows_per_second(platform(given.rows), "faker_market")
    print(f"ratio {fast / slow:,.0f} x; at least {LEAST_ROWS_PER_SECOND:,} rows/s wanted")
    kept = fast >= LEAST_ROWS_PER_SECOND
    if given.memory_rows:
        peak = peak_memory(given.memory_rows)
        print(f"peak memory at {given.memory_rows:,} rows: {peak:.0f} MiB; at most {MOST_MEMORY_MIB} wanted")
        kept = kept and peak <= MOST_MEMORY_MIB
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
