"""Coins on Yahoo Finance: the latest price, and closed daily bars (UTC days).

``observed_at`` of a price is the time of its trade. Yahoo's high, low and change are those of the UTC day and not of
24 hours, so those columns stay empty. Volume is in US dollars, over 24 hours for the price and over the day for a bar,
and therefore ``quote_volume``.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from tickvault.core.batch import Batch
from tickvault.core.package import Cursor
from tickvault.core.records import RecordBuilder, Row
from tickvault.core.stream import Stream
from tickvault.market import streams
from tickvault.market.symbols import Asset
from tickvault.sources import Source
from tickvault.sources.shared.days import Past, daily, nothing_new
from tickvault.sources.shared.exchange import every_day
from tickvault.sources.shared.optional import Optional
from tickvault.sources.shared.symbolwise import failed, latest, read_each, wanted, without_rows
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
        optional = Optional(builder.stream)
        rows = {asset.symbol: [optional.fit(_price_row(asset, history))]} if history else {}
        return latest(builder, [asset], rows, since, absent=f"unknown symbol {asset.yahoo_ticker}")

    def _bars(self, builder: RecordBuilder, asset: Asset, since: Cursor | None) -> Batch:
        past = Past.of(self.context, since, asset)
        now = self.context.now
        if past.is_whole(every_day(past.start, now)):
            return nothing_new(builder.stream, asset)
        history = self._yahoo.history(asset.yahoo_ticker, past.start, tomorrow(self.context))
        bars = settled(history, now)
        if history is None or not bars:
            return without_rows(
                builder.stream, [failed(asset, f"unknown symbol {asset.yahoo_ticker}, or no bar since {past.start}")]
            )
        optional = Optional(builder.stream)
        sifted = past.sift(builder.stream, [optional.fit(_bar_row(asset, history, bar)) for bar in bars])
        chosen = (*sifted.changed, *sifted.fresh)
        return daily(builder, past, chosen, history.expected(past.start, now), list(optional.notes.values()))


def _price_row(asset: Asset, history: History) -> Row:
    meta: dict[str, Any] = history.meta
    return {
        "symbol": asset.symbol,
        "base_currency": asset.symbol,
        "quote_currency": meta.get("currency"),
        "price": exact(meta.get("regularMarketPrice")),
        "quote_volume": exact(meta.get("regularMarketVolume")),
        "source": "yfinance",
        "observed_at": meta.get("regularMarketTime"),
        "price_unit": 1,
    }


def _bar_row(asset: Asset, history: History, bar: Bar) -> Row:
    return {
        "symbol": asset.symbol,
        "source": "yfinance",
        "date": bar.date,
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "quote_volume": bar.volume,
        "observed_at": bar.closes,
        "quote_currency": history.meta.get("currency"),
        "price_unit": 1,
    }
