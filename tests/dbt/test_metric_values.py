"""The metrics' numbers against the raw rows, computed here in another way; every metric there is."""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date
from fractions import Fraction

import pytest
import raw_data
import recomputed
from recomputed import Row
from warehouse import Dbt, read

from tickvault.warehouse.metrics import metric, metrics, statement

Answer = dict[tuple[object, ...], float]
SINCE, UNTIL = date(2026, 10, 1), date(2026, 11, 10)
AROUND_SPLITS = (None, date(2026, 10, 20), date(2026, 10, 26), date(2026, 10, 27), date(2026, 11, 4))


def ask(dbt: Dbt, name: str, *by: str, since: date | None = None, until: date | None = None) -> Answer:
    columns, sql = statement(metric(name), by, since, until, lambda model: f"build_semantic.{model}")
    return {tuple(row[: len(columns) - 1]): float(row[-1]) for row in dbt.warehouse.query(sql)}


def close_to(expected: Answer) -> object:
    return pytest.approx(expected, rel=1e-9)


def tiers(raw: raw_data.Tables) -> dict[str, str]:
    """Every party's tier of now."""
    newest: dict[str, tuple[object, str]] = {}
    for name, key in (("raw_customers", "customer_id"), ("raw_corporates", "company_id")):
        for row in raw[name].to_pylist():
            newest[row[key]] = max(newest.get(row[key], (row["updated_at"], "")), (row["updated_at"], row["tier"]))
    return {party: tier for party, (_, tier) in newest.items()}


def amount(rows: list[Row], name: str) -> Fraction:
    return sum((Fraction(row[name]) for row in rows), Fraction(0))


OF_TRADES: dict[str, Callable[[list[Row]], Fraction | float]] = {
    "revenue": lambda rows: amount(rows, "fee_amount"),
    "volume": lambda rows: amount(rows, "transaction_amount"),
    "net_flow": lambda rows: sum(Fraction(r["transaction_amount"]) * (1 if r["signed"] > 0 else -1) for r in rows),
    "transactions": len,
    "active_customers": lambda rows: len({row["customer_id"] for row in rows}),
    "average_trade": lambda rows: amount(rows, "transaction_amount") / len(rows),
    "fee_rate": lambda rows: 100 * amount(rows, "fee_amount") / amount(rows, "transaction_amount"),
    "suspect_share": lambda _: 0,
}
OF_BARS: dict[str, Callable[[list[Row]], float]] = {
    "return": lambda bars: math.prod(1 + bar["daily_return"] for bar in bars) - 1,
    "volatility": lambda bars: statistics.stdev(math.log1p(bar["daily_return"]) for bar in bars),
    "drawdown": lambda bars: min(bar["drawdown"] for bar in bars),
}


@pytest.mark.parametrize("name", OF_TRADES)
def test_metric_of_trades(name: str, snowflake_dbt: Dbt, raw: raw_data.Tables) -> None:
    by = ("asset_type", "customer_type", "transaction_type")
    groups: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in recomputed.trades(raw):
        if SINCE <= row["day"] <= UNTIL:
            groups[tuple(row[dimension] for dimension in by)].append(row)
    assert len(groups) == 8
    expected = {key: float(OF_TRADES[name](rows)) for key, rows in groups.items()}
    assert ask(snowflake_dbt, name, *by, since=SINCE, until=UNTIL) == close_to(expected)


@pytest.mark.parametrize("name", OF_BARS)
def test_metric_of_bars(name: str, snowflake_dbt: Dbt, raw: raw_data.Tables) -> None:
    expected = {
        (asset[1],): OF_BARS[name]([bar for bar in bars if SINCE <= bar["price_date"] <= UNTIL])
        for asset, bars in recomputed.primary(raw).items()
    }
    assert len(expected) == 16
    assert ask(snowflake_dbt, name, since=SINCE, until=UNTIL) == close_to(expected)


@pytest.mark.parametrize("until", AROUND_SPLITS)
def test_aum_is_what_is_held_at_the_close_of_its_day(
    until: date | None, snowflake_dbt: Dbt, raw: raw_data.Tables
) -> None:
    tier = tiers(raw)
    expected: dict[tuple[str], Fraction] = defaultdict(Fraction)
    for (party, _), worth in recomputed.value(raw, until or date.max).items():
        expected[tier[party],] += worth
    assert len(expected) == 4
    answer = ask(snowflake_dbt, "aum", "tier", until=until)
    assert answer == close_to({key: float(worth) for key, worth in expected.items()})


def test_holdings_add_up_to_assets_under_management(snowflake_dbt: Dbt) -> None:
    query = snowflake_dbt.warehouse.query
    unpriced = "SELECT count(*) FROM build_marts.dim_asset WHERE last_price IS NOT NULL AND asset_hk NOT IN"
    assert query(f"{unpriced} (SELECT asset_hk FROM build_marts.fct_asset_indicators)")[0][0] == 1
    held = query("SELECT customer_type, sum(holdings_value) FROM build_semantic.semantic_customer_overview GROUP BY 1")
    assert ask(snowflake_dbt, "aum", "customer_type") == close_to({(kind,): float(value) for kind, value in held})


def test_customers_are_those_known_by_their_tier_of_now(snowflake_dbt: Dbt, raw: raw_data.Tables) -> None:
    assert ask(snowflake_dbt, "customers", "tier") == {(tier,): n for tier, n in Counter(tiers(raw).values()).items()}


def test_news_of_days_with_a_bar(snowflake_dbt: Dbt, raw: raw_data.Tables) -> None:
    days = {(asset[1], bar["price_date"]) for asset, bars in recomputed.primary(raw).items() for bar in bars}
    expected = {(asset[1],): 0 for asset in recomputed.primary(raw)}
    for news in read(snowflake_dbt.warehouse, "build_marts.fct_news_events"):
        expected[news["asset_symbol"],] = expected.get((news["asset_symbol"],), 0)
        expected[news["asset_symbol"],] += (news["asset_symbol"], news["published_date"]) in days
    assert sum(expected.values()) > 10
    answer = ask(snowflake_dbt, "news", "asset")
    assert answer == {key: n for key, n in expected.items() if key in answer}
    assert sum(answer.values()) == sum(expected.values())


def test_every_metric_is_recomputed() -> None:
    assert set(metrics()) == {*OF_TRADES, *OF_BARS, "aum", "customers", "news"}
