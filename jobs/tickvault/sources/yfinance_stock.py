"""Stocks on Yahoo Finance: closed days with prices, dividends, splits, and what Yahoo says about the company.

Prices are adjusted for splits, ``adj_close_price`` for dividends too; ``observed_at`` is the end of the session. Name,
sector and industry describe the ticker and stand on every row; market cap, P/E, 52-week range and average volume are
measures of the moment they are read, so they stand on the newest row alone: a P/E of today on a row of last year would
be false. When a dividend or a split falls into the new days, Yahoo's past changes: the whole history loaded so far is
read again and its rows carry this slot's version (their measures of the moment become empty; earlier ones stay in the
lake).
"""

from collections.abc import Iterator, Sequence
from datetime import date
from functools import cached_property
from typing import Any

from tickvault.core.batch import Batch
from tickvault.core.package import Cursor
from tickvault.core.records import RecordBuilder, Row
from tickvault.core.stream import Stream
from tickvault.market import streams
from tickvault.market.symbols import Asset
from tickvault.sources import Source
from tickvault.sources.shared.symbolwise import dated, failed, first_day, last_day, read_each, wanted, without_rows
from tickvault.sources.shared.yahoo import Bar, Yahoo, exact, settled, tomorrow

_COMPANY = {"company_name": "longName", "sector": "sector", "industry": "industry"}
_MEASURES = {
    "market_cap": "marketCap",
    "pe_ratio": "trailingPE",
    "week_52_high": "fiftyTwoWeekHigh",
    "week_52_low": "fiftyTwoWeekLow",
    "avg_volume": "averageVolume",
}


class YFinanceStock(Source):
    """Reads stocks one by one.

    The cursor holds per ticker its last day, and under ``<ticker>:first`` the day its history begins.
    """

    name = "yfinance_stock"
    streams = (streams.STOCK_YFINANCE,)

    @cached_property
    def _yahoo(self) -> Yahoo:
        return Yahoo(self.context)

    def read(self, stream: Stream, since: Cursor | None) -> Iterator[Batch]:
        """Read as ``Source.read`` says."""
        chosen = wanted(self.context, "stock", "yahoo_ticker")
        yield without_rows(stream, chosen.outcomes)
        builder = self.context.builder(stream)
        yield from read_each(stream, chosen.assets, lambda asset: self._days(builder, asset, since))

    def _days(self, builder: RecordBuilder, asset: Asset, since: Cursor | None) -> Batch:
        start = first_day(self.context, since, asset)
        known = last_day(self.context, since, asset)
        # The last day loaded is asked for again: an answer without any day then says that the ticker is gone.
        closed = self._closed(asset, start)
        if not closed:
            return without_rows(
                builder.stream, [failed(asset, f"unknown symbol {asset.yahoo_ticker}, or no day since {start}")]
            )
        fresh = [bar for bar in closed if known is None or bar.date > known]
        if not fresh:
            return dated(builder, asset, ())
        begin = (since or {}).get(f"{asset.symbol}:first", {}).get("date") or fresh[0].date.isoformat()
        if date.fromisoformat(begin) < fresh[0].date and any(bar.dividends or bar.splits for bar in fresh):
            fresh = self._closed(asset, date.fromisoformat(begin))
        first = {f"{asset.symbol}:first": {"date": min(begin, fresh[0].date.isoformat())}}
        return dated(builder, asset, _rows(asset, fresh, self._yahoo.info(asset.yahoo_ticker)), first)

    def _closed(self, asset: Asset, start: date) -> list[Bar]:
        history = self._yahoo.history(asset.yahoo_ticker, start, tomorrow(self.context))
        return settled(history, self.context.now)


def _rows(asset: Asset, bars: Sequence[Bar], info: dict[str, Any]) -> Iterator[Row]:
    company = {column: info.get(name) for column, name in _COMPANY.items()}
    measures = {column: exact(info.get(name)) for column, name in _MEASURES.items()}
    for bar in bars:
        yield {
            "ticker": asset.symbol,
            "date": bar.date,
            "open_price": bar.open,
            "high_price": bar.high,
            "low_price": bar.low,
            "close_price": bar.close,
            "adj_close_price": bar.adj_close,
            "volume": bar.volume,
            "dividends": bar.dividends,
            "stock_splits": bar.splits,
            **company,
            **(measures if bar is bars[-1] else {}),
            "source": "yfinance",
            "observed_at": bar.closes,
        }
