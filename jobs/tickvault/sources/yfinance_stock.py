"""Stocks on Yahoo Finance: closed days with prices, dividends, splits, and what Yahoo says about the company.

Prices are in ``quote_currency`` as Yahoo names it (``GBp`` is pence) and adjusted for splits, ``adj_close_price`` for
dividends too; ``split_factor`` is the product of those splits as the same answer has them, so that the price as traded
is known whenever a row was read. ``observed_at`` is the end of that day's session. Name, sector and industry describe
the ticker and stand on every row; market cap, P/E, 52-week range and average volume are measures of the moment they are
read, so they stand on the newest row alone: a P/E of today on a row of last year would be false. The last days are read
again each time (``days.py``). A dividend or split among the new days, or a change that reaches further back than those,
means that Yahoo's past changed: the whole history loaded so far is read again and its rows carry this slot's version.
Their measures of the moment become empty, but for the last days; the satellite and the marts keep what was known.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

from tickvault.core.batch import Batch
from tickvault.core.package import Cursor
from tickvault.core.records import RecordBuilder, Row
from tickvault.core.stream import Stream
from tickvault.market import streams
from tickvault.market.symbols import Asset
from tickvault.sources import Source
from tickvault.sources.shared.days import Past, daily
from tickvault.sources.shared.optional import Optional
from tickvault.sources.shared.symbolwise import failed, read_each, wanted, without_rows
from tickvault.sources.shared.yahoo import Bar, History, Yahoo, exact, later_splits, settled, tomorrow

_COMPANY = {"company_name": "longName", "sector": "sector", "industry": "industry"}
_MEASURES = {
    "market_cap": "marketCap",
    "pe_ratio": "trailingPE",
    "week_52_high": "fiftyTwoWeekHigh",
    "week_52_low": "fiftyTwoWeekLow",
    "avg_volume": "averageVolume",
}


class YFinanceStock(Source):
    """Reads stocks one by one."""

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
        past = Past.of(self.context, since, asset)
        now = self.context.now
        # Known days are asked for again: an answer without any day then says that the ticker is gone.
        history = self._yahoo.history(asset.yahoo_ticker, past.start, tomorrow(self.context))
        bars = settled(history, now)
        if history is None or not bars:
            return without_rows(
                builder.stream, [failed(asset, f"unknown symbol {asset.yahoo_ticker}, or no day since {past.start}")]
            )
        rows, optional = _rows(asset, history, bars), Optional(builder.stream)
        sifted = past.sift(builder.stream, map(optional.fit, rows))
        chosen: Sequence[Row] = (*sifted.changed, *sifted.fresh)
        is_event = any(row.get("dividends") or row.get("stock_splits") for row in chosen)
        if (is_event or sifted.reaches_back) and past.begin < past.start:
            history = self._yahoo.history(asset.yahoo_ticker, past.begin, tomorrow(self.context)) or history
            rows = _rows(asset, history, settled(history, now))
            chosen = rows
        notes: list[str] = []
        if chosen:
            chosen, note = self._described(asset, past, chosen, rows[-1])
            notes += [note] if note else []
        chosen = [optional.fit(row) for row in chosen]
        notes += optional.notes.values()
        return daily(builder, past, chosen, history.expected(past.start, now), notes)

    def _described(self, asset: Asset, past: Past, rows: Sequence[Row], newest: Row) -> tuple[list[Row], str]:
        """Add what Yahoo says about the company; of the measures, to the newest day and those it was told before."""
        info, note = self._yahoo.info(asset.yahoo_ticker)
        company = {column: info.get(name) or None for column, name in _COMPANY.items()}
        measures = {column: exact(info.get(name)) or None for column, name in _MEASURES.items()}  # 0 is unknown
        described: list[Row] = []
        for row in rows:
            is_newest = row["date"] == newest["date"]
            described.append({**row, **company, **past.said(row["date"]), **(measures if is_newest else {})})
        return described, note


def _rows(asset: Asset, history: History, bars: Sequence[Bar]) -> list[Row]:
    factors = later_splits(history)
    return [
        {
            "ticker": asset.symbol,
            "date": bar.date,
            "open_price": bar.open or None,
            "high_price": bar.high or None,
            "low_price": bar.low or None,
            "close_price": bar.close,
            "adj_close_price": bar.adj_close or None,
            "volume": bar.volume,
            "dividends": bar.dividends,
            "stock_splits": bar.splits,
            "source": "yfinance",
            "observed_at": bar.closes,
            "quote_currency": history.meta.get("currency"),
            "split_factor": factors[bar.date],
        }
        for bar in bars
    ]
