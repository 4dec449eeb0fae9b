"""Seconds of a whole build, and per node: vault, marts, tests and publication on the emulator or on Trino.

Raw tables are made and loaded first; that is not measured. Then: a first build (with parsing), a second one of the same
rows (the parsed project is kept), one after new rows in the 5-minute selection, and one after none. CPU seconds are
those of the dbt process alone: engines run elsewhere, and a busy machine tells in the difference.

    python benchmarks/warehouse.py --target dev-postgres
    python benchmarks/warehouse.py --target dev-snowflake
    python benchmarks/warehouse.py --target dev-trino --transactions 1000000     # needs docker
"""

import argparse
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/dbt"))

import lakehouse  # noqa: E402 - of the tests: the same rows and engines
import pyarrow as pa  # noqa: E402
import pyarrow.compute as pc  # noqa: E402
import raw_data  # noqa: E402
from warehouse import Postgres, Snowflake, Trino, Warehouse  # noqa: E402

from tickvault.core.settings import Settings  # noqa: E402
from tickvault.engines.postgres.connection import Connection  # noqa: E402
from tickvault.ledger import Ledger  # noqa: E402
from tickvault.local import postgres  # noqa: E402
from tickvault.local.engines import postgres_environment  # noqa: E402
from tickvault.local.snowflake.process import start as start_emulator  # noqa: E402
from tickvault.market import streams  # noqa: E402
from tickvault.warehouse.target import TARGETS, target  # noqa: E402

FIVE_MINUTES = ("raw_cryptoprices_binance+", "raw_cryptoprices_coingecko+")
SHOWN = 12
MADE_AT_MOST = 150_000


def made(transactions: int, days: int) -> raw_data.Tables:
    """Return the raw tables; above a point trades are copies of others under new keys, which is faster to make."""
    copies = -(-transactions // MADE_AT_MOST)
    tables = raw_data.generate(1, transactions=transactions // copies, days=days)
    for name in ("raw_transactions_personal", "raw_transactions_corporate"):
        index = tables[name].schema.get_field_index("transaction_id")
        keys = tables[name].column(index)
        tables[name] = pa.concat_tables(
            tables[name].set_column(index, "transaction_id", pc.binary_join_element_wise(keys, str(n), "-"))
            for n in range(copies)
        )
    return tables


@contextlib.contextmanager
def engines(name: str, folder: Path) -> Iterator[tuple[Warehouse, str]]:
    """Start a target's engines and give its warehouse and the URI of the ledger's PostgreSQL."""
    if name == "dev-trino":
        with lakehouse.start(folder) as running:
            uri = running.postgres_uri()
            yield Trino(uri, port=running.trino_port), uri
        return
    if name == "dev-postgres":
        with postgres.start(folder / "postgres") as uri:
            yield Postgres(uri), uri
        return
    with start_emulator(folder / "emulator") as emulator, postgres.start(folder / "postgres") as uri:
        yield Snowflake(emulator.environment(), "TICKVAULT"), uri


def measure(title: str, variables: dict[str, str], name: str, *arguments: str) -> None:
    """Run one build as its own process and print what it took."""
    command = [sys.executable, "-m", "tickvault", "dbt", "build", "--target", name, *arguments]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{title:<44} {seconds:7.1f} s, {cpu:5.1f} CPU s in dbt's process, exit code {done.returncode}", flush=True)
    if done.returncode:
        print(done.stderr[-2000:])


def note(settings: Settings, name: str, package: str) -> None:
    """Note a load, as the loader does."""
    with Connection.open(settings) as connection:
        connection.rows(
            """INSERT INTO data_platform.loads (package_id, sink, source, stream, slot, run_id)
            VALUES (%s, %s, 'bench', 'bench', now(), 'bench') RETURNING 1""",
            package,
            target(name).sink,
        )


def nodes(settings: Settings) -> None:
    """Print the slowest nodes of the newest whole build, and what adds trades up or keeps their states."""
    with Connection.open(settings) as connection:
        rows = connection.rows(
            """SELECT kind, node, seconds, rows, count(*) OVER (), sum(seconds) OVER () FROM data_platform.models
            WHERE build_id = (SELECT build_id FROM data_platform.builds WHERE selection = ''
                ORDER BY started_at DESC LIMIT 1) ORDER BY seconds DESC"""
        )
    if rows:
        print(f"\n{rows[0][4]} nodes, {rows[0][5]:.1f} s of statements; the slowest:")
    for place, (kind, node, seconds, count, *_) in enumerate(rows):
        if place < SHOWN or (kind == "model" and node.startswith(("sat_", "semantic_positions"))):
            print(f"  {kind:<6} {node:<52} {seconds:7.2f} s {'' if count is None else f'{count:>12,} rows'}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", default="dev-snowflake", choices=[t.name for t in TARGETS])
    parser.add_argument("--transactions", type=int, default=150_000)
    parser.add_argument("--days", type=int, default=400)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tickvault-bench-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        tables = made(options.transactions, options.days)
        with engines(options.target, folder) as (warehouse, uri):
            warehouse.load(tables)
            rows = sum(t.num_rows for t in tables.values())
            print(f"{options.target}: {rows:,} raw rows, {options.transactions:,} transactions", flush=True)
            variables = {
                **warehouse.environment(), **postgres_environment(uri), "DBT_PROJECT_DIR": str(ROOT / "dbt"),
                "SEEDS_PATH": str(ROOT / "seeds"), "TICKVAULT_HOME": str(folder), "LAKE_PATH": str(folder / "lake"),
            }  # fmt: skip
            settings = Settings.load(_env_file=None, **{k.lower(): v for k, v in variables.items()})
            with Ledger.open(settings):  # which makes its tables
                note(settings, options.target, "first")
            measure("first build, with parsing", variables, options.target)
            nodes(settings)
            measure("the same again (--force)", variables, options.target, "--force")
            nodes(settings)
            quotes = tables["raw_cryptoprices_binance"].to_pylist()[:50]
            for quote in quotes:
                quote["observed_at"] += timedelta(minutes=5)
            newer = raw_data.landed(streams.CRYPTO_BINANCE, quotes, "binance", raw_data.END + timedelta(minutes=5))
            merged = tables["raw_cryptoprices_binance"].to_pylist() + newer
            warehouse.load({"raw_cryptoprices_binance": raw_data.table(streams.CRYPTO_BINANCE, merged)})
            note(settings, options.target, "new-quotes")
            selection = [argument for model in FIVE_MINUTES for argument in ("--select", model)]
            print()
            measure("the 5-minute selection with new rows", variables, options.target, *selection)
            measure("the 5-minute selection with none", variables, options.target, *selection)


if __name__ == "__main__":
    main()
