"""The marts' numbers once more, in plain Python: from the raw rows by what each column's description says.

Money is exact (fractions) until the end; the indicators are the textbooks' recursions. Nothing here is read from a mart
but which article is of which day.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Any

import raw_data

Row = dict[str, Any]
Asset = tuple[str, str]
Numbers = list[float | None]

USD = {None, "", "USD", "USDT"}
MINOR = {"GBp": ("GBP", Fraction(1, 100))}
IN_QUOTE_CURRENCY = ("coingecko", "yfinance")
CAPS = ("market_cap", "pe_ratio", "avg_volume")


def fraction(value: Any) -> Fraction | None:
    return None if value is None else Fraction(value)


def times(value: Any, factor: Fraction) -> Fraction | None:
    return None if value is None else Fraction(value) * factor


class Splits:
    """The splits that the raw rows name, by ticker."""

    def __init__(self, stock_rows: Iterable[Row]) -> None:
        self.known: dict[str, dict[date, Fraction]] = defaultdict(dict)
        for row in stock_rows:
            if row["stock_splits"] and row["stock_splits"] != 1:
                self.known[row["ticker"]][row["date"]] = Fraction(row["stock_splits"])

    def between(self, ticker: str, after: date, until: date = date.max) -> Fraction:
        """What one share of day ``after`` has become by ``until``."""
        days = self.known.get(ticker, {})
        return math.prod((ratio for day, ratio in days.items() if after < day <= until), start=Fraction(1))


def prices(raw: raw_data.Tables) -> list[Row]:
    """Every price as the marts show it, in its own key's newest reading."""
    stocks = raw["raw_stock_prices_yfinance"].to_pylist()
    splits = Splits(stocks)
    found = [_stock(row, splits) for row in stocks]
    found += [
        _coin(row, "bar", row["date"], ("open", "high", "low", "close")) for row in raw["raw_cryptobars"].to_pylist()
    ]
    for name, rows in raw.items():
        if name.startswith("raw_cryptoprices_"):
            columns = ("none", "high_24h", "low_24h", "price")
            found += [_coin(row, "quote", row["observed_at"].date(), columns) for row in rows.to_pylist()]
    return found


def _stock(row: Row, splits: Splits) -> Row:
    ticker, day = row["ticker"], row["date"]
    known = splits.between(ticker, day)
    read = Fraction(row["split_factor"]) if row["split_factor"] is not None else known
    currency, unit = MINOR.get(row["quote_currency"], (row["quote_currency"] or "USD", Fraction(1)))
    adjusted = row["adj_close_price"] if row["adj_close_price"] is not None else row["close_price"]
    return {
        **_common(row, "stock", ticker, "bar", day),
        **{f"{name}_price": times(row[f"{name}_price"], read * unit) for name in ("open", "high", "low", "close")},
        "adj_close_price": times(adjusted, read / known * unit),
        "volume": times(row["volume"], 1 / read),
        "quote_volume": None,
        "dividends": times(row["dividends"], read * unit),
        "stock_splits": fraction(row["stock_splits"]),
        "share_factor": splits.between(ticker, date.min, day),
        **{name: fraction(row[name]) for name in CAPS},
        "market_cap": fraction(row["market_cap"]) if currency in USD and row["market_cap"] else None,
        **{f"week_52_{name}": times(row[f"week_52_{name}"], unit) for name in ("high", "low")},
        "is_usd": currency in USD,
    }


def _coin(row: Row, kind: str, day: date, columns: tuple[str, ...]) -> Row:
    is_quote = row["source"] in IN_QUOTE_CURRENCY
    opening, high, low, price = (fraction(row.get(name)) for name in columns)
    said = row["quote_volume"] if row["quote_volume"] is not None or not is_quote else row["volume"]
    usd = row["quote_currency"] in USD
    return {
        **_common(row, "crypto", row["symbol"], kind, day),
        "open_price": opening, "high_price": high, "low_price": low, "close_price": price, "adj_close_price": price,
        "volume": None if is_quote else fraction(row["volume"]), "quote_volume": fraction(said),
        "dividends": None, "stock_splits": None, "share_factor": Fraction(1),
        "market_cap": fraction(row.get("market_cap") or None) if usd else None,
        "pe_ratio": None, "avg_volume": None, "week_52_high": None, "week_52_low": None, "is_usd": usd,
    }  # fmt: skip


def _common(row: Row, kind: str, symbol: str, price_kind: str, day: date) -> Row:
    return {
        "asset_type": kind, "asset_symbol": symbol, "source": row["source"], "price_kind": price_kind,
        "price_date": day, "observed_at": row["observed_at"].replace(tzinfo=None),
    }  # fmt: skip


def smoothed(values: list[float], period: int, alpha: float) -> Numbers:
    """Return the exponential average, seeded with the simple average of the first full window."""
    result: Numbers = [None] * (period - 1)
    average = sum(values[:period]) / period
    for i in range(period - 1, len(values)):
        average = average if i == period - 1 else average + alpha * (values[i] - average)
        result.append(average)
    return result[: len(values)]


