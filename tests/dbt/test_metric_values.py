"""The metrics' numbers against the raw rows, computed here in another way."""

import math
import statistics
from collections import defaultdict
from datetime import date
from decimal import Decimal

import pytest
import raw_data
from warehouse import Dbt

from tickvault.warehouse.metrics import metric, statement

Answer = dict[tuple[object, ...], float]


def ask(dbt: Dbt, name: str, *by: str, since: date | None = None, until: date | None = None) -> Answer:
    columns, sql = statement(metric(name), by, since, until, lambda model: f"build_semantic.{model}")
    return {tuple(row[: len(columns) - 1]): float(row[-1]) for row in dbt.warehouse.query(sql)}


def trades(raw: raw_data.Tables) -> list[raw_data.Row]:
    return raw["raw_transactions_personal"].to_pylist() + raw["raw_transactions_corporate"].to_pylist()


def closes(raw: raw_data.Tables, stock: str = "close_price") -> dict[tuple[str, str], dict[date, Decimal]]:
    """The primary series of every asset: Binance's bars of coins, Yahoo's of stocks, adjusted for dividends or not."""
    found: dict[tuple[str, str], dict[date, Decimal]] = defaultdict(dict)
    for bar in raw["raw_cryptobars"].to_pylist():
        if bar["source"] == "binance":
            found["crypto", bar["symbol"]][bar["date"]] = bar["close"]
    for bar in raw["raw_stock_prices_yfinance"].to_pylist():
        found["stock", bar["ticker"]][bar["date"]] = bar[stock]
    return found


def close_to(expected: Answer) -> object:
    return pytest.approx(expected, rel=1e-9)


def test_sums_over_transactions(postgres_dbt: Dbt, raw: raw_data.Tables) -> None:
    since, until = date(2026, 10, 1), date(2026, 11, 10)
    revenue: dict[tuple[str], Decimal] = defaultdict(Decimal)
    volume = Decimal(0)
    parties: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in trades(raw):
        day = row["transaction_timestamp"].date()
        if since <= day <= until:
            revenue[row["asset_type"],] += row["fee_amount"]
            volume += row["transaction_amount"]
            parties[row["customer_type"], row["transaction_type"]].add(row["customer_id"])
    assert len(revenue) == 2
    got = ask(postgres_dbt, "revenue", "asset_type", since=since, until=until)
    assert got == close_to({key: float(value) for key, value in revenue.items()})
    assert ask(postgres_dbt, "volume", since=since, until=until) == close_to({(): float(volume)})
    active = ask(postgres_dbt, "active_customers", "customer_type", "transaction_type", since=since, until=until)
    assert active == {key: len(value) for key, value in parties.items()}


def test_assets_under_management_by_tier(postgres_dbt: Dbt, raw: raw_data.Tables) -> None:
    newest: dict[str, tuple[object, str]] = {}
    for name, key in (("raw_customers", "customer_id"), ("raw_corporates", "company_id")):
        for row in raw[name].to_pylist():
            newest[row[key]] = max(newest.get(row[key], (row["updated_at"], "")), (row["updated_at"], row["tier"]))
    series = closes(raw)
    for until in (None, date(2026, 10, 20)):
        expected: dict[tuple[str], float] = defaultdict(float)
        for row in trades(raw):
            known = series[row["asset_type"], row["asset_symbol"]]
            days = [day for day in known if until is None or day <= until]
            if days and (until is None or row["transaction_timestamp"].date() <= until):
                sign = -1 if row["transaction_type"] == "sell" else 1
                expected[newest[row["customer_id"]][1],] += sign * float(row["quantity"]) * float(known[max(days)])
        assert len(expected) == 4
        assert ask(postgres_dbt, "aum", "tier", until=until) == close_to(expected)


def test_holdings_add_up_to_assets_under_management(postgres_dbt: Dbt) -> None:
    query = postgres_dbt.warehouse.query
    unpriced = "SELECT count(*) FROM build_marts.dim_asset WHERE last_price IS NOT NULL AND asset_hk NOT IN"
    assert query(f"{unpriced} (SELECT asset_hk FROM build_marts.fct_asset_indicators)")[0][0] == 1
    held = query("SELECT customer_type, sum(holdings_value) FROM build_semantic.semantic_customer_overview GROUP BY 1")
    assert ask(postgres_dbt, "aum", "customer_type") == close_to({(kind,): float(value) for kind, value in held})


def test_returns_volatility_and_drawdown(postgres_dbt: Dbt, raw: raw_data.Tables) -> None:
    since = date(2026, 10, 15)
    returns, deviations, drawdowns = {}, {}, {}
    for (_, symbol), known in closes(raw, "adj_close_price").items():
        days = sorted(known)
        values = [float(known[day]) for day in days]
        peaks = [max(values[: n + 1]) for n in range(len(values))]
        drawdowns[symbol,] = min(v / p - 1 for v, p in zip(values, peaks, strict=True))
        first = next(n for n, day in enumerate(days) if day >= since)
        returns[symbol,] = values[-1] / values[first - 1] - 1
        logs = [math.log(values[n] / values[n - 1]) for n in range(first, len(values))]
        deviations[symbol,] = statistics.stdev(logs)
    assert ask(postgres_dbt, "return", since=since) == close_to(returns)
    assert ask(postgres_dbt, "volatility", since=since) == close_to(deviations)
    assert ask(postgres_dbt, "drawdown") == close_to(drawdowns)
