"""How much cheaper fct_transactions is by changed keys than anew, on PostgreSQL.

Loads trades over 400 days, builds everything, then brings one more day: its trades, corrections of older ones, and new
states of some customers. Prints the seconds of the mart by changed keys, of the mart when nothing came, and anew, of
semantic_transactions, which is always made anew, and the ratio.

    python benchmarks/incremental.py --transactions 1000000
"""

import argparse
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/dbt"))

import pyarrow as pa  # noqa: E402 - of the tests: the same rows and engines
import raw_data  # noqa: E402
from warehouse import Dbt, Postgres  # noqa: E402

from tickvault.core.stream import Stream  # noqa: E402
from tickvault.local import postgres  # noqa: E402
from tickvault.market import streams  # noqa: E402

MART, VIEWED = "fct_transactions", "semantic_transactions"
CORRECTED, MOVED = 50, 20
MADE_AT_MOST = 150_000


def made(transactions: int) -> raw_data.Tables:
    """Return the raw tables; above a point trades are copies of others under new keys, which is faster to make."""
    copies = -(-transactions // MADE_AT_MOST)
    tables = raw_data.generate(1, transactions=transactions // copies)
    for stream in (streams.TRANSACTIONS_PERSONAL, streams.TRANSACTIONS_CORPORATE):
        tables[stream.name] = pa.concat_tables(_renamed(tables[stream.name], f"-{n}") for n in range(copies))
    return tables


def _renamed(trades: pa.Table, suffix: str) -> pa.Table:
    index = trades.schema.get_field_index("transaction_id")
    keys = pa.array([f"{key}{suffix}" for key in trades.column(index).to_pylist()])
    return trades.set_column(index, trades.schema.field(index), keys)


def next_day(tables: raw_data.Tables, trades: int) -> raw_data.Tables:
    """Return the tables a day later: more trades, a few corrected, and new states of customers."""
    slot = raw_data.END + timedelta(days=1)
    stream, states = streams.TRANSACTIONS_PERSONAL, streams.CUSTOMERS
    held = tables[stream.name]
    new = _renamed(held.slice(0, trades), "-next").to_pylist()
    for row in new:
        row["transaction_timestamp"] = slot - timedelta(hours=1)
    corrected = held.slice(held.num_rows - CORRECTED).to_pylist()
    for row in corrected:
        row["fee_amount"] += 1
    moved = tables[states.name].slice(0, MOVED).to_pylist()
    for row in moved:
        row |= {"updated_at": slot - timedelta(hours=5), "tier": "gold"}
    return {
        stream.name: pa.concat_tables(
            [held.slice(0, held.num_rows - CORRECTED), _landed(stream, new + corrected, slot)]
        ),
        states.name: pa.concat_tables([tables[states.name], _landed(states, moved, slot)]),
    }


def _landed(stream: Stream, rows: list[raw_data.Row], slot: datetime) -> pa.Table:
    landed = raw_data.landed(stream, rows, "faker_market", slot)
    for row in landed:
        row["load_timestamp"] = slot
    return raw_data.table(stream, landed)


def seconds(dbt: Dbt, *arguments: str) -> dict[str, float]:
    """Run dbt and return the seconds of each node."""
    return {r.node.name: r.execution_time for r in dbt.run("run", *arguments).result.results}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--transactions", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tickvault-bench-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        with postgres.start(folder / "postgres") as uri:
            dbt = Dbt(Postgres(uri), folder / "target")
            tables = made(options.transactions)
            dbt.warehouse.load(tables)
            dbt.run("seed")
            first = seconds(dbt)
            print(f"{options.transactions:,} trades; built for the first time: {first[MART]:.1f} s", flush=True)
            dbt.warehouse.load(next_day(tables, options.transactions // 400))
            by_keys = seconds(dbt)
            nothing = seconds(dbt, "--select", MART)[MART]
            anew = seconds(dbt, "--select", MART, "--full-refresh")[MART]
            print(
                f"{MART}: a day by changed keys {by_keys[MART]:.1f} s, nothing new {nothing:.1f} s, anew {anew:.1f} s:"
            )
            print(f"anew / by changed keys = {anew / by_keys[MART]:.1f}")
            print(f"{VIEWED}, made anew: {by_keys[VIEWED]:.1f} s")


if __name__ == "__main__":
    main()
