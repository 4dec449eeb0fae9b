"""Raw tables as the loader leaves them, made from a seed: what the dbt project is tested and measured on.

Values are awkward on purpose (quotes, backslashes, pipes, tabs, ß, no-break spaces, nulls, tiny and huge amounts).
"""

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tickvault.core.stream import INSTANT, ROW_VERSION, Stream
from tickvault.market import streams

SEEDS = Path(__file__).parents[2] / "seeds"
END = datetime(2026, 11, 20, 13, tzinfo=UTC)
EX_DIVIDEND = date(2026, 11, 3)
"""From this day on a stock is worth 2 % less: closes before it are adjusted."""
SPLITS = {2: (date(2026, 10, 27), Decimal(4)), 3: (date(2026, 11, 5), Decimal("0.2"))}
"""The third stock's split and the fourth's reverse split; only the third's rows say what they are adjusted for."""
TIERS = ("bronze", "silver", "gold", "platinum")
RISKS = ("low", "medium", "high")
COUNTRIES = ("VN", "DE", "US", "JP", "BR")
AWKWARD = (
    "plain",
    "O'Neil",
    'say "x"',
    "back\\slash",
    "pi|pe",
    "back\\|both",
    "straße",
    "naïve",
    "日本",
    "🚀",
    "tab\there",
    " padded ",
    "\u00a0nbsp\u00a0",
    "",
    "line\nbreak",
    "%s {{ x }}",
)

TINY = "SOL"
"""A coin whose prices have more than ten digits after the point."""

PENCE = "HSBA.L"
"""A stock that nobody trades here, quoted in a minor unit."""

GAP = date(2026, 11, 12)
"""On this day the second coin has no bar at Yahoo, and the second stock none at all."""

KEYS = ("{}", " {} ", "{}ß", "\t{}", "\u00a0{}\u00a0", "{}é|\\")
"""What business keys look like now and then; the first eight of a kind are plain."""

EXTREMES = (
    None,
    Decimal(0),
    Decimal("0.0000000001"),
    Decimal("9999999999999999999999999999.9999999999"),
    Decimal("1e27"),
)

Row = dict[str, Any]
Tables = dict[str, pa.Table]


def awkward_key(key: str, number: int) -> str:
    """Return a business key as a sloppy source would write it, always in the same way."""
    return KEYS[number % len(KEYS)].format(key) if number >= 8 else key


def scaled(units: int, digits: int) -> Decimal:
    """Return units x 10^-digits, exactly."""
    return Decimal(int(units)).scaleb(-digits)


def price(symbol: str, units: int) -> Decimal:
    """Return a price in units of 10^-4, of the tiny coin in units of 10^-13."""
    return scaled(units, 13 if symbol == TINY else 4)


def assets(asset_class: str) -> list[str]:
    """Return the symbols of a class in ``asset_info.csv``."""
    with (SEEDS / "asset_info.csv").open(encoding="utf-8") as file:
        return [row["symbol"] for row in csv.DictReader(file) if row["asset_class"] == asset_class]


def landed(stream: Stream, rows: Sequence[Row], source: str, slot: datetime, *, revision: int = 0) -> list[Row]:
    """Return the rows as one package brings them: with row_version, package_id and load_timestamp."""
    slot_id = f"{slot:%Y%m%dT%H%M%SZ}"
    for row in rows:
        own_time = row[stream.cursor_field or "observed_at"]
        row[ROW_VERSION] = f"{own_time:%Y-%m-%dT%H:%M:%S.%fZ}|{slot_id}|r{revision:04d}"
        row["package_id"] = f"{source}.{stream.name}.{slot_id}.r{revision}"
        row["load_timestamp"] = min(slot, END) + timedelta(minutes=5)  # a build leaves what is loaded after its start
    return list(rows)


def table(stream: Stream, rows: Iterable[Row]) -> pa.Table:
    """Return rows as an Arrow table with the columns a raw table has."""
    schema = stream.landed_schema.append(pa.field("package_id", pa.string())).append(
        pa.field("load_timestamp", INSTANT)
    )
    return pa.Table.from_pylist(list(rows), schema=schema)


def generate(
    seed: int,
    *,
    customers: int = 1000,
    companies: int = 200,
    transactions: int = 120_000,
    days: int = 400,
    symbols: int = 50,
) -> Tables:
    """Return every raw table: ``days`` of bars, some quotes, evolving customers, trades spread over all days."""
    rng = np.random.default_rng(seed)
    start = END - timedelta(days=days)
    rows: dict[str, list[Row]] = {stream.name: [] for stream in streams.ALL}
    prices = _bars(rng, rows, days, symbols)
    _quotes(rows, prices)
    _parties(rng, rows, customers, companies, start)
    _trades(rng, rows, transactions, customers, companies, days, prices)
    _news(rows, symbols)
    by_name = {stream.name: stream for stream in streams.ALL}
    return {name: table(by_name[name], content) for name, content in rows.items()}


