"""Histories made from seeds: however and whenever rows arrive, the vault and the marts say the same."""
# ruff: noqa: DTZ001, T201 - warehouses hold UTC without a zone; the seeds are printed

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import raw_data
from warehouse import CHANGES, GHOSTS, Dbt, Postgres, Trino, Warehouse, read

from tickvault.core.stream import LOAD_TIMESTAMP, ROW_VERSION, Stream
from tickvault.market import streams

Row = dict[str, Any]
START = datetime(2026, 10, 1, 13, tzinfo=UTC)
LINEAGE = frozenset({"record_source", "package_id", "load_timestamp"})
KEYS_ONLY = ("hub_customer", "hub_company", "hub_transaction", "link_customer_transaction", "link_customer_company")
STATES = {
    "sat_customer_profile": (streams.CUSTOMERS, "customer_id", "updated_at"),
    "sat_company_details": (streams.CORPORATES, "company_id", "updated_at"),
    "sat_transaction_personal": (streams.TRANSACTIONS_PERSONAL, "transaction_id", "transaction_timestamp"),
    "nhl_transaction": (streams.TRANSACTIONS_PERSONAL, "transaction_id", "transaction_timestamp"),
}
"""Satellites, and the link that describes its events itself: their raw table, the key, and the source's own time."""
MARTS = ("build_marts.dim_customer_history", "build_marts.dim_customer", "build_marts.fct_transactions")
BUILD = (
    "build",
    "--exclude-resource-type",
    "test",
    "unit_test",
    "--vars",
    "{lookback_hours: 240}",
    "--select",
    "+fct_transactions",
    "+dim_customer",
    "+sat_transaction_personal",
    "+link_customer_transaction",
    "+link_customer_company",
    "+hub_company",
    "+hub_transaction",
    "+sat_transaction_personal",
)
SEEDS = range(1, 21)
STEPS = 3


@dataclass
class Arrival:
    """One package with the rows it brings, in the order packages were made."""

    stream: Stream
    rows: list[dict[str, Any]]


def make_history(seed: int) -> list[Arrival]:
    """Return packages of evolving customers and their trades: ties, repeats, late rows and corrections included."""
    rng = random.Random(seed)
    arrivals = []
    mine = f"S{seed:02d}-"
    for day in range(5):
        slot = START + timedelta(days=day)
        # Some observations are a day or two old, several share a moment, some repeat the state before.
        people = [
            _customer(rng, mine, rng.randrange(6), slot - timedelta(days=rng.randrange(3)))
            for _ in range(rng.randrange(1, 6))
        ]
        trades = [_trade(rng, mine, n, slot) for n in rng.sample(range(40), rng.randrange(1, 8))]
        for stream, rows in ((streams.CUSTOMERS, people), (streams.TRANSACTIONS_PERSONAL, trades)):
            unique = {tuple(row[k] for k in stream.primary_key): row for row in rows}
            arrivals.append(Arrival(stream, raw_data.landed(stream, list(unique.values()), "faker_market", slot)))
    companies = [_company(rng, mine, n) for n in range(3)]
    arrivals.append(Arrival(streams.CORPORATES, raw_data.landed(streams.CORPORATES, companies, "faker_market", START)))
    return arrivals


def _customer(rng: random.Random, mine: str, number: int, at: datetime) -> dict[str, Any]:
    return {
        "customer_id": f"{mine}C{number}",
        "first_name": "O'Neil",
        "last_name": "L",
        "country": "VN",
        "tier": rng.choice(raw_data.TIERS[:2]),
        "risk_tolerance": "low",
        "company_id": rng.choice([None, f"{mine}F0", f"{mine}F1"]),
        "created_at": START,
        "updated_at": at,
    }


def _company(rng: random.Random, mine: str, number: int) -> dict[str, Any]:
    return {
        "company_id": f"{mine}F{number}",
        "company_name": rng.choice(raw_data.AWKWARD) or "x",
        "country": "DE",
        "tier": "gold",
        "risk_tolerance": "high",
        "created_at": START,
        "updated_at": START,
    }


