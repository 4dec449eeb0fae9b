"""Trades in the vault and in the mart against the raw rows, and the calendar against Python's."""

import calendar
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import raw_data
from reference_hash import hash_of
from warehouse import Dbt, read


def _trades(raw: raw_data.Tables) -> list[raw_data.Row]:
    return raw["raw_transactions_personal"].to_pylist() + raw["raw_transactions_corporate"].to_pylist()


def test_the_link_has_every_trade_with_who_and_what(snowflake_dbt: Dbt, raw: raw_data.Tables) -> None:
    held = {row["transaction_id"]: row for row in read(snowflake_dbt.warehouse, "vault.nhl_transaction")}
    assert len(held) == len(_trades(raw))
    for row in _trades(raw):
        found = held[row["transaction_id"]]
        party = hash_of((row["customer_id"], "key"))
        parties = (party, None) if row["customer_type"] == "personal" else (None, party)
        assert (found["customer_hk"], found["company_hk"]) == parties
        assert found["asset_hk"] == hash_of((row["asset_type"], "text"), (row["asset_symbol"], "key"))
        assert found["quantity"] == row["quantity"]
        assert found["row_version"] == row["row_version"]


def test_a_trade_knows_the_market_cap_before_its_day(snowflake_dbt: Dbt, raw: raw_data.Tables) -> None:
    reported: dict[str, list[tuple[datetime, Decimal]]] = defaultdict(list)
    for name, symbol in (("raw_stock_prices_yfinance", "ticker"), ("raw_cryptoprices_coingecko", "symbol")):
        for row in raw[name].to_pylist():
            reported[row[symbol]].append((row["observed_at"], row["market_cap"]))
    known = 0
    for trade in read(snowflake_dbt.warehouse, "build_marts.fct_transactions"):
        begin = datetime.combine(trade["transaction_date"], time(), UTC)
        caps = [(at, cap) for at, cap in reported[trade["asset_symbol"]] if at <= begin]
        assert trade["asset_market_cap"] == (max(caps)[1] if caps else None), trade
        known += bool(caps)
    assert 0 < known < len(_trades(raw))


def test_the_calendar_is_pythons(snowflake_dbt: Dbt) -> None:
    days: dict[date, dict[str, Any]] = {
        row["date_day"]: row for row in read(snowflake_dbt.warehouse, "build_marts.dim_date")
    }
    first, last = date(2000, 1, 1), date(2049, 12, 31)
    assert set(days) == {first + timedelta(days=n) for n in range((last - first).days + 1)}
    for day, row in days.items():
        iso = day.isocalendar()
        quarter = (day.month + 2) // 3
        assert list(row.values()) == [
            day, day.year, quarter, day.month, calendar.month_name[day.month], day.day, day.timetuple().tm_yday,
            iso.year, iso.week, iso.weekday, calendar.day_name[day.weekday()], iso.weekday <= 5,
            day.replace(day=1), date(day.year, 3 * quarter - 2, 1), date(day.year, 1, 1),
        ]  # fmt: skip