def _bars(rng: Any, rows: dict[str, list[Row]], days: int, symbols: int) -> dict[tuple[str, str], Any]:
    prices: dict[tuple[str, str], Any] = {}
    slot = END
    for kind in ("crypto", "stock"):
        for symbol in assets(kind)[:symbols]:
            walk = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, days)))
            cents = np.maximum((walk * 10_000).astype(np.int64), 1)
            prices[kind, symbol] = cents
            if kind == "crypto" and symbol == assets(kind)[:symbols][-1]:
                continue  # traded and quoted, without a bar so far
            for back in range(days):
                day = (END - timedelta(days=days - back)).date()
                if kind == "crypto":
                    _crypto_bar(rows, symbol, day, int(cents[back]))
                elif day.weekday() < 5:
                    _stock_bar(rows, symbol, day, int(cents[back]))
    for back in range(1, days + 1):
        _stock_bar(rows, PENCE, (END - timedelta(days=back)).date(), 11_005_000 + back)
    for name, source in (("raw_cryptobars", "binance"), ("raw_stock_prices_yfinance", "yfinance")):
        landed(next(s for s in streams.ALL if s.name == name), rows[name], source, slot)
    return prices


def _closing(day: date, hour: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC) + timedelta(days=0 if hour else 1)


def _crypto_bar(rows: dict[str, list[Row]], symbol: str, day: date, cents: int) -> None:
    for source, shift in (("binance", 0), ("yfinance", 3)):
        if (symbol, source, day) == (assets("crypto")[1], "yfinance", GAP):
            continue
        close = price(symbol, cents + shift)
        rows["raw_cryptobars"].append(
            {
                "symbol": symbol,
                "source": source,
                "date": day,
                "open": close,
                "high": close * 2,
                "low": close / 2,
                "close": close,
                "volume": None if source == "yfinance" and day.day % 2 else Decimal(1000),
                "quote_volume": 1000 * close if source == "binance" or day.day % 2 else None,
                "observed_at": _closing(day),
            }
        )


def _stock_bar(rows: dict[str, list[Row]], symbol: str, day: date, cents: int) -> None:
    if (symbol, day) == (assets("stock")[1], GAP):
        return
    close = scaled(cents, 4)
    number = assets("stock").index(symbol) if symbol in assets("stock") else -1
    split_day, ratio = SPLITS.get(number, (date.min, Decimal(0)))
    rows["raw_stock_prices_yfinance"].append(
        {
            "ticker": symbol,
            "date": day,
            "open_price": close,
            "high_price": close * 2,
            "low_price": close / 2,
            "close_price": close,
            "adj_close_price": close if day >= EX_DIVIDEND else close * Decimal("0.98"),
            "volume": Decimal(5000),
            "dividends": close * Decimal("0.02") if day == EX_DIVIDEND else Decimal(0),
            "stock_splits": ratio if day == split_day else Decimal(0),
            "split_factor": (ratio if day < split_day else Decimal(1)) if number == min(SPLITS) else None,
            "pe_ratio": Decimal("21.5"),
            "week_52_high": close * 3,
            "week_52_low": close / 4,
            "avg_volume": Decimal(4000),
            "company_name": f"{symbol} Inc",
            "market_cap": close * 1_000_000,
            "quote_currency": "GBp" if symbol == PENCE else None,
            "source": "yfinance",
            "observed_at": _closing(day, 21),
        }
    )


def _quotes(rows: dict[str, list[Row]], prices: dict[tuple[str, str], Any]) -> None:
    for shift, stream in enumerate(
        (streams.CRYPTO_BINANCE, streams.CRYPTO_COINGECKO, streams.CRYPTO_YFINANCE, streams.CRYPTO_FREECRYPTOAPI)
    ):
        source = stream.name.removeprefix("raw_cryptoprices_")
        for back in range(3):
            slot = END - timedelta(days=back)
            quotes = [
                {
                    "symbol": symbol,
                    "base_currency": symbol,
                    "quote_currency": "USDT" if shift == 0 else "USD",
                    "price": price(symbol, int(cents[-1 - back]) + shift * 7),
                    "volume": Decimal("12.5") if source in ("binance", "freecryptoapi") or back == 2 else None,
                    "quote_volume": None if source == "freecryptoapi" or back == 2 else Decimal("1250.25"),
                    "price_change_24h": scaled(-int(cents[-1 - back]), 6),
                    "source": source,
                    "observed_at": slot - timedelta(seconds=30 + shift, microseconds=120),
                    "market_cap": Decimal(10**9) + back if source == "coingecko" else None,
                }
                for (kind, symbol), cents in prices.items()
                if kind == "crypto"
            ]
            rows[stream.name] += landed(stream, quotes, source, slot)


