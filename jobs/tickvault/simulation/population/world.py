"""One consistent world: the customers, the corporates and the market they trade in."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import pyarrow as pa

from tickvault.core.settings import Settings
from tickvault.core.stream import Stream
from tickvault.market.streams import CORPORATES, CUSTOMERS, TRANSACTIONS_CORPORATE, TRANSACTIONS_PERSONAL
from tickvault.market.symbols import ASSET_INFO
from tickvault.simulation.market.market import market
from tickvault.simulation.population.floor import Floor
from tickvault.simulation.population.noise import Noise
from tickvault.simulation.population.people import DAY, Population
from tickvault.simulation.population.pools import pools
from tickvault.simulation.population.profiles import corporate_rows, customer_rows
from tickvault.simulation.population.trades import Traders, Trading, Volume

_UNIX = date(1970, 1, 1)


class World:
    """What the settings describe; two made of the same settings are the same.

    Raises:
        ConfigError: ``asset_info.csv`` is missing or wrong.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._noise = Noise(settings.faker_seed)
        self.customers = Population(self._noise, "customer", settings.faker_num_customers)
        self.corporates = Population(self._noise, "corporate", settings.faker_num_corporates)
        info = settings.seeds_path / ASSET_INFO
        prices = market(asset_info=info if info.is_file() else None)
        self._stocks, self._crypto = Floor(prices, "stock"), Floor(prices, "crypto")
        self._traders = {
            TRANSACTIONS_PERSONAL.name: Traders("personal", self.customers, TRANSACTIONS_PERSONAL),
            TRANSACTIONS_CORPORATE.name: Traders("corporate", self.corporates, TRANSACTIONS_CORPORATE),
        }

    @property
    def fingerprint(self) -> str:
        """The same as long as earlier trades can be looked up: the seed and the assets, not the numbers."""
        text = f"{self._noise.seed} {self._stocks.fingerprint} {self._crypto.fingerprint}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def volume(self, day: date, share: float) -> Volume:
        """Give a day's volume; a closed stock market has none.

        Args:
            day: Which day.
            share: What part of a full day's trades, 0 to 1.
        """
        number = (day - _UNIX).days
        return Volume(
            round(share * self._settings.faker_num_stock_transactions) if self._stocks.is_open(day) else 0,
            round(share * self._settings.faker_num_crypto_transactions) if self._crypto.is_open(day) else 0,
            self.customers.size(number),
            self.corporates.size(number),
        )

    def trades(self, stream: Stream, days: Sequence[date], volumes: Mapping[date, Volume]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a transaction stream, day by day."""
        trading = Trading(self._noise, (self._stocks, self._crypto), self._traders[stream.name])
        for day in days:
            yield from trading.rows(day, volumes)

    def people(self, stream: Stream, days: Sequence[date]) -> Iterator[pa.RecordBatch]:
        """Yield everybody's state as the first of these days begins, and every change and arrival until the last ends.

        Raises:
            KeyError: The stream is neither customers nor corporates.
        """
        begin, end = ((day - _UNIX).days * DAY for day in (days[0], days[-1]))
        values = pools(self._settings.faker_seed)
        rows = {
            CUSTOMERS.name: lambda: customer_rows(self.customers, self.corporates, values, begin, end + DAY),
            CORPORATES.name: lambda: corporate_rows(self.corporates, values, begin, end + DAY),
        }
        return rows[stream.name]()
