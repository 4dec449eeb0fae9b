"""Coins on Yahoo Finance: the latest price, and closed daily bars (UTC days).

``observed_at`` of a price is the time of its trade. Yahoo's high, low and change are those of the UTC day and not of
24 hours, so those columns stay empty. Volume is in US dollars, over 24 hours for the price and over the day for a bar.
"""

from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property
from typing import Any

from tickvault.core.batch import Batch
from tickvault.core.package import Cursor
from tickvault.core.records import RecordBuilder, Row
from tickvault.core.stream import Stream
from tickvault.market import streams
from tickvault.market.symbols import Asset
from tickvault.sources import Source
from tickvault.sources.shared.symbolwise import (
    dated,
    failed,
    first_day,
    last_day,
    latest,
    read_each,
    wanted,
    without_rows,
)
from tickvault.sources.shared.yahoo import Bar, History, Yahoo, exact, settled, tomorrow


class YFinanceCrypto(Source):
    """Reads coins one by one; a coin Yahoo does not know is FAILED."""

    name = "yfinance_crypto"
    streams = (streams.CRYPTO_YFINANCE, streams.BARS_YFINANCE)

    @cached_property
    def _yahoo(self) -> Yahoo:
        return Yahoo(self.context)

    def read(self, stream: Stream, since: Cursor | None) -> Iterator[Batch]:
        """Read as ``Source.read`` says."""
        chosen = wanted(self.context, "crypto", "yahoo_ticker")
        yield without_rows(stream, chosen.outcomes)
        builder = self.context.builder(stream)
        one = self._price if stream == streams.CRYPTO_YFINANCE else self._bars
        yield from read_each(stream, chosen.assets, lambda asset: one(builder, asset, since))

    def _price(self, builder: RecordBuilder, asset: Asset, since: Cursor | None) -> Batch:
        history = self._yahoo.history(asset.yahoo_ticker, self.context.now.date(), tomorrow(self.context))
        rows = {asset.symbol: [_price_row(asset, history)]} if history else {}
        return latest(builder, [asset], rows, since, absent=f"unknown symbol {asset.yahoo_ticker}")

    def _bars(self, builder: RecordBuilder, asset: Asset, since: Cursor | None) -> Batch:
        start = first_day(self.context, since, asset)
        known = last_day(self.context, since, asset)
        if known and known >= self.context.now.date() - timedelta(days=1):
            return dated(builder, asset, ())
        history = self._yahoo.history(asset.yahoo_ticker, start, tomorrow(self.context))
        closed = settled(history, self.context.now)
        if not closed:
            return without_rows(
                builder.stream, [failed(asset, f"unknown symbol {asset.yahoo_ticker}, or no bar since {start}")]
            )
        return dated(builder, asset, [_bar_row(asset, bar) for bar in closed if known is None or bar.date > known])


def _price_row(asset: Asset, history: History) -> Row:
    meta: dict[str, Any] = history.meta
    return {
        "symbol": asset.symbol,
        "base_currency": asset.symbol,
        "quote_currency": meta.get("currency"),
        "price": exact(meta.get("regularMarketPrice")),
        "volume": exact(meta.get("regularMarketVolume")),
        "source": "yfinance",
        "observed_at": meta.get("regularMarketTime"),
    }


def _bar_row(asset: Asset, bar: Bar) -> Row:
    return {
        "symbol": asset.symbol,
        "source": "yfinance",
        "date": bar.date,
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume,
        "observed_at": bar.closes,
    }
