"""Every number of the marts against its description, recomputed from the raw rows; and no formula without that."""

import re
from collections import defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pytest
import raw_data
import recomputed
from recomputed import Asset, Row
from warehouse import Dbt, manifest, read

Expected = dict[tuple[Any, ...], Row]
MARTS, SEMANTIC = "build_marts", "build_semantic"
STATES_A_FORMULA = re.compile(
    r" [-x/+] |average|deviation|\bsum of|number of|product of|exponential|index of|highest of|lowest of|days from",
    re.IGNORECASE,
)
"""What the description of a computed column has in it."""
SAME = ("transaction_amount", "fee_amount")


def rows(dbt: Dbt, relation: str, key: tuple[str, ...]) -> Expected:
    found = {tuple(row[name] for name in key): row for row in read(dbt.warehouse, relation)}
    assert found, relation
    return found


def names(dbt: Dbt) -> dict[str, str]:
    """The parties' business keys by their hash."""
    return {row["party_hk"]: row["party_id"] for row in read(dbt.warehouse, f"{SEMANTIC}.semantic_customer_overview")}


def fct_asset_prices(raw: raw_data.Tables, _: Dbt) -> Expected:
    key = KEYS["fct_asset_prices"]
    return {tuple(row[name] for name in key): row for row in recomputed.prices(raw)}


def fct_asset_indicators(raw: raw_data.Tables, _: Dbt) -> Expected:
    shown = {"close_price", "adj_close_price", "dividends", "stock_splits", "share_factor", "is_usd"}
    hidden = (recomputed.prices(raw)[0].keys() - shown) | {"return_7_bars", "return_30_bars"}
    return {
        (*key, row["price_date"]): {name: value for name, value in row.items() if name not in hidden}
        for key, found in recomputed.series(raw).items()
        for row in found
    }


def fct_asset_splits(raw: raw_data.Tables, _: Dbt) -> Expected:
    splits = recomputed.Splits(raw["raw_stock_prices_yfinance"].to_pylist())
    return {
        (ticker, day): {"split_ratio": ratio, "share_factor": splits.between(ticker, date.min, day)}
        for ticker, known in splits.known.items()
        for day, ratio in known.items()
    }


def fct_asset_price_comparison(raw: raw_data.Tables, _: Dbt) -> Expected:
    last: dict[tuple[str, date], dict[str, Row]] = defaultdict(dict)
    for row in sorted(recomputed.prices(raw), key=lambda row: row["observed_at"]):
        if row["price_kind"] == "quote" and row["is_usd"]:
            last[row["asset_symbol"], row["price_date"]][row["source"]] = row
    found: Expected = {}
    for key, quotes in last.items():
        closes = [row["close_price"] for row in quotes.values()]
        average = sum(closes) / len(closes)
        found[key] = {
            **{f"price_{name}": quotes[name]["close_price"] if name in quotes else None for name in SOURCES},
            "source_count": len(closes), "lowest_price": min(closes), "highest_price": max(closes),
            "average_price": average, "divergence_percent": 100 * (max(closes) - min(closes)) / average,
            "first_observed_at": min(row["observed_at"] for row in quotes.values()),
            "last_observed_at": max(row["observed_at"] for row in quotes.values()),
        }  # fmt: skip
    return found


def fct_asset_news_impact(raw: raw_data.Tables, dbt: Dbt) -> Expected:
    bars = {(asset[1], row["price_date"]): row for asset, found in recomputed.primary(raw).items() for row in found}
    found: Expected = {}
    for news in read(dbt.warehouse, f"{MARTS}.fct_news_events"):
        days = (-1, 0, 1, 7)
        around = [bars.get((news["asset_symbol"], news["published_date"] + timedelta(days=n))) for n in days]
        closes = [bar and bar["close_price"] for bar in around]
        start = around[0]
        returns = [
            bar["adj_close_price"] / start["adj_close_price"] - 1 if bar and start else None for bar in around[1:]
        ]
        risk = start and start["volatility_20"]
        found[(news["news_event_hk"],)] = {
            **dict(zip(("close_before", "close_same_day", "close_1d_after", "close_7d_after"), closes, strict=True)),
            **dict(zip(("return_same_day", "return_1d", "return_7d"), returns, strict=True)),
            "return_same_day_in_volatilities": float(returns[0]) / risk if risk and returns[0] is not None else None,
        }
    return found