def _trade(rng: random.Random, mine: str, number: int, slot: datetime) -> dict[str, Any]:
    quantity = raw_data.scaled(rng.randrange(1, 10**6), 6)
    return {
        "transaction_id": f"{mine}T{number}",
        "customer_id": f"{mine}C{number % 6}",
        "customer_type": "personal",
        "company_id": None,
        "asset_type": "crypto",
        "asset_symbol": "BTC",
        "transaction_type": "buy",
        "quantity": quantity,
        "price_per_unit": raw_data.scaled(100, 0),
        "transaction_amount": quantity * 100,
        "fee_amount": raw_data.scaled(1, 2),
        "currency": "USD",
        "transaction_timestamp": slot - timedelta(minutes=number),
    }


def merged(arrivals: Iterable[Arrival]) -> raw_data.Tables:
    """Return raw and change tables after these packages, by the loader's rule: a reading of nothing new is no state."""
    read: dict[str, dict[tuple[Any, ...], list[Row]]] = {stream.name: {} for stream in streams.ALL}
    for arrival in arrivals:
        for row in arrival.rows:
            key = tuple(row[k] for k in arrival.stream.primary_key)
            read[arrival.stream.name].setdefault(key, []).append(row)
    tables = {}
    for stream in streams.ALL:
        states = [changes(rows, stream.schema.names) for rows in read[stream.name].values()]
        tables[stream.name] = raw_data.table(stream, [of_key[-1] for of_key in states])
        tables[stream.name + CHANGES] = raw_data.table(stream, [row for of_key in states for row in of_key[:-1]])
    return tables


def changes(readings: Iterable[Row], content: Iterable[str]) -> list[Row]:
    """Return, in the source's order, the readings that say something else than the one before them."""
    names, found = tuple(content), list[Row]()
    for row in sorted(readings, key=lambda row: row[ROW_VERSION]):
        if not found or [row.get(n) for n in names] != [found[-1].get(n) for n in names]:
            found.append(row)
    return found


def real_changes(arrivals: Iterable[Arrival]) -> dict[str, list[tuple[Any, ...]]]:
    """Return what each satellite has to say of these packages, in whatever order they came."""
    arrivals = list(arrivals)
    found = {}
    for satellite, (stream, key, observed) in STATES.items():
        rows = [row for arrival in arrivals if arrival.stream is stream for row in arrival.rows]
        plain = [{n: v.replace(tzinfo=None) if isinstance(v, datetime) else v for n, v in row.items()} for row in rows]
        found[satellite] = _by_key(plain, key, [n for n in stream.schema.names if n not in {observed, "customer_type"}])
    return found


def _by_key(rows: list[Row], key: str, content: list[str]) -> list[tuple[Any, ...]]:
    keys = sorted({row[key] for row in rows})
    of_key = {k: changes([row for row in rows if row[key] == k], content) for k in keys}
    return [(k, *(row.get(n) for n in content)) for k in keys for row in of_key[k]]


def held(warehouse: Warehouse, name: str) -> list[Row]:
    """Return the rows of a vault table, without the ghosts."""
    return [row for row in read(warehouse, f"vault.{name}") if next(iter(row.values())) not in GHOSTS]