def _parties(rng: Any, rows: dict[str, list[Row]], customers: int, companies: int, start: datetime) -> None:
    for stream, count in ((streams.CUSTOMERS, customers), (streams.CORPORATES, companies)):
        people = stream is streams.CUSTOMERS
        for i in range(count):
            for state in range(1 + int(rng.integers(0, 4))):
                at = start + timedelta(days=int(state * 90), hours=i % 24, microseconds=i)
                row = _person(rng, i, companies) if people else _company(rng, i)
                row |= {"created_at": start + timedelta(microseconds=i * 10 % 1000), "updated_at": at}
                rows[stream.name] += landed(stream, [row], "faker_market", max(at, start) + timedelta(days=1))


def _person(rng: Any, i: int, companies: int) -> Row:
    return {
        "customer_id": awkward_key(f"Cust-{i:06d}", i),
        "first_name": AWKWARD[i % len(AWKWARD)] or "x",
        "last_name": f"Last{i}",
        "email": f"p{i}@example.com" if i % 7 else None,
        "phone": None if i % 3 else f"+49 {i}",
        "date_of_birth": date(1950 + i % 50, 1 + i % 12, 1 + i % 28),
        "address": AWKWARD[(i * 5) % len(AWKWARD)],
        "city": AWKWARD[(i * 3) % len(AWKWARD)],
        "country": COUNTRIES[int(rng.integers(5))],
        "tier": TIERS[int(rng.integers(4))],
        "risk_tolerance": RISKS[int(rng.integers(3))],
        "company_id": awkward_key(f"CORP-{i % companies:05d}", i % companies) if companies and i % 10 == 0 else None,
    }


def _company(rng: Any, i: int) -> Row:
    return {
        "company_id": awkward_key(f"CORP-{i:05d}", i),
        "company_name": AWKWARD[i % len(AWKWARD)] or "x",
        "industry": "Finance",
        "country": COUNTRIES[int(rng.integers(5))],
        "employee_count": int(rng.integers(1, 10**6)),
        "annual_revenue": EXTREMES[i] if i < len(EXTREMES) else scaled(int(rng.integers(1, 10**15)), 2),
        "tier": TIERS[int(rng.integers(4))],
        "risk_tolerance": RISKS[int(rng.integers(3))],
    }


def _trades(
    rng: Any,
    rows: dict[str, list[Row]],
    count: int,
    customers: int,
    companies: int,
    days: int,
    prices: dict[tuple[str, str], Any],
) -> None:
    keys = list(prices)
    who, what, day, units, second, side = (
        rng.integers(0, high, count) for high in (customers + companies, len(keys), days, 10**9, 86_000, 3)
    )
    package: dict[tuple[int, bool], list[Row]] = {}
    for n in range(count):
        personal = who[n] < customers
        number = int(who[n] if personal else who[n] - customers)
        party = awkward_key(f"Cust-{number:06d}" if personal else f"CORP-{number:05d}", number)
        kind, symbol = keys[what[n]]
        price = int(prices[kind, symbol][day[n]])
        amount = (int(units[n]) + 1) * price
        at = END - timedelta(days=int(days - day[n]), seconds=int(second[n]), microseconds=n % 1000)
        package.setdefault((int(day[n]), bool(personal)), []).append(
            {
                "transaction_id": awkward_key(f"T{n:09d}", n),
                "customer_id": party,
                "customer_type": "personal" if personal else "corporate",
                "company_id": None if personal else party,
                "asset_type": kind,
                "asset_symbol": symbol,
                "transaction_type": "sell" if side[n] == 0 else "buy",
                "quantity": scaled(units[n] + 1, 6),
                "price_per_unit": scaled(price, 4),
                "transaction_amount": scaled(amount, 10),
                "fee_amount": scaled(amount // 1000, 10),
                "currency": "USD",
                "transaction_timestamp": at,
            }
        )
    for (back, personal), trades in sorted(package.items()):
        stream = streams.TRANSACTIONS_PERSONAL if personal else streams.TRANSACTIONS_CORPORATE
        rows[stream.name] += landed(stream, trades, "faker_market", END - timedelta(days=days - back))


def _news(rows: dict[str, list[Row]], symbols: int) -> None:
    for i, symbol in enumerate(assets("crypto")[:symbols]):
        for back in range(4):
            slot = END - timedelta(days=back * 5)
            item = {
                "cryptocurrency": "bitcoin" if symbol == "BTC" else symbol,
                "url": f"https://News.example/{i // 2}/{back}?q=%20|x",
                "title": AWKWARD[i % len(AWKWARD)] or "untitled",
                "description": None if i % 2 else "d\\|",
                "date": slot - timedelta(hours=2) if i % 5 else None,
                "source": "rss",
                "observed_at": slot,
            }
            rows["raw_news"] += landed(streams.NEWS, [item], "crypto_news", slot)
