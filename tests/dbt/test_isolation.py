"""Wrong, foreign and missing prices: what they are isolated to, and what is published beside them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import raw_data
from shop import Shop, shop
from warehouse import Postgres

from tickvault.core.settings import Settings
from tickvault.core.stream import Stream
from tickvault.market import streams

NOW = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=10)
TODAY = NOW.date()
COINS = raw_data.assets("crypto")[:10]
SOURCES = {
    "binance": streams.CRYPTO_BINANCE,
    "coingecko": streams.CRYPTO_COINGECKO,
    "yfinance": streams.CRYPTO_YFINANCE,
}
DOWN, SPIKE, PAIR, TORN = COINS[1], COINS[2], COINS[3], COINS[4]
"""Coins: out of trade at a price of 0, a thousand times too high at one source, also quoted in bitcoin, two sources."""
WRONG_LATER = COINS[5:10]
PRICE = Decimal("100.000000000000000001")


def landed(stream: Stream, rows: list[raw_data.Row], source: str) -> list[raw_data.Row]:
    rows = raw_data.landed(stream, rows, source, NOW)
    return [row | {"load_timestamp": NOW} for row in rows]


def quote(symbol: str, source: str, price: Decimal, currency: str = "USD", seconds: int = 0) -> raw_data.Row:
    return {
        "symbol": symbol,
        "base_currency": symbol,
        "quote_currency": currency,
        "price": price,
        "volume": Decimal(1),
        "source": source,
        "observed_at": NOW + timedelta(seconds=list(SOURCES).index(source) + seconds),
    }


def todays_quotes() -> dict[str, list[raw_data.Row]]:
    """Every coin at every source at about 100; of four coins with something wrong or odd."""
    found: dict[str, list[raw_data.Row]] = {}
    for source, stream in SOURCES.items():
        rows = []
        for symbol in COINS:
            price, currency = PRICE, "USDT" if source == "binance" else "USD"
            if (symbol, source) == (DOWN, "binance"):
                price = Decimal(0)
            if (symbol, source) == (SPIKE, "coingecko"):
                price *= 1000
            if (symbol, source) == (PAIR, "binance"):
                price, currency = Decimal("0.000000001877"), "BTC"
            if symbol == TORN and source != "binance":
                price = PRICE if source == "coingecko" else PRICE * 1000
            if (symbol, source) != (TORN, "binance"):
                rows.append(quote(symbol, source, price, currency))
        found[stream.name] = landed(stream, rows, source)
    return found


def stock_bars(ticker: str, currency: str | None, close: str, days: list[int]) -> list[raw_data.Row]:
    """Bars of a stock so many days before today."""
    return [
        {
            "ticker": ticker,
            "date": TODAY - timedelta(days=back),
            **{f"{name}_price": Decimal(close) for name in ("open", "high", "low", "close", "adj_close")},
            "volume": Decimal(10),
            "market_cap": Decimal(10**9),
            "quote_currency": currency,
            "source": "yfinance",
            "observed_at": NOW - timedelta(days=back, hours=1),
        }
        for back in days
    ]


def coin_bars(symbol: str, closes: dict[int, str], currency: str | None = "USDT") -> list[raw_data.Row]:
    return [
        {
            "symbol": symbol,
            "source": "binance",
            "date": TODAY - timedelta(days=back),
            **{name: Decimal(close) for name in ("open", "high", "low", "close")},
            "volume": Decimal(10),
            "quote_currency": currency,
            "price_unit": Decimal(1000) if symbol == "SATS" else None,
            "observed_at": NOW - timedelta(days=back - 1, hours=1),
        }
        for back, close in closes.items()
    ]


def tables() -> raw_data.Tables:
    made = raw_data.generate(5, transactions=40, days=3, customers=6, companies=2, symbols=2)
    stocks = [
        *stock_bars("HSBA.L", "GBp", "1100.50", [2, 3]),
        *stock_bars("NPN.JO", "ZAc", "250000", [2]),
        *stock_bars("TEVA.TA", "ILA", "5512", [2]),
        *stock_bars("SAP.DE", "EUR", "230.25", [2]),
        *stock_bars("OLD", None, "42", [2]),
        *(row for ticker in ("USA", "USB", "USC") for row in stock_bars(ticker, "USD", "10", [1, 2, 3, 6])),
        *stock_bars("USD", "USD", "10", [1, 3, 6]),
    ]
    coins = [
        *coin_bars("SATS", {1: "0.0000001877", 2: "0.0000001800"}),
        *coin_bars("HOLE", {1: "10", 4: "8", 5: "0", 6: "9"}, None),
        *coin_bars("WBTC", {1: "0.99", 2: "1.1"}, "BTC"),
    ]
    added = todays_quotes()
    added["raw_stock_prices_yfinance"] = landed(streams.STOCK_YFINANCE, stocks, "yfinance")
    added["raw_cryptobars"] = landed(streams.BARS_BINANCE, coins, "binance")
    by_name = {stream.name: stream for stream in streams.ALL}
    for name, rows in added.items():
        made[name] = raw_data.table(by_name[name], made[name].to_pylist() + rows)
    return made


def rows(made: Shop, sql: str) -> dict[Any, Any]:
    """Return what a query gives, by its first column."""
    return {first: rest[0] if len(rest) == 1 else tuple(rest) for first, *rest in made.warehouse.query(sql)}


def test_one_wrong_price_is_isolated_and_many_are_not_published(
    postgres_database: str, tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    made = shop(Postgres(postgres_database), postgres_database, tmp_path, make_settings, tables())
    code, output = made.build()
    assert code == 0, output
    assert "warning: prices_are_positive: 2 row(s), kept in" in output, output
    assert "warning: sources_agree_within_the_band: 2 row(s), kept in" in output, output
    assert f"prices_are_positive: {', '.join(sorted({'HOLE', DOWN}))}" in output
    assert f"sources_agree_within_the_band: {', '.join(sorted({SPIKE, TORN}))}" in output
    suspects(made)
    currencies(made)
    gaps(made)

    for source in ("binance", "coingecko"):
        bad = [quote(symbol, source, PRICE * 1000, seconds=5) for symbol in WRONG_LATER]
        good = [quote(symbol, source, PRICE * 2, seconds=5) for symbol in COINS[:1]]
        made.load(f"many-{source}", SOURCES[source], landed(SOURCES[source], bad + good, source))
    code, output = made.build()
    assert code == 65, output
    assert "few_assets_have_suspect_prices: 1 row(s), kept in" in output
    assert rows(made, "SELECT 1, max(last_price) FROM marts.dim_asset WHERE asset_type = 'crypto'")[1] < 1000


def suspects(made: Shop) -> None:
    """A wrong price is marked, is nobody's last price, and the others' prices of the day are out."""
    marked = made.warehouse.query(
        "SELECT asset_symbol, source, dq_reasons FROM marts.fct_asset_prices WHERE dq_status = 'suspect' ORDER BY 1, 2"
    )
    assert marked == sorted([
        ("HOLE", "binance", "no_price"), (DOWN, "binance", "no_price"), (SPIKE, "coingecko", "sources_diverge"),
        (TORN, "coingecko", "sources_diverge"), (TORN, "yfinance", "sources_diverge"),
    ])  # fmt: skip
    last = rows(made, "SELECT asset_symbol, last_price FROM marts.dim_asset WHERE asset_type = 'crypto'")
    assert {last[symbol] for symbol in COINS if symbol != TORN} == {PRICE}
    assert last[TORN] is None, "of two sources that lie apart nobody knows which one is wrong"
    compared = rows(
        made,
        "SELECT asset_symbol, price_binance, price_coingecko, source_count, dq_status FROM"
        f" marts.fct_asset_price_comparison WHERE price_date = '{TODAY}'",
    )
    assert compared[DOWN] == (None, PRICE, 2, "passed")
    assert compared[PAIR] == (None, PRICE, 2, "passed")
    assert compared[SPIKE] == (PRICE, PRICE * 1000, 3, "suspect")
    assert compared[COINS[0]] == (PRICE, PRICE, 3, "passed")


def currencies(made: Shop) -> None:
    """Prices are in major units of their own currency, and nowhere in USD where they are not."""
    foreign = "('HSBA.L', 'NPN.JO', 'TEVA.TA', 'SAP.DE', 'OLD', 'SATS', 'WBTC')"
    day = f"asset_symbol IN {foreign} AND price_date IN ('{TODAY - timedelta(days=2)}')"
    prices = rows(
        made,
        "SELECT asset_symbol, close_price, adj_close_price, quote_currency, price_unit, is_usd, market_cap"
        f" FROM marts.fct_asset_prices WHERE {day}",
    )
    one, cap = Decimal(1), Decimal(10**9)
    assert prices == {
        "HSBA.L": (Decimal("11.005"), Decimal("11.005"), "GBP", one, False, None),
        "NPN.JO": (Decimal(2500), Decimal(2500), "ZAR", one, False, None),
        "TEVA.TA": (Decimal("55.12"), Decimal("55.12"), "ILS", one, False, None),
        "SAP.DE": (Decimal("230.25"), Decimal("230.25"), "EUR", one, False, None),
        "OLD": (Decimal(42), Decimal(42), "USD", one, True, cap),
        "SATS": (Decimal("0.0000001800"), Decimal("0.0000001800"), "USDT", Decimal(1000), True, None),
        "WBTC": (Decimal("1.1"), Decimal("1.1"), "BTC", one, False, None),
    }
    known = rows(
        made,
        "SELECT asset_symbol, last_price, quote_currency, asset_market_cap, days_behind FROM marts.dim_asset"
        f" WHERE asset_symbol IN {foreign}",
    )
    assert known["HSBA.L"] == (None, "GBP", None, 1)
    assert known["WBTC"][:2] == (None, "BTC")
    assert known["OLD"] == (Decimal(42), "USD", cap, 1)
    assert known["SATS"][:2] == (Decimal("0.0000001877"), "USDT")
    performance = rows(
        made,
        "SELECT asset_symbol, close_price, adj_close_price, daily_return, quote_currency FROM"
        f" semantic.semantic_asset_performance WHERE is_latest AND asset_symbol IN {foreign}",
    )
    assert performance["HSBA.L"] == (None, None, 0, "GBP")
    assert performance["WBTC"] == (None, None, pytest.approx(-0.1), "BTC")
    assert performance["OLD"] == (42, 42, None, "USD")


def gaps(made: Shop) -> None:
    """Days between a series' bars, by the calendar or by the other stocks' trading days; a bar of 0 is no bar."""
    found = made.warehouse.query(
        "SELECT asset_symbol, price_date, bar_before, bar_after FROM marts.fct_asset_price_gaps ORDER BY 1, 2"
    )

    def day(back: int) -> Any:
        return TODAY - timedelta(days=back)

    assert [row for row in found if row[0] in {"HOLE", "USA", "USB", "USC", "USD", "HSBA.L"}] == [
        ("HOLE", day(5), day(6), day(4)),
        ("HOLE", day(3), day(4), day(1)),
        ("HOLE", day(2), day(4), day(1)),
        ("USD", day(2), day(3), day(1)),
    ]
