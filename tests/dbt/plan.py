"""Shares on which anything happens on any day, as Yahoo tells it: splits, reverse splits, dividends, on time or late.

What was traded is exact here (fractions); an answer of Yahoo's is that, adjusted for what it knows on that day. Rows
are loaded as the source loads them: those that are new or differ from what was loaded before.
"""

import math
import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import raw_data

from tickvault.market import streams

Row = dict[str, Any]

DAYS = [day for n in range(45) if (day := date(2026, 10, 1) + timedelta(days=n)).weekday() < 5]
RATIOS = [Fraction(n, m) for n, m in ((2, 1), (4, 1), (3, 2), (20, 1), (7, 5), (1, 2), (1, 3), (1, 10), (1, 20))]
PARTIES = ("C1", "C2", "C3")


def decimal(value: Fraction, digits: int) -> Decimal:
    """Return a fraction as a provider writes it."""
    return Decimal(round(value * 10**digits)).scaleb(-digits)


@dataclass
class Share:
    """One share: what happened, and how Yahoo told it.

    Args:
        ticker: Its name.
        closes: As traded, by day.
        splits: Ratio by its first day.
        dividends: Per share as traded, by ex-dividend day.
        delays: Days until a split is told; -1 where a reading before its first close knows it already.
        tells: Whether rows say what they are adjusted for; those of an earlier release do not.
        skips: Days whose rows are put aside when they are read again, and so stay as they were loaded first.
    """

    ticker: str
    closes: dict[date, Fraction]
    splits: dict[date, Fraction]
    dividends: dict[date, Fraction]
    delays: dict[date, int]
    tells: bool
    skips: frozenset[date]
    loaded: dict[date, Row] = field(default_factory=dict)

    def known(self, today: date) -> dict[date, Fraction]:
        """The splits that an answer of a day has."""
        place = DAYS.index(today)
        return {day: r for day, r in self.splits.items() if DAYS.index(day) + self.delays[day] <= place}

    def answer(self, today: date) -> list[Row]:
        """Yahoo's bars up to a day, as it gives them after that day's close."""
        known = self.known(today)
        rows = []
        for day in (day for day in self.closes if day <= today):
            later = product(known, day)
            rows.append({
                "ticker": self.ticker, "date": day,
                **{f"{name}_price": decimal(self.closes[day] / later, 18) for name in ("open", "high", "low", "close")},
                "adj_close_price": decimal(self.closes[day] / later * self._paid(day, today), 18),
                "volume": decimal(100_000 * later, 10),
                "dividends": decimal(self.dividends.get(day, Fraction(0)) / later, 10),
                "stock_splits": decimal(known.get(day, Fraction(0)), 10),
                "split_factor": decimal(later, 18) if self.tells else None,
                "source": "yfinance", "quote_currency": "USD",
                "observed_at": datetime(day.year, day.month, day.day, 21, tzinfo=UTC),
            })  # fmt: skip
        return rows

    def read(self, today: date) -> list[Row]:
        """The rows that a run loads after a day, the newest with what Yahoo says of the moment."""
        found = []
        for row in self.answer(today):
            before = self.loaded.get(row["date"])
            if before is None or (row != before and row["date"] not in self.skips):
                self.loaded[row["date"]] = row
                cap = Decimal(1000 + DAYS.index(today)) if row["date"] == today else None
                found.append(row | {"market_cap": cap, "pe_ratio": cap})
        return found

    def _paid(self, day: date, today: date) -> Fraction:
        """The product of 1 - dividend / close before it over the later dividends, as Yahoo adjusts."""
        factor, days = Fraction(1), list(self.closes)
        for ex, amount in self.dividends.items():
            if day < ex <= today:
                before = self.closes[days[days.index(ex) - 1]]
                factor *= 1 - amount * self.splits.get(ex, Fraction(1)) / before
        return factor


def product(splits: dict[date, Fraction], after: date, until: date = date.max) -> Fraction:
    """What one share of a day has become by another."""
    return math.prod((ratio for day, ratio in splits.items() if after < day <= until), start=Fraction(1))


def shares(seed: int, count: int) -> list[Share]:
    """Return shares of all kinds: a third is told late or ahead, a third is put aside now and then or says less."""
    rng = random.Random(seed)
    made = []
    for n in range(count):
        first = rng.choice((0, 0, 0, 6))
        days = DAYS[first:]
        splits = {day: rng.choice(RATIOS) for day in rng.sample(days, rng.choice((0, 1, 1, 2, 3)))}
        if n % 5 == 0:
            splits[days[0]] = Fraction(4)  # on its first bar: only trades are older
        level, closes = Fraction(rng.randrange(2_000, 90_000), 100), {}
        for day in days:
            level = level * Fraction(rng.randrange(9_300, 10_750), 10_000) / splits.get(day, 1)
            level = max(Fraction(round(level * 10_000), 10_000), Fraction(1, 100))
            closes[day] = level
        paid = rng.sample(days[1:], rng.choice((0, 1, 2)))
        if splits and rng.random() < 0.5:
            paid.append(max(splits))
        dividends = {day: Fraction(round(closes[day] * 150), 10_000) for day in paid if day != days[0]}
        kind = n % 3
        delays = {day: rng.choice((-1, 1, 2)) if kind == 1 and day != days[0] else 0 for day in splits}
        tells = kind == 0 or n % 2 == 0
        if not tells:
            delays = {day: max(delay, 0) for day, delay in delays.items()}
        skips = frozenset(rng.sample(days[:-1], 2)) if kind == 2 and tells else frozenset()
        made.append(Share(f"S{n:03d}", closes, splits, dividends, delays, tells, skips))
    return made


def trades(seed: int, of: list[Share]) -> list[Row]:
    """Return trades in these shares on any day, also before the first bar, on a split's day and at weekends."""
    rng = random.Random(seed)
    found = []
    for n, share in enumerate(share for share in of for _ in range(8)):
        day = DAYS[0] + timedelta(days=rng.randrange(-5, 44))
        if share.splits and rng.random() < 0.3:
            day = rng.choice(list(share.splits))
        quantity, party = Decimal(rng.randrange(1, 100_000)).scaleb(-rng.choice((0, 0, 4))), rng.choice(PARTIES)
        found.append({
            "transaction_id": f"T{n}", "customer_id": party, "customer_type": "personal", "company_id": None,
            "asset_type": "stock", "asset_symbol": share.ticker, "quantity": quantity, "price_per_unit": Decimal(1),
            "transaction_type": rng.choice(("buy", "buy", "sell")), "transaction_amount": quantity,
            "fee_amount": Decimal(0), "currency": "USD",
            "transaction_timestamp": datetime(day.year, day.month, day.day, 15, n % 60, tzinfo=UTC),
        })  # fmt: skip
    return found


def loads(of: list[Share], after: date | None, until: date) -> list[Row]:
    """Return what the raw table gets from the runs after one day up to another: its last word on each bar."""
    kept: dict[tuple[str, date], Row] = {}
    for today in (day for day in DAYS if (after is None or day > after) and day <= until):
        slot = datetime(today.year, today.month, today.day, 23, tzinfo=UTC)
        for share in of:
            rows = raw_data.landed(streams.STOCK_YFINANCE, share.read(today), "yfinance", slot)
            for row in rows:
                row["row_version"] = f"{row['date']}|{slot:%Y%m%dT%H%M%SZ}|r0000"
                kept[share.ticker, row["date"]] = row
    return list(kept.values())


def by_ticker(rows: list[Row]) -> dict[str, list[Row]]:
    """Group rows by their asset, oldest first."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["price_date"]):
        found[row["asset_symbol"]].append(row)
    return found