def dim_asset(raw: raw_data.Tables, _: Dbt) -> Expected:
    by_asset: dict[Asset, list[Row]] = defaultdict(list)
    for row in sorted(recomputed.prices(raw), key=lambda row: row["observed_at"]):
        by_asset[row["asset_type"], row["asset_symbol"]].append(row)
    newest = {kind: max(f[-1]["observed_at"].date() for (k, _), f in by_asset.items() if k == kind) for kind in KINDS}
    found: Expected = {}
    for asset, known in by_asset.items():
        last = known[-1]
        caps = [row["market_cap"] for row in known if row["market_cap"] is not None]
        found[asset] = {
            "asset_market_cap": caps[-1] if caps else None,
            "last_price": last["close_price"] if last["is_usd"] else None,
            "last_observed_at": last["observed_at"],
            "days_behind": (newest[asset[0]] - last["observed_at"].date()).days,
        }
    return found


def fct_transactions(raw: raw_data.Tables, _: Dbt) -> Expected:
    found: Expected = {}
    for row in recomputed.trades(raw):
        amount, fee, day = Fraction(row["transaction_amount"]), Fraction(row["fee_amount"]), row["day"]
        found[(row["transaction_id"],)] = {
            "transaction_amount": Fraction(row["quantity"]) * Fraction(row["price_per_unit"]),
            "net_amount": amount - fee, "fee_percentage": 100 * fee / amount,
            "transaction_year": day.year, "transaction_quarter": (day.month + 2) // 3, "transaction_month": day.month,
            "transaction_week": day.isocalendar().week,
        }  # fmt: skip
    return found


def semantic_transactions(raw: raw_data.Tables, dbt: Dbt) -> Expected:
    found = fct_transactions(raw, dbt)
    for row in recomputed.trades(raw):
        sign = -1 if row["transaction_type"] == "sell" else 1
        signed = {"signed_quantity": row["signed"], "signed_amount": sign * Fraction(row["transaction_amount"])}
        found[(row["transaction_id"],)] |= signed
    return found


def semantic_positions(raw: raw_data.Tables, dbt: Dbt) -> Expected:
    splits = recomputed.Splits(raw["raw_stock_prices_yfinance"].to_pylist())
    party_hk = {name: party for party, name in names(dbt).items()}
    days: dict[tuple[str, Asset], set[date]] = defaultdict(set)
    for row in recomputed.trades(raw):
        days[row["customer_id"], row["asset"]].add(row["day"])
    for (_, asset), traded in days.items():
        traded |= {day for day in splits.known.get(asset[1], {}) if asset[0] == "stock" and day > min(traded)}
    found: Expected = {}
    for day in sorted(set().union(*days.values())):
        quantities = recomputed.held(raw, day)
        for (party, asset), changes in days.items():
            if day in changes:
                later = [other for other in changes if other > day]
                found[party_hk[party], *asset, day] = {
                    "quantity": quantities[party, asset],
                    "share_factor": splits.between(asset[1], date.min, day),
                    "valid_to": min(later) if later else date.max,
                    "is_current": not later,
                }
    return found


def semantic_customer_overview(raw: raw_data.Tables, _: Dbt) -> Expected:
    found: Expected = {}
    for row in recomputed.trades(raw):
        one = found.setdefault((row["customer_id"],), dict.fromkeys(
            ("transaction_count", "buy_count", "sell_count", "asset_count", *SAME, "holdings_value"), Fraction(0)
        ))  # fmt: skip
        one["transaction_count"] += 1
        one[f"{row['transaction_type']}_count"] += 1
        for name in SAME:
            one[name] += Fraction(row[name])
    for (party, _), quantity in recomputed.held(raw, date.max).items():
        found[(party,)]["asset_count"] += quantity > 0
    for (party, _), worth in recomputed.value(raw, date.max).items():
        found[(party,)]["holdings_value"] += worth
    return found