def indicators(bars: list[Row]) -> list[Row]:
    """Return what is said of a series of bars, oldest first."""
    closes = [float(bar["adj_close_price"]) for bar in bars]
    changes = [b - a for a, b in pairwise(closes)]
    gains = [None, *smoothed([max(c, 0.0) for c in changes], 14, 1 / 14)]
    losses = [None, *smoothed([max(-c, 0.0) for c in changes], 14, 1 / 14)]
    ema_12, ema_26 = smoothed(closes, 12, 2 / 13), smoothed(closes, 26, 2 / 27)
    macd = [None if a is None or b is None else a - b for a, b in zip(ema_12, ema_26, strict=True)]
    signal = [None] * min(25, len(closes)) + smoothed([m for m in macd if m is not None], 9, 0.2)
    logs = [math.log(b / a) for a, b in pairwise(closes)]
    rows = []
    for i, bar in enumerate(bars):
        means = {n: sum(closes[i - n + 1 : i + 1]) / n if i >= n - 1 else None for n in (7, 20, 50)}
        band = 2 * statistics.pstdev(closes[i - 19 : i + 1]) if i >= 19 else None
        gain, loss, middle = gains[i], losses[i], means[20]
        rows.append(bar | {
            "bar": i + 1, "sma_7": means[7], "sma_20": middle, "sma_50": means[50],
            "ema_12": ema_12[i], "ema_26": ema_26[i], "macd": macd[i], "macd_signal": signal[i],
            "macd_histogram": None if signal[i] is None else macd[i] - signal[i],
            "rsi_14": None if gain is None else 100.0 if loss == 0 else 100 - 100 / (1 + gain / loss),
            "bollinger_middle": middle,
            "bollinger_upper": None if middle is None else middle + band,
            "bollinger_lower": None if middle is None else middle - band,
            "volatility_20": statistics.stdev(logs[i - 20 : i]) if i >= 20 else None,
            "daily_return": closes[i] / closes[i - 1] - 1 if i else None,
            "total_return": total_return(bars[i - 1], bar) if i else None,
            "cumulative_return": closes[i] / closes[0] - 1,
            "drawdown": closes[i] / max(closes[: i + 1]) - 1,
            "return_7_bars": closes[i] / closes[i - 7] - 1 if i >= 7 else None,
            "return_30_bars": closes[i] / closes[i - 30] - 1 if i >= 30 else None,
        })  # fmt: skip
    return rows


def total_return(before: Row, bar: Row) -> Fraction:
    """What a holding brought from one close to the next: shares that became more or fewer, each with its dividend."""
    shares = bar["share_factor"] / before["share_factor"]
    return shares * (bar["close_price"] + (bar["dividends"] or 0)) / before["close_price"] - 1


def series(raw: raw_data.Tables) -> dict[tuple[str, str, str], list[Row]]:
    """The indicators of every series, by asset and source."""
    found: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for price in sorted(prices(raw), key=lambda row: row["price_date"]):
        if price["price_kind"] == "bar":
            found[price["asset_type"], price["asset_symbol"], price["source"]].append(price)
    return {key: indicators(bars) for key, bars in found.items()}


def primary(raw: raw_data.Tables) -> dict[Asset, list[Row]]:
    """The series to use for each asset: Binance's of coins, Yahoo's of stocks."""
    wanted = {"crypto": "binance", "stock": "yfinance"}
    return {key[:2]: rows for key, rows in series(raw).items() if key[2] == wanted[key[0]]}


def trades(raw: raw_data.Tables) -> list[Row]:
    """Every trade, with its sign and day."""
    found = raw["raw_transactions_personal"].to_pylist() + raw["raw_transactions_corporate"].to_pylist()
    for row in found:
        row["day"] = row["transaction_timestamp"].date()
        row["asset"] = (row["asset_type"], row["asset_symbol"])
        row["signed"] = Fraction(row["quantity"]) * (-1 if row["transaction_type"] == "sell" else 1)
    return found


def held(raw: raw_data.Tables, until: date) -> dict[tuple[str, Asset], Fraction]:
    """What each party holds of each asset at the end of a day, in shares of that day."""
    splits = Splits(raw["raw_stock_prices_yfinance"].to_pylist())
    found: dict[tuple[str, Asset], Fraction] = defaultdict(Fraction)
    for row in trades(raw):
        if row["day"] <= until:
            found[row["customer_id"], row["asset"]] += row["signed"] * splits.between(
                row["asset_symbol"], row["day"], until
            )
    return found


def value(raw: raw_data.Tables, until: date) -> dict[tuple[str, Asset], Fraction]:
    """What that is worth at the last close by then, in dollars; without a close in dollars it is not there."""
    splits = Splits(raw["raw_stock_prices_yfinance"].to_pylist())
    closes = {asset: [bar for bar in bars if bar["price_date"] <= until] for asset, bars in primary(raw).items()}
    found = {}
    for (party, asset), quantity in held(raw, until).items():
        if closes.get(asset) and closes[asset][-1]["is_usd"]:
            bar = closes[asset][-1]
            shares = quantity / splits.between(asset[1], bar["price_date"], until)
            found[party, asset] = shares * bar["close_price"]
    return found
