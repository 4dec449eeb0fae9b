"""Who trades what: a day's trades as functions of (seed, day, index), so that nothing is kept between runs.

Trades are numbered from 0 within a day and asset type. The index decides a trade's part: of every five one belongs to
a company; of every ten such four sell what one certain earlier trade bought (a *lot*), the others buy. A lot is looked
up, not stored: it is the trade with that index 1, 7 or 28 days before. Each lot has one seller, its buyer, who sells
at most what it holds; so nobody ever sells more than he has. Where the earlier day had no such trade (before the
history, a weekend, or a smaller number of trades then) the trade buys instead. A split in between multiplies the
shares held (the market has no reverse splits), so it never makes a lot too small.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tickvault.core.stream import Stream
from tickvault.simulation.population.columns import constant, decimals, instants, numbered, picked
from tickvault.simulation.population.floor import Floor
from tickvault.simulation.population.noise import Floats, Ints, Noise
from tickvault.simulation.population.people import Population

Kind = Literal["personal", "corporate"]

MEMORY = 28
"""Days after which no lot is sold any more."""
STEP = 25_000
"""Indexes handled at once; four fifths of them are personal trades."""

_LANES, _CORPORATE = 5, 4
_LAG = np.array([0, 0, 0, 0, 0, 0, 1, 7, 28, 7], np.int64)
_LOT = np.array([0, 1, 2, 3, 4, 5, 0, 1, 2, 3], np.int64)
_FEE_POINTS = np.array([50, 35, 20, 10], np.int64)  # hundredths of a percent, by tier
_ORDER = {"personal": (20.0, 1_000.0), "corporate": (1_000.0, 500.0)}  # least value in USD, and up to how many times it
_UNIX = date(1970, 1, 1)


class Volume(NamedTuple):
    """How much happened on a day: the trades of each type, and how many could take part when it began."""

    stock: int
    crypto: int
    customers: int
    corporates: int


@dataclass(frozen=True, slots=True)
class Traders:
    """Those whose trades one stream holds."""

    kind: Kind
    population: Population
    stream: Stream

    @property
    def prefix(self) -> str:
        """What their identifiers begin with."""
        return "C" if self.kind == "personal" else "B"

    def count(self, volume: Volume) -> int:
        """How many there were on a day."""
        return volume.customers if self.kind == "personal" else volume.corporates

    def indexes(self, first: int, last: int) -> Ints:
        """Return their trades' indexes in a range, the end not included."""
        index = np.arange(first, last, dtype=np.int64)
        mine: Ints = index[(index % _LANES == _CORPORATE) == (self.kind == "corporate")]
        return mine


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where each trade's lot comes from: an earlier trade for those that sell, the trade itself for the others."""

    day: Ints
    index: Ints
    traders: Ints
    sells: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Trading:
    """Makes the rows of one stream's trades.

    Args:
        noise: Where the seed is.
        floors: Stocks and crypto.
        traders: Whose trades.
    """

    noise: Noise
    floors: tuple[Floor, ...]
    traders: Traders

    def rows(self, day: date, volumes: Mapping[date, Volume]) -> Iterator[pa.RecordBatch]:
        """Yield a day's trades in the stream's schema, at most 20,000 at a time.

        Args:
            day: Which day.
            volumes: That day's volume, and those of the ``MEMORY`` days before as far as there were any.
        """
        for floor in self.floors:
            count = getattr(volumes[day], floor.asset_type)
            prices = floor.price_range(day) if count else None
            for first in range(0, count, STEP):
                index = self.traders.indexes(first, min(first + STEP, count))
                if prices and len(index):
                    yield self._batch(floor, day, index, volumes, prices)

    def _batch(
        self, floor: Floor, day: date, index: Ints, volumes: Mapping[date, Volume], prices: tuple[Ints, Ints]
    ) -> pa.RecordBatch:
        number = (day - _UNIX).days
        kind, corporate = self.traders.kind, self.traders.kind == "corporate"
        origin = self._origin(floor, day, index, volumes)
        asset = self._asset(floor, origin)
        units = self._sold(floor, number, index, self._lot(floor, origin, asset), origin.sells)
        trader = self._trader(floor, origin)
        time = self._time(floor, day, index)
        price = self._price(floor, number, index, asset, prices)
        amount = units * price * 10 ** (10 - floor.quantity_digits - floor.price_digits)[asset]
        identity = numbered(self.traders.prefix, trader + 1, 6)
        columns = {
            "transaction_id": numbered(f"T{day:%Y%m%d}-{floor.asset_type[0].upper()}-", index, 8),
            "customer_id": identity,
            "customer_type": constant(kind, len(index)),
            "company_id": identity if corporate else constant(None, len(index)),
            "asset_type": constant(floor.asset_type, len(index)),
            "asset_symbol": picked(floor.names, asset),
            "transaction_type": picked(pa.array(["buy", "sell"]), origin.sells.astype(np.int64)),
            "quantity": decimals(units, 10 ** (10 - floor.quantity_digits)[asset]),
            "price_per_unit": decimals(price, 10 ** (10 - floor.price_digits)[asset]),
            "transaction_amount": decimals(amount),
            "fee_amount": decimals(self._fee(amount, trader, time)),
            "currency": constant("USD", len(index)),
            "transaction_timestamp": instants(time),
        }
        schema = self.traders.stream.schema
        return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)

    def _origin(self, floor: Floor, day: date, index: Ints, volumes: Mapping[date, Volume]) -> _Origin:
        place = index // _LANES % len(_LAG)
        lag = _LAG[place]
        lot = index + (_LOT[place] - place) * _LANES
        traded, traders = np.zeros(MEMORY + 1, np.int64), np.zeros(MEMORY + 1, np.int64)
        for days in np.unique(_LAG).tolist():
            volume = volumes.get(day - timedelta(days=days))
            if volume:
                traded[days], traders[days] = getattr(volume, floor.asset_type), self.traders.count(volume)
        sells = (lag > 0) & (lot < traded[lag])
        lag = np.where(sells, lag, 0)
        return _Origin((day - _UNIX).days - lag, np.where(sells, lot, index), traders[lag], sells)

    def _asset(self, floor: Floor, origin: _Origin) -> Ints:
        part = self.noise.uniform(f"{floor.asset_type} asset", origin.day, origin.index)
        return (part**1.5 * len(floor.symbols)).astype(np.int64)  # those listed first are traded more

    def _trader(self, floor: Floor, origin: _Origin) -> Ints:
        part = self.noise.uniform(f"{floor.asset_type} trader", origin.day, origin.index)
        return (part**1.5 * origin.traders).astype(np.int64)

    def _lot(self, floor: Floor, origin: _Origin, asset: Ints) -> Ints:
        """Give what each lot's trade bought, in units of the quantity's last digit."""
        least, times = _ORDER[self.traders.kind]
        part = self.noise.uniform(f"{floor.asset_type} quantity", origin.day, origin.index)
        quantity: Floats = least * np.exp(part * np.log(times)) / floor.reference[asset]
        unit = 10 ** floor.quantity_digits[asset]
        if floor.asset_type == "stock":  # two thirds trade whole shares if they can
            quantity = np.where((origin.index % 3 > 0) & (quantity >= 1), np.floor(quantity), quantity)
        return np.maximum((quantity * unit).astype(np.int64), 1)

    def _sold(self, floor: Floor, number: int, index: Ints, lot: Ints, sells: npt.NDArray[np.bool_]) -> Ints:
        """Cut what is sold out of the lots: half of the sellers sell all of it, the others a part."""
        part = np.minimum(0.1 + 1.8 * self.noise.uniform(f"{floor.asset_type} part", number, index), 1.0)
        return np.where(sells, np.clip((lot * part).astype(np.int64), 1, lot), lot)

    def _time(self, floor: Floor, day: date, index: Ints) -> Ints:
        begin, end = floor.hours(day)
        return begin + self.noise.below(end - begin, f"{floor.asset_type} time", (day - _UNIX).days, index)

    def _price(self, floor: Floor, number: int, index: Ints, asset: Ints, prices: tuple[Ints, Ints]) -> Ints:
        low, high = (values[asset] for values in prices)
        return low + self.noise.below(high - low + 1, f"{floor.asset_type} price", number, index)

    def _fee(self, amount: Ints, trader: Ints, time: Ints) -> Ints:
        """Give the fee of the tier held at that time, rounded half up to the last of ten digits, all in integers."""
        population = self.traders.population
        points = _FEE_POINTS[population.value("tier", trader, population.window(trader, time))]
        whole, rest = np.divmod(amount, 10_000)
        return whole * points + (rest * points + 5_000) // 10_000
