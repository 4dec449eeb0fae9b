"""Peak memory of the jobs that land and load a big package, each in a process of its own; exits with 1 above 256 MiB.

``land`` streams rows into the lake as an extract job does, ``load`` is the whole job ``tickvault load postgres``. The
baseline reads the same package as one table, which is what the jobs must not do.

Run it with ``python benchmarks/memory.py [--rows 10000000]``.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tickvault.local import postgres

if TYPE_CHECKING:
    from tickvault.core.batch import Batch
    from tickvault.core.settings import Settings
    from tickvault.lake import Lake

GOAL_MIB = 256
BATCH_ROWS = 65_536
SLOT = "20261120T130000Z"
# Everything heavy is imported in the children alone: a child's peak starts from that of the process it came from.


def batches(count: int) -> Iterator["Batch"]:
    """Yield daily bars: nine columns, five of them ``decimal128(38,10)``."""
    import numpy as np
    import pyarrow as pa

    from tickvault.core.batch import Batch
    from tickvault.core.stream import INSTANT, MONEY
    from tickvault.market.streams import BARS_BINANCE as STREAM

    symbols = pa.array([f"SYM{i:05d}" for i in range(10_000)])
    for start in range(0, count, BATCH_ROWS):
        n = np.arange(start, min(start + BATCH_ROWS, count))
        words = np.zeros((len(n), 2), dtype=np.int64)  # low and high half of each 128 bits
        words[:, 0] = n * 1_234_567 % 10**15
        price = pa.Array.from_buffers(MONEY, len(n), [None, pa.py_buffer(words)])
        days = pa.array((n // len(symbols)).astype("int32") + 15_000).cast(pa.date32())
        observed = pa.array(1_700_000_000_000_000 + n).cast(pa.timestamp("us")).cast(INSTANT)
        columns = [symbols.take(pa.array(n % len(symbols))), pa.repeat("binance", len(n)), days, *[price] * 5, observed]
        yield Batch(STREAM, pa.RecordBatch.from_arrays(columns, schema=STREAM.schema))


def opened() -> tuple["Settings", "Lake"]:
    """Open the settings and the lake of the run."""
    from tickvault.core.settings import Settings
    from tickvault.engines.storage import open_storage
    from tickvault.lake import Lake

    settings = Settings.load(_env_file=None)
    return settings, Lake(open_storage(settings))


def land(count: int) -> None:
    """Land the rows and note the package."""
    from tickvault.core.slot import Slot
    from tickvault.ledger import Ledger
    from tickvault.market.streams import BARS_BINANCE as STREAM

    settings, lake = opened()
    package = lake.land("binance", STREAM, batches(count), Slot.parse(SLOT), "bench")
    with Ledger.open(settings) as ledger:
        ledger.packages.register(STREAM, package, [])


def load(_count: int) -> None:
    """Run the job that loads what is pending."""
    from tickvault.runs.entry import run_job
    from tickvault.transfer.loading import Loading

    settings, _ = opened()
    code = run_job(Loading("postgres"), settings)
    assert code == 0, f"the load ended with {code}"


def baseline(count: int) -> None:
    """Read the package whole."""
    import pyarrow as pa

    from tickvault.core.slot import Slot
    from tickvault.market.streams import BARS_BINANCE as STREAM

    _, lake = opened()
    package = lake.sealed(STREAM, Slot.parse(SLOT))
    assert package is not None
    assert pa.Table.from_batches(lake.scan(package)).num_rows == count


ROLES = {"land": land, "load": load, "baseline": baseline}


def measured(role: str, count: int, environment: dict[str, str]) -> float:
    """Run a role in a process of its own and print its peak; return it in MiB."""
    started = time.perf_counter()
    command = [sys.executable, __file__, "--role", role, "--rows", str(count)]
    done = subprocess.run(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True, check=True)
    mib = float(done.stdout.split()[-1])
    print(f"{role:<9}{mib:8.0f} MiB   {count / (time.perf_counter() - started):>10,.0f} rows/s", flush=True)
    return mib


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--role", choices=sorted(ROLES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        ROLES[arguments.role](arguments.rows)
        unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB here
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20)
        return 0
    with tempfile.TemporaryDirectory(prefix="tickvault-bench-") as folder, postgres.start(Path(folder) / "pg") as uri:
        from tickvault.local.engines import postgres_environment

        environment = postgres_environment(uri) | {"LAKE_PATH": folder, "TICKVAULT_LOG_LEVEL": "WARNING"}
        environment["TICKVAULT_CLOCK"] = datetime(2026, 11, 21, tzinfo=UTC).isoformat()
        peaks = {role: measured(role, arguments.rows, environment) for role in ROLES}
    for role in ("land", "load"):
        print(f"{role} needs 1/{peaks['baseline'] / peaks[role]:.0f} of the baseline (goal {GOAL_MIB} MiB)")
    return 0 if max(peaks["land"], peaks["load"]) <= GOAL_MIB else 1


if __name__ == "__main__":
    raise SystemExit(main())