def held_changes(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    """Return what each satellite says, without the repeats that late rows made of what was held."""
    return {
        name: _by_key(
            held(warehouse, name), key, [n for n in stream.schema.names if n not in {observed, "customer_type"}]
        )
        for name, (stream, key, observed) in STATES.items()
    }


def snapshot(warehouse: Warehouse) -> dict[str, set[tuple[Any, ...]]]:
    """Return everything that must not depend on when and in which order rows came.

    Which load was the first to bring a key is history and does depend on it, so hubs and links go by their keys.
    """
    found = {}
    for name in KEYS_ONLY:
        found[name] = {tuple(row.values()) for row in read(warehouse, f"vault.{name}", without=LINEAGE)}
    for name in MARTS:
        without = LINEAGE if name.endswith("dim_customer") else frozenset()
        found[name] = {tuple(row.values()) for row in read(warehouse, name, without=without)}
    return found


def intervals_are_sound(warehouse: Warehouse) -> None:
    """Check SCD 2: per customer the intervals meet end to start and only the last is open."""
    by_customer: dict[str, list[dict[str, Any]]] = {}
    for row in read(warehouse, "build_marts.dim_customer_history"):
        by_customer.setdefault(row["customer_hk"], []).append(row)
    assert by_customer
    for states in by_customer.values():
        states.sort(key=lambda row: row["valid_from"])
        assert [row["version"] for row in states] == list(range(1, len(states) + 1))
        for row, following in pairwise(states):
            assert row["valid_from"] < row["valid_to"] == following["valid_from"]
            assert not row["is_current"]
        assert states[-1]["is_current"]
        assert states[-1]["valid_to"] == datetime(9999, 12, 31)


def check(make: Callable[[str], Dbt]) -> None:
    """Build all histories at once, twice, and step by step with every second one shuffled: the same each time.

    The histories share no key, so that one build holds all of them.
    """
    print(f"seeds {list(SEEDS)}")
    histories = {seed: make_history(seed) for seed in SEEDS}
    at_once = make("once")
    at_once.warehouse.load(merged(arrival for history in histories.values() for arrival in history))
    at_once.run(*BUILD)
    expected = snapshot(at_once.warehouse)
    said = real_changes(arrival for history in histories.values() for arrival in history)
    assert held_changes(at_once.warehouse) == said
    counted = {name: len(held(at_once.warehouse, name)) for name in STATES}
    assert counted == {name: len(rows) for name, rows in said.items()}, "one row per change"
    intervals_are_sound(at_once.warehouse)
    at_once.run(*BUILD)
    _same(snapshot(at_once.warehouse), expected, "run twice differs from once")

    stepwise = make("stepwise")
    for step in range(1, STEPS + 1):
        stepwise.warehouse.load(merged(_arrived(histories, step)))
        stepwise.run(*BUILD)
    _same(snapshot(stepwise.warehouse), expected, "built step by step differs from built at once")
    assert held_changes(stepwise.warehouse) == said
    intervals_are_sound(stepwise.warehouse)


def _arrived(histories: dict[int, list[Arrival]], step: int) -> Iterable[Arrival]:
    for seed, history in histories.items():
        rng, arrivals = random.Random(seed + 1000), list(history)
        if seed % 2:
            rng.shuffle(arrivals)
        cuts = [*sorted(rng.sample(range(1, len(arrivals)), STEPS - 1)), len(arrivals)]
        yield from arrivals[: cuts[step - 1]]


def _same(found: dict[str, set[tuple[Any, ...]]], expected: dict[str, set[tuple[Any, ...]]], what: str) -> None:
    for name, rows in expected.items():
        odd = sorted(map(str, rows ^ found[name]))
        assert not odd, f"{what}: {name}, {len(odd)} rows, for instance {odd[:4]}"


def test_histories_in_postgres(postgres_uri: str, postgres_dbt: Dbt) -> None:
    check(lambda name: Dbt(Postgres.fresh(postgres_uri, f"history_{name}"), postgres_dbt.target_path))


def test_a_state_in_both_raw_tables_is_one_row_of_the_vault(postgres_uri: str, postgres_dbt: Dbt) -> None:
    """As a raw table that was lost and loaded again leaves it, beside a change table that was not: any two agree."""
    arrivals = make_history(SEEDS[0])
    tables, again = merged(arrivals), timedelta(days=1)
    both = dict(tables)
    for stream in streams.ALL:
        if stream.primary_key:
            rows = [row | {"package_id": "test.again", LOAD_TIMESTAMP: row[LOAD_TIMESTAMP] + again}
                    for row in tables[stream.name].to_pylist()]  # fmt: skip
            both[stream.name + CHANGES] = raw_data.table(stream, [*tables[stream.name + CHANGES].to_pylist(), *rows])
    once, anew = (Dbt(Postgres.fresh(postgres_uri, f"both_{n}"), postgres_dbt.target_path) for n in ("later", "anew"))
    for dbt, loaded in ((once, (tables, both)), (anew, (both,))):
        for raw in loaded:
            dbt.warehouse.load(raw)
            dbt.run(*BUILD)
        said = real_changes(arrivals)
        assert {name: len(held(dbt.warehouse, name)) for name in STATES} == {name: len(said[name]) for name in said}
        assert held_changes(dbt.warehouse) == said
    _same(snapshot(anew.warehouse), snapshot(once.warehouse), "built anew differs from built before")
    trades = len(held(once.warehouse, "nhl_transaction"))
    assert trades == len(held(anew.warehouse, "nhl_transaction")) > 0


@pytest.mark.engine("trino")
def test_histories_in_trino(trino: Trino, tmp_path_factory: pytest.TempPathFactory) -> None:
    trino.built = None
    folder = tmp_path_factory.getbasetemp() / "dbt-trino"

    def make(name: str) -> Dbt:
        trino.reset()
        trino.load(merged([]))
        return Dbt(trino, folder)

    check(make)
