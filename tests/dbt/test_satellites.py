"""A satellite holds changes: what is read again is no row, what comes late is a change where it is one."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import raw_data
from test_history import Arrival, merged
from warehouse import Dbt, Postgres, Snowflake, Warehouse, read

from tickvault.core.stream import Stream
from tickvault.local.snowflake.process import Emulator
from tickvault.market import streams

Row = dict[str, Any]
START = datetime(2026, 9, 1, tzinfo=UTC)
SATELLITES = ("sat_customer_profile", "sat_news_content", "sat_asset_price_crypto", "sat_asset_price_stock")
BUILD = (
    "build",
    "--exclude-resource-type",
    "test",
    "unit_test",
    "--select",
    *(f"+{name}" for name in SATELLITES),
    "+dim_customer_history",
)
TEST = ("test", "--select", *(f"{name},test_name:holds_every_change" for name in SATELLITES))


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def package(stream: Stream, slot: datetime, *rows: Row) -> Arrival:
    """Return a package of a stream: whole days are read in its slot, and loaded five minutes later."""
    landed = raw_data.landed(stream, [dict(row) for row in rows], "test", slot)
    for row in landed:
        if stream.version_field:
            row["row_version"] = f"{row[stream.version_field]}|{row['row_version'].split('|', 1)[1]}"
    return Arrival(stream, landed)


def customer(name: str, seen: int, tier: str, phone: str | None = None) -> Row:
    return {
        "customer_id": name, "first_name": "A", "last_name": "B", "country": "VN", "tier": tier, "phone": phone,
        "risk_tolerance": "low", "created_at": START, "updated_at": day(seen),
    }  # fmt: skip


def bar(close: str, seen: datetime) -> Row:
    prices = {name: Decimal(close) for name in ("open", "high", "low", "close")}
    return {"symbol": "BTC", "source": "binance", "date": date(2026, 9, 1), "observed_at": seen, **prices}


def stock_bar(close: str, seen: datetime) -> Row:
    return {
        "ticker": "AAPL", "source": "yfinance", "date": date(2026, 9, 1), "observed_at": seen,
        "close_price": Decimal(close),
    }  # fmt: skip


def quote(price: str, seen: datetime) -> Row:
    return {
        "symbol": "BTC", "base_currency": "BTC", "quote_currency": "USDT", "price": Decimal(price), "source": "binance",
        "observed_at": seen,
    }  # fmt: skip


def article(title: str, seen: datetime) -> Row:
    return {
        "cryptocurrency": "bitcoin", "url": "https://news.example/1", "title": title, "source": "rss",
        "observed_at": seen,
    }  # fmt: skip


def contradictions(seen: datetime) -> list[Row]:
    """Return one article as it is read for two coins, with two titles."""
    other = article("Here so", seen) | {"url": "https://news.example/2"}
    return [other, other | {"cryptocurrency": "solana", "title": "There so"}]


def first_days() -> list[Arrival]:
    """A customer who is read again, a bar that goes up and back, a quote that stands still, an article retitled."""
    found = [
        package(streams.CUSTOMERS, day(1), customer("C1", 1, "bronze"), customer("C2", 1, "bronze")),
        package(streams.CUSTOMERS, day(5), customer("C1", 5, "bronze"), customer("C2", 1, "bronze")),
        package(streams.CUSTOMERS, day(9), customer("C2", 1, "gold"), customer("C3", 9, "gold")),
    ]
    for number, close in enumerate(("100", "100", "101", "101", "100", "100"), start=2):
        found += [
            package(streams.BARS_BINANCE, day(number), bar(close, day(number))),
            package(streams.STOCK_YFINANCE, day(number), stock_bar(close, day(number))),
            package(streams.CRYPTO_BINANCE, day(number), quote("100", day(number))),
            package(streams.NEWS, day(number), article(f"Worth {close}", day(number)), *contradictions(day(number))),
        ]
    again = package(streams.CRYPTO_BINANCE, day(8), quote("100", day(7)))
    return [*found, again]


def build(dbt: Dbt, arrivals: Iterable[Arrival]) -> None:
    dbt.warehouse.load(merged(arrivals))
    dbt.run(*BUILD)
    tested = dbt.run(*TEST)
    assert len(tested.result) == len(SATELLITES)


def states(warehouse: Warehouse, satellite: str, *columns: str, where: str = "1 = 1") -> list[tuple[Any, ...]]:
    return warehouse.query(
        f"SELECT {', '.join(columns)} FROM vault.{satellite} WHERE {where} ORDER BY row_version, payload_width"
    )


def history(warehouse: Warehouse, customer_id: str) -> list[tuple[Any, ...]]:
    rows = [r for r in read(warehouse, "build_marts.dim_customer_history") if r["customer_id"] == customer_id]
    return [(r["valid_from"].day, r["tier"]) for r in sorted(rows, key=lambda r: r["version"])]


def check(dbt: Dbt) -> None:
    warehouse, arrivals = dbt.warehouse, first_days()
    for last in (3, 10, len(arrivals)):
        build(dbt, arrivals[:last])
    assert states(warehouse, "sat_customer_profile", "tier", where="customer_id = 'C1'") == [("bronze",)]
    assert states(warehouse, "sat_customer_profile", "tier", where="customer_id = 'C2'") == [("bronze",), ("gold",)]
    there_and_back = [(Decimal(close),) for close in (100, 101, 100)]
    assert states(warehouse, "sat_asset_price_crypto", "price", where="price_kind = 'bar'") == there_and_back
    assert states(warehouse, "sat_asset_price_stock", "price", where="price_kind = 'bar'") == there_and_back
    quotes = states(warehouse, "sat_asset_price_crypto", "observed_at", where="price_kind = 'quote'")
    assert len(quotes) == 6, "each moment is a state of its own, read once or twice"
    assert [title for (title,) in states(warehouse, "sat_news_content", "title", where="title LIKE 'Worth%'")] == [
        "Worth 100", "Worth 101", "Worth 100",
    ]  # fmt: skip
    assert len(states(warehouse, "sat_news_content", "title", where="title LIKE '%ere so'")) == 1
    _late(dbt, arrivals)
    _held_twice(dbt, arrivals)
    _another_column(dbt, arrivals)


def _late(dbt: Dbt, arrivals: list[Arrival]) -> None:
    """A state between two that said the same makes the second a change, though it was loaded long before."""
    arrivals.append(package(streams.CUSTOMERS, day(20), customer("C1", 3, "silver")))
    build(dbt, arrivals)
    assert states(dbt.warehouse, "sat_customer_profile", "tier", where="customer_id = 'C1'") == [
        ("bronze",), ("silver",), ("bronze",),
    ]  # fmt: skip
    assert history(dbt.warehouse, "C1") == [(2, "bronze"), (4, "silver"), (6, "bronze")]


def _held_twice(dbt: Dbt, arrivals: list[Arrival]) -> None:
    """A vault of before has a row per reading: nothing is added to it for that, and nothing else is said."""
    warehouse = dbt.warehouse
    before = read(warehouse, "build_marts.dim_customer_history")
    columns = list(warehouse.columns("vault.sat_customer_profile"))
    again = ", ".join("row_version || '+'" if name == "row_version" else name for name in columns)
    warehouse.query(f"INSERT INTO vault.sat_customer_profile SELECT {again} FROM vault.sat_customer_profile")
    held = warehouse.query("SELECT count(*) FROM vault.sat_customer_profile")
    arrivals.append(package(streams.CUSTOMERS, day(21), customer("C3", 21, "gold")))
    build(dbt, arrivals)
    assert warehouse.query("SELECT count(*) FROM vault.sat_customer_profile") == held
    after = read(warehouse, "build_marts.dim_customer_history")
    assert sorted(map(str, after)) == sorted(map(str, before))


def _another_column(dbt: Dbt, arrivals: list[Arrival]) -> None:
    """Of a column that is new, nothing said is no change, and what is said of a held version is its later word."""
    warehouse, sat = dbt.warehouse, "vault.sat_customer_profile"
    narrow = ", ".join(
        {"payload_width": "cast(12 as bigint) as payload_width", "hashdiff": "substr(hashdiff, 2) as hashdiff"}.get(
            c, c
        )
        for c in warehouse.columns(sat)
        if c != "phone"
    )
    warehouse.replace(sat, f"SELECT {narrow} FROM {sat}")
    held = warehouse.query(f"SELECT count(*) FROM {sat}")[0][0]
    arrivals.append(package(streams.CUSTOMERS, day(22), customer("C2", 22, "gold"), customer("C3", 21, "gold", "112")))
    build(dbt, arrivals)
    assert states(warehouse, "sat_customer_profile", "tier", "phone", where="customer_id = 'C2'")[-1] == ("gold", None)
    added = read(warehouse, sat)
    assert len(added) == held + 1
    assert [(r["customer_id"], r["phone"]) for r in added if r["phone"]] == [("C3", "112")]


def test_a_satellite_holds_changes(emulator: Emulator, snowflake_dbt: Dbt) -> None:
    check(Dbt(Snowflake(emulator.environment(), "CHANGES_ONLY"), snowflake_dbt.target_path))


def test_a_satellite_in_postgres_holds_changes(postgres_uri: str, postgres_dbt: Dbt) -> None:
    dbt = Dbt(Postgres.fresh(postgres_uri, "changes_only"), postgres_dbt.target_path)
    check(dbt)
    assert dbt.warehouse.query(
        """SELECT DISTINCT l.collname FROM pg_attribute a JOIN pg_collation l ON l.oid = a.attcollation
        WHERE a.attrelid = 'vault.sat_customer_profile'::regclass AND a.attnum > 0"""
    ) == [("C",)], "phone was added last, and is in the order of its bytes as the others are"


@pytest.mark.engine("trino")
def test_a_satellite_in_trino_holds_changes(empty_trino_dbt: Dbt) -> None:
    check(empty_trino_dbt)
