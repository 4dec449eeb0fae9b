"""The trading floor: what can be traded, at which prices, and when; taken from the simulated market."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from tickvault.simulation.market.market import Market
from tickvault.simulation.market.model import EPOCH
from tickvault.simulation.market.trading_days import is_trading_day, session
from tickvault.simulation.population.noise import Floats, Ints
from tickvault.simulation.population.people import DAY

AssetType = Literal["stock", "crypto"]

_UNIX = date(1970, 1, 1)
_REFERENCE_DAYS = 10


@dataclass(frozen=True)
class Floor:
    """The assets of one type.

    Args:
        market: Whose prices are traded at.
        asset_type: Which of its assets.
    """

    market: Market
    asset_type: AssetType

    @cached_property
    def symbols(self) -> list[str]:
        """What is traded, in the market's order."""
        return [a.symbol for a in self.market.assets.values() if a.asset_class == self.asset_type]

    @cached_property
    def names(self) -> "pa.Array[Any]":
        """The symbols as an Arrow column to pick from."""
        return pa.array(self.symbols, pa.string())

    @cached_property
    def price_digits(self) -> Ints:
        """Digits after the point of each asset's price, 2 to 8."""
        return np.array([self.market.decimals(s) for s in self.symbols], np.int64)

    @cached_property
    def quantity_digits(self) -> Ints:
        """Digits after the point of each asset's quantity: with the price's at most ten, so that amounts are exact."""
        most = 4 if self.asset_type == "stock" else 8
        return np.minimum(10 - self.price_digits, most)

    @cached_property
    def reference(self) -> Floats:
        """A price in USD of each asset that never changes, by which orders are sized."""
        low, high = self.market.daily_range(self.symbols, EPOCH, EPOCH + timedelta(days=_REFERENCE_DAYS))
        prices: Floats = np.nanmean((low + high) / 2, axis=1)
        return prices

    @property
    def fingerprint(self) -> str:
        """Changes when a lot bought earlier would no longer be the same lot."""
        facts = [*self.symbols, *self.price_digits.tolist(), *self.reference.round(8).tolist()]
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]

    def is_open(self, day: date) -> bool:
        """Tell whether anything is traded: coins always, stocks on the days of NYSE."""
        return bool(self.symbols) and (self.asset_type == "crypto" or is_trading_day(day))

    def hours(self, day: date) -> tuple[int, int]:
        """Give the first instant of trading and the one after the last, in microseconds since 1970."""
        if self.asset_type == "crypto":
            begin = (day - _UNIX).days * DAY
            return begin, begin + DAY
        opening, closing = session(day)
        return _microseconds(opening), _microseconds(closing)

    def price_range(self, day: date) -> tuple[Ints, Ints]:
        """Give each asset's low and high of an open day, in units of its last digit."""
        low, high = self.market.daily_range(self.symbols, day, day + timedelta(days=1))
        unit = 10.0**self.price_digits
        return np.rint(low[:, 0] * unit).astype(np.int64), np.rint(high[:, 0] * unit).astype(np.int64)


def _microseconds(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