def semantic_asset_performance(raw: raw_data.Tables, dbt: Dbt) -> Expected:
    traded: dict[tuple[str, str, date], list[Row]] = defaultdict(list)
    for row in recomputed.trades(raw):
        traded[*row["asset"], row["day"]].append(row)
    published: dict[tuple[str, str, date], int] = defaultdict(int)
    for news in read(dbt.warehouse, f"{MARTS}.fct_news_events"):
        published[news["asset_type"], news["asset_symbol"], news["published_date"]] += 1
    caps = {
        (row["asset_type"], row["asset_symbol"], row["price_date"]): row["market_cap"]
        for row in sorted(recomputed.prices(raw), key=lambda row: row["observed_at"])
        if row["market_cap"] is not None
    }
    amounts = ("close_price", "adj_close_price", "dividends", "sma_20", "sma_50", "macd", "macd_signal")
    ratios = ("stock_splits", "share_factor", "daily_return", "total_return", "return_7_bars", "return_30_bars")
    ratios += ("cumulative_return", "drawdown", "volatility_20", "rsi_14")
    found: Expected = {}
    for asset, bars in recomputed.primary(raw).items():
        for bar in bars:
            key = (*asset, bar["price_date"])
            found[key] = {
                **{name: bar[name] if bar["is_usd"] else None for name in amounts},
                **{name: bar[name] for name in ratios},
                "asset_market_cap": caps.get(key),
                "transaction_count": len(traded[key]),
                "transaction_amount": sum(Fraction(row["transaction_amount"]) for row in traded[key]),
                "news_count": published[key],
                "is_latest": bar is bars[-1],
            }
    return found


SOURCES = ("binance", "coingecko", "yfinance", "freecryptoapi")
KINDS = ("crypto", "stock")
KEYS: dict[str, tuple[str, ...]] = {
    "dim_asset": ("asset_type", "asset_symbol"),
    "fct_asset_prices": ("asset_type", "asset_symbol", "source", "price_kind", "price_date", "observed_at"),
    "fct_asset_indicators": ("asset_type", "asset_symbol", "source", "price_date"),
    "fct_asset_splits": ("asset_symbol", "split_date"),
    "fct_asset_price_comparison": ("asset_symbol", "price_date"),
    "fct_asset_news_impact": ("news_event_hk",),
    "fct_transactions": ("transaction_id",),
    "semantic_transactions": ("transaction_id",),
    "semantic_positions": ("party_hk", "asset_type", "asset_symbol", "valid_from"),
    "semantic_customer_overview": ("party_id",),
    "semantic_asset_performance": ("asset_type", "asset_symbol", "price_date"),
}
RECOMPUTED: dict[str, Callable[[raw_data.Tables, Dbt], Expected]] = {name: globals()[name] for name in KEYS}


def differs(expected: Any, found: Any) -> bool:
    if expected is None or found is None or isinstance(expected, str | bool | date):
        return bool(expected != found)
    return float(found) != pytest.approx(float(expected), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", KEYS)
def test_numbers_are_what_their_descriptions_say(name: str, snowflake_dbt: Dbt, raw: raw_data.Tables) -> None:
    expected = RECOMPUTED[name](raw, snowflake_dbt)
    found = rows(snowflake_dbt, f"{SEMANTIC if name.startswith('semantic_') else MARTS}.{name}", KEYS[name])
    assert expected
    more = [key for key, row in found.items() if key not in expected and row.get("transaction_count", 1)]
    assert name == "dim_asset" or not more, more[:5]
    missing = expected.keys() - found.keys()
    assert not missing, list(missing)[:5]
    different = [
        f"{key} {column}: {found[key][column]!r} instead of {float(value) if isinstance(value, Fraction) else value!r}"
        for key, row in expected.items()
        for column, value in row.items()
        if differs(value, found[key][column])
    ]
    assert not different, f"{len(different)} values differ:\n" + "\n".join(different[:20])


def test_every_formula_is_recomputed(snowflake_dbt: Dbt, raw: raw_data.Tables) -> None:
    stated = {
        (node["name"], column["name"])
        for node in manifest(snowflake_dbt).values()
        if node["name"].startswith(("fct_", "semantic_", "dim_asset"))
        for column in node["columns"].values()
        if STATES_A_FORMULA.search(column["description"])
    }
    done = {(name, column) for name, of in RECOMPUTED.items() for column in next(iter(of(raw, snowflake_dbt).values()))}
    assert len(stated) > 60
    assert sorted(stated - done) == []
