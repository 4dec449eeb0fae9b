"""Marts built by changed keys: whatever order loads come in, they are what a full build makes."""
# ruff: noqa: T201 - the seed is printed

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import raw_data
from test_history import START, Arrival, merged
from warehouse import Dbt, Postgres, Row, read

from tickvault.core.stream import Stream
from tickvault.market import streams

SEED = 20261126
STEPS = 5
COINS = ("BTC", "ETH", "NOBODY-LISTS-THIS")
LOOKBACK = ("--vars", "{lookback_hours: 240}")
MERGED = ("fct_transactions",)


def _trade(rng: random.Random, number: int, day: int) -> Row:
    kind, quantity = rng.choice(("personal", "personal", "corporate")), rng.randrange(5)
    party = f"{'C' if kind == 'personal' else 'F'}{rng.randrange(4)}"
    return {
        "transaction_id": f"T{number}", "customer_id": party, "customer_type": kind,
        "company_id": party if kind == "corporate" else None, "asset_type": "crypto", "asset_symbol": rng.choice(COINS),
        "transaction_type": rng.choice(("buy", "sell")), "quantity": Decimal(quantity), "price_per_unit": Decimal(7),
        "transaction_amount": Decimal(7 * quantity), "fee_amount": Decimal(1), "currency": "USD",
        "transaction_timestamp": START + timedelta(days=day, hours=-rng.randrange(20)),
    }  # fmt: skip


def _party(rng: random.Random, day: int, key: str) -> Row:
    at = START + timedelta(days=day - rng.randrange(4), hours=rng.randrange(3))
    state = {"country": "VN", "tier": rng.choice(raw_data.TIERS), "risk_tolerance": "low", "created_at": START}
    name = {"customer_id": f"C{rng.randrange(4)}", "first_name": "A", "last_name": "B"}
    company = {"company_id": f"F{rng.randrange(4)}", "company_name": "F"}
    return state | {"updated_at": at} | (name if key == "customer_id" else company)


def _quote(rng: random.Random, day: int, coin: str) -> Row:
    at = START + timedelta(days=day, minutes=-rng.choice((0, 780, 781, 1500)))
    return {
        "symbol": coin, "base_currency": coin, "quote_currency": "USD", "price": Decimal(7), "volume": Decimal(1),
        "source": "coingecko", "observed_at": at, "market_cap": Decimal(rng.randrange(1, 9)),
    }  # fmt: skip


def _arrivals(rng: random.Random) -> list[Arrival]:
    found = []
    for day in range(8):
        trades = [_trade(rng, n, day) for n in rng.sample(range(30), 9)]
        bring: list[tuple[Stream, list[dict[str, Any]]]] = [
            (streams.TRANSACTIONS_PERSONAL, [t for t in trades if t["customer_type"] == "personal"]),
            (streams.TRANSACTIONS_CORPORATE, [t for t in trades if t["customer_type"] == "corporate"]),
            (streams.CUSTOMERS, [_party(rng, day, "customer_id")]),
            (streams.CORPORATES, [_party(rng, day, "company_id")]),
            (streams.CRYPTO_COINGECKO, [_quote(rng, day, rng.choice(COINS)) for _ in range(2)]),
        ]
        for stream, rows in bring:
            unique = {tuple(row[k] for k in stream.primary_key): row for row in rows}
            landed = raw_data.landed(stream, list(unique.values()), "faker_market", START + timedelta(days=day))
            found.append(Arrival(stream, landed))
    rng.shuffle(found)
    return found


def _rows(dbt: Dbt) -> dict[str, dict[Any, Row]]:
    return {m: {r["transaction_hk"]: r for r in read(dbt.warehouse, f"build_marts.{m}")} for m in MERGED}


def test_any_sequence_of_loads_is_a_full_build(postgres_uri: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    warehouse = Postgres.fresh(postgres_uri, "incremental")
    dbt = Dbt(warehouse, tmp_path_factory.mktemp("dbt-incremental"))
    arrivals = _arrivals(rng)
    cuts = [*sorted(rng.sample(range(5, len(arrivals)), STEPS - 1)), len(arrivals)]
    changed = 0
    before: dict[str, dict[Any, Row]] = {}
    for cut in cuts:
        warehouse.load(merged(arrivals[:cut]))
        if cut == cuts[2]:  # a build that was killed between the vault and the mart
            dbt.run("run", *LOOKBACK, "--select", "raw", "warehouse")
            continue
        dbt.run("build", "--exclude-resource-type", "test", "unit_test", *LOOKBACK, "--select", "+fct_transactions")
        built = _rows(dbt)
        dbt.run("run", *LOOKBACK, "--full-refresh", "--select", *MERGED)
        assert _rows(dbt) == built, f"after {cut} of {len(arrivals)} packages"
        for mart, rows in before.items():
            changed += sum(built[mart][key] != row for key, row in rows.items())
        before = built
    assert changed > 5, "what was there changed, else nothing was tested"


def test_what_has_not_changed_is_not_written(postgres_dbt: Dbt) -> None:
    versions = "SELECT transaction_hk, cast(xmin AS text) FROM build_marts.fct_transactions ORDER BY 1"
    before = postgres_dbt.warehouse.query(versions)
    postgres_dbt.run("run", "--select", *MERGED)
    assert postgres_dbt.warehouse.query(versions) == before
