"""The simulated market: prices, bars, splits, dividends and fundamentals of every asset at any instant.

Deterministic by (seed, symbol, instant) and independent of what was asked before. Building it for 100 assets takes
well under half a second; ask :func:`market` for a cached one. Days are UTC for crypto and NYSE sessions for stocks.

Two views of a stock's price: **as traded** on that day (the default; what a trade of that day must have cost), and
**as seen at** a later day, when prices before a split in between are divided by its ratio (what Yahoo answers).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tickvault.core.errors import ConfigError
from tickvault.market.symbols import ASSET_INFO, Asset, default_folder, load_assets
from tickvault.simulation.market import model
from tickvault.simulation.market.model import DAYS, EPOCH, HORIZON, SPLITS, Array
from tickvault.simulation.market.trading_days import NEW_YORK, session

Days = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Bars:
    """Daily bars of one symbol, trading days only, oldest first; prices in USD, volume in units of the asset."""

    day: Days
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array


@dataclass(frozen=True, slots=True)
class Span:
    """What a price did between two instants."""

    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True)
class Fundamentals:
    """What is said about an asset beside its price; money in USD."""

    market_cap: float
    supply: float
    earnings_per_share: float | None
    pe_ratio: float | None
    week_52_high: float
    week_52_low: float
    average_volume: float
    dividend_rate: float
    industry: str


class Market:
    """Every asset's market from EPOCH (2024-01-01) to HORIZON (2031-01-01), the end not included.

    Args:
        assets: What is traded, by symbol.
        seed: Another seed is another market.
    """

    def __init__(self, assets: Sequence[Asset], seed: int = 7) -> None:
        self.seed = seed
        self.assets = {asset.symbol: asset for asset in assets}
        self._symbols = list(self.assets)
        self._row = {symbol: row for row, symbol in enumerate(self._symbols)}
        self._profiles = model.profiles(assets)
        self._series = model.simulate(assets, self._profiles, seed)

    def daily_range(self, symbols: Sequence[str], start: date, end: date) -> tuple[Array, Array]:
        """Give (low, high) as traded, each of shape (symbols, days from start to end, the end not included).

        NaN marks a day on which that symbol does not trade.

        Raises:
            ConfigError: An unknown symbol, or days outside the simulated years.
        """
        first, last = self._index(start), self._index(end)
        rows = [self._row_of(symbol) for symbol in symbols]
        return self._series.low[rows, first:last], self._series.high[rows, first:last]

    def bars(self, symbol: str, start: date, end: date, seen_at: date | None = None) -> Bars:
        """Give the whole bars of the trading days from start to end (not included), cut to the simulated years.

        Args:
            symbol: Which asset.
            start: First day.
            end: Day after the last.
            seen_at: Divide prices before a split that happened by this day; None gives them as traded.
        """
        row = self._row_of(symbol)
        first, last = (self._index(min(max(day, EPOCH), HORIZON)) for day in (start, end))
        days = first + np.flatnonzero(self._series.trades[row, first:last])
        ratio = self._split_ratio(symbol, days, seen_at)
        s = self._series
        open_, high, low, close = (values[row, days] / ratio for values in (s.open, s.high, s.low, s.close))
        day = np.datetime64(EPOCH) + days.astype("timedelta64[D]")
        return Bars(day, open_, high, low, close, s.volume[row, days] * ratio)

    def price(self, symbol: str, at: datetime) -> float:
        """Give the last traded price at an instant; it lies inside that day's low and high."""
        row = self._row_of(symbol)
        day, part = self._position(symbol, at)
        return float(self._path(row, day, np.array([part]))[0])

    def last_trade(self, symbol: str, at: datetime) -> datetime:
        """Give when the asset last traded: now while its market is open, else the last close."""
        if self.assets[symbol].asset_class == "crypto":
            return at
        day, _ = self._position(symbol, at)
        return min(at, session(EPOCH + timedelta(days=day))[1])

    def today(self, symbol: str, at: datetime) -> tuple[date, bool, Span]:
        """Give the latest trading day begun by an instant, whether it is over, and its bar so far (as traded)."""
        row = self._row_of(symbol)
        day, part = self._position(symbol, at)
        return EPOCH + timedelta(days=day), part >= 1, self._span(row, day, 0.0, part)

    def last_24_hours(self, symbol: str, at: datetime) -> Span:
        """Give what a coin's price did in the 24 hours before an instant."""
        row = self._row_of(symbol)
        day, part = self._position(symbol, at)
        new = self._span(row, day, 0.0, part)
        if day == 0:
            return new
        old = self._span(row, day - 1, part, 1.0)
        high, low = max(old.high, new.high), min(old.low, new.low)
        return Span(old.open, high, low, new.close, round(old.volume + new.volume, 3))

    def previous_close(self, symbol: str, at: datetime) -> float:
        """Give the close of the trading day before the latest one, as seen at this instant."""
        day = self.today(symbol, at)[0]
        before = self.bars(symbol, day - timedelta(days=10), day, seen_at=day)
        return float(before.close[-1]) if len(before.close) else self.price(symbol, at)

    def split(self, symbol: str) -> tuple[date, int] | None:
        """Give the day and ratio of a stock's split, if it has one."""
        return SPLITS.get(symbol)

    def dividends(self, symbol: str, seen_at: date) -> dict[date, float]:
        """Give ex-dividend days up to ``seen_at`` with the amount per share in USD, adjusted for splits by then."""
        days = self._dividend_days.get(symbol, [])
        quarterly = self._profile(symbol).price * self._profile(symbol).dividend_percent / 400
        rows = np.array([(day - EPOCH).days for day in days], dtype=np.int64)
        ratios = self._later_ratio(symbol, rows) / self._split_ratio(symbol, rows, seen_at)
        amounts = np.round(quarterly * ratios, 4)
        return {day: float(amount) for day, amount in zip(days, amounts, strict=True) if day <= seen_at}

    def fundamentals(self, symbol: str, at: datetime) -> Fundamentals:
        """Give market value, supply, price-earnings ratio, 52-week range and three-month average volume."""
        day, _, span = self.today(symbol, at)
        year = self.bars(symbol, day - timedelta(days=364), day, seen_at=day)
        profile = self._profile(symbol)
        later = float(self._later_ratio(symbol, np.array([(day - EPOCH).days]))[0])
        supply, price = profile.supply / later, span.close
        earnings = None
        if self.assets[symbol].asset_class == "stock":
            multiple = 12 + 28 * model.uniform("pe", symbol, size=1)[0]
            earnings = round(float(profile.price * later / multiple), 2)
        recent = year.volume[-63 if earnings else -90 :]
        return Fundamentals(
            market_cap=round(price * supply, 2),
            supply=supply,
            earnings_per_share=earnings,
            pe_ratio=round(price / earnings, 4) if earnings else None,
            week_52_high=float(year.high.max(initial=span.high)),
            week_52_low=float(year.low.min(initial=span.low)),
            average_volume=round(float(recent.mean())) if len(recent) else span.volume,
            dividend_rate=round(profile.price * later * profile.dividend_percent / 100, 2),
            industry=profile.industry,
        )

    def decimals(self, symbol: str) -> int:
        """Give the digits after the point this asset is quoted with."""
        return model.decimals(self._profile(symbol).price)

    @cached_property
    def _dividend_days(self) -> dict[str, list[date]]:
        trades = self._series.trades
        found: dict[str, list[date]] = {}
        for symbol, row in self._row.items():
            if not self._profiles[row].dividend_percent:
                continue
            month, day = (int(value) for value in model.uniform("dividend", symbol, size=2) * (3, 18))
            wanted = [date(y, m, 3 + day) for y in range(EPOCH.year, HORIZON.year) for m in range(1 + month, 13, 3)]
            rows = [(one - EPOCH).days for one in wanted]
            found[symbol] = [EPOCH + timedelta(days=int(n + np.argmax(trades[row, n:]))) for n in rows]
        return found

    def _span(self, row: int, day: int, begin: float, end: float) -> Span:
        if (begin, end) == (0.0, 1.0):
            s = self._series
            return Span(*(float(values[row, day]) for values in (s.open, s.high, s.low, s.close, s.volume)))
        knots = self._knots(row, day)[0]
        inside = knots[(knots > begin) & (knots < end)]
        path = self._path(row, day, np.sort(np.concatenate([np.linspace(begin, end, 33), inside])))
        volume = round(float(self._series.volume[row, day]) * (end - begin), 3)
        return Span(float(path[0]), float(path.max()), float(path.min()), float(path[-1]), volume)

    def _knots(self, row: int, day: int) -> tuple[Array, Array]:
        """Give the four points each day's path runs through: the open, both extremes in some order, the close."""
        rising, early, late = model.uniform(self.seed, self._symbols[row], day, size=3)
        s = self._series
        high, low = s.high[row, day], s.low[row, day]
        extremes = (low, high) if rising < 0.5 else (high, low)  # noqa: PLR2004
        times = np.array([0.0, 0.15 + 0.3 * early, 0.55 + 0.3 * late, 1.0])
        return times, np.array([s.open[row, day], *extremes, s.close[row, day]])

    def _path(self, row: int, day: int, parts: Array) -> Array:
        """Give the price at parts of the day (0 opening, 1 closing): between the knots, with some ripple."""
        times, prices = self._knots(row, day)
        high, low = self._series.high[row, day], self._series.low[row, day]
        segment = np.clip(np.searchsorted(times, parts, side="right") - 1, 0, 2)
        along = (parts - times[segment]) / (times[segment + 1] - times[segment])
        ripple = 0.06 * (high - low) * np.sin(6 * np.pi * along)  # zero at the knots
        digits = model.decimals(self._profiles[row].price)
        path: Array = np.round(np.clip(np.interp(parts, times, prices) + ripple, low, high), digits)
        return path

    def _position(self, symbol: str, at: datetime) -> tuple[int, float]:
        """Give the row of the latest trading day begun by an instant, and how much of it has passed (0 to 1)."""
        if self.assets[symbol].asset_class == "crypto":
            midnight = datetime.combine(at.astimezone(UTC).date(), time(), UTC)
            return self._index(midnight.date(), inside=True), (at - midnight).total_seconds() / 86400
        local = at.astimezone(NEW_YORK).date()
        day = self._index(local, inside=True)
        trades = self._series.trades[self._row_of(symbol)]
        if not trades[day] or at < session(local)[0]:
            earlier = np.flatnonzero(trades[:day])
            day = int(earlier[-1]) if len(earlier) else int(np.argmax(trades))
        opening, closing = session(EPOCH + timedelta(days=day))
        return day, min(1.0, max(0.0, (at - opening) / (closing - opening)))

    def _later_ratio(self, symbol: str, days: NDArray[np.int64]) -> Array:
        split_day, ratio = SPLITS.get(symbol, (EPOCH, 1))
        return np.where(days < (split_day - EPOCH).days, float(ratio), 1.0)

    def _split_ratio(self, symbol: str, days: NDArray[np.int64], seen_at: date | None) -> Array:
        split = SPLITS.get(symbol)
        if split is None or seen_at is None or seen_at < split[0]:
            return np.ones(len(days))
        return self._later_ratio(symbol, days)

    def _profile(self, symbol: str) -> model.Profile:
        return self._profiles[self._row_of(symbol)]

    def _row_of(self, symbol: str) -> int:
        try:
            return self._row[symbol]
        except KeyError:
            raise ConfigError(f"the simulated market does not trade '{symbol}': add it to {ASSET_INFO}") from None

    @staticmethod
    def _index(day: date, *, inside: bool = False) -> int:
        index = (day - EPOCH).days
        if not 0 <= index <= DAYS - inside:
            raise ConfigError(f"{day} is outside the simulated years: choose a day from {EPOCH} to before {HORIZON}")
        return index


@lru_cache(maxsize=4)
def market(seed: int = 7, asset_info: Path | None = None) -> Market:
    """Give the market of an ``asset_info.csv`` (the shipped one by default), built once per process and seed.

    Of a coin and a share with the same symbol only the first is traded here.
    """
    assets = load_assets(asset_info or default_folder() / ASSET_INFO).assets
    return Market(list({asset.symbol: asset for asset in reversed(assets)}.values())[::-1], seed)
