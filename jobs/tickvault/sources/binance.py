"""Binance spot: the 24-hour ticker, and closed daily klines as bars.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
Numbers are text, times milliseconds; volume is in the base currency. A batch that names one unknown symbol is refused
as a whole (code -1121), so it is halved until the culprit stands alone.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time
from typing import Any

from tickvault.core.batch import Batch
from tickvault.core.errors import SourceRejectedError
from tickvault.core.package import Cursor
from tickvault.core.records import Epoch, RecordBuilder, Row, require_fields
from tickvault.core.stream import Stream
from tickvault.engines.http.client import Provider, RefusedRequestError
from tickvault.market import streams
from tickvault.market.symbols import Asset
from tickvault.sources import Source
from tickvault.sources.shared.days import Past, daily, nothing_new
from tickvault.sources.shared.exchange import every_day
from tickvault.sources.shared.symbolwise import (
    failed,
    latest,
    not_nothing,
    objects,
    read_each,
    wanted,
    without_rows,
)

PROVIDER = Provider(
    "binance",
    per_minute=6000,  # request weight per IP
    url_setting="BINANCE_BASE_URL",
    blocked_hint="set BINANCE_BASE_URL to https://data-api.binance.vision or https://api.binance.us",
)
FIELDS = {
    "price": "lastPrice",
    "volume": "volume",
    "price_change_24h": "priceChange",
    "price_change_percent_24h": "priceChangePercent",
    "high_24h": "highPrice",
    "low_24h": "lowPrice",
    "observed_at": "closeTime",
}
_UNKNOWN_SYMBOL = -1121
_CHEAP_SYMBOLS, _SYMBOLS_PER_REQUEST, _KLINES_PER_REQUEST = 20, 100, 1000
_CLOSE_TIME = 6


class Binance(Source):
    """Reads tickers in batches and klines per symbol, paying the documented weights."""

    name = "binance"
    streams = (streams.CRYPTO_BINANCE, streams.BARS_BINANCE)

    def read(self, stream: Stream, since: Cursor | None) -> Iterator[Batch]:
        """Read as ``Source.read`` says."""
        chosen = wanted(self.context, "crypto", "binance_pair")
        yield without_rows(stream, chosen.outcomes)
        builder = self.context.builder(stream)
        if stream == streams.CRYPTO_BINANCE:
            firsts = range(0, len(chosen.assets), _SYMBOLS_PER_REQUEST)
            parts = (chosen.assets[n : n + _SYMBOLS_PER_REQUEST] for n in firsts)
            yield from not_nothing("binance", self.context, (self._tickers(builder, part, since) for part in parts))
        else:
            yield from read_each(stream, chosen.assets, lambda asset: self._bars(builder, asset, since))

    def _tickers(self, builder: RecordBuilder, assets: Sequence[Asset], since: Cursor | None) -> Batch:
        answer = self._ask(assets)
        require_fields(builder.stream, answer, FIELDS | {"symbol": "symbol"})
        by_pair = {asset.binance_pair: asset for asset in assets}
        rows: dict[str, list[Row]] = {}
        for record in answer:
            asset = by_pair.get(str(record.get("symbol")))
            if asset:
                rows.setdefault(asset.symbol, []).append(_price(asset, record))
        return latest(builder, assets, rows, since, absent="unknown symbol, or missing in the answer")

    def _ask(self, assets: Sequence[Asset]) -> list[dict[str, Any]]:
        pairs = json.dumps([asset.binance_pair for asset in assets], separators=(",", ":"))
        try:
            return objects(
                "binance", self._get("ticker/24hr", {"symbols": pairs}, cost=2 if len(assets) <= _CHEAP_SYMBOLS else 40)
            )
        except RefusedRequestError as error:
            if not _is_unknown(error):
                raise
            if len(assets) == 1:
                return []
            middle = len(assets) // 2
            return self._ask(assets[:middle]) + self._ask(assets[middle:])

    def _bars(self, builder: RecordBuilder, asset: Asset, since: Cursor | None) -> Batch:
        past = Past.of(self.context, since, asset)
        days = every_day(past.start, self.context.now)
        if past.is_whole(days):
            return nothing_new(builder.stream, asset)
        start = datetime.combine(past.start, time(), UTC)
        try:
            klines = self._klines(asset, _milliseconds(start))
        except RefusedRequestError as error:
            if _is_unknown(error):
                return without_rows(builder.stream, [failed(asset, f"unknown symbol {asset.binance_pair}")])
            raise
        if not klines:
            return without_rows(builder.stream, [failed(asset, f"no closed bar since {past.start}")])
        sifted = past.sift(builder.stream, (_bar(asset, kline) for kline in klines))
        return daily(builder, past, (*sifted.changed, *sifted.fresh), days)

    def _klines(self, asset: Asset, start: int) -> list[list[Any]]:
        """Get all klines that opened from ``start`` on and are closed."""
        now = _milliseconds(self.context.now)
        params: dict[str, str | int] = {"symbol": asset.binance_pair, "interval": "1d", "limit": _KLINES_PER_REQUEST}
        klines: list[list[Any]] = []
        while True:
            page = self._get("klines", params | {"startTime": start, "endTime": now - 1}, cost=2)
            if not isinstance(page, list) or not all(isinstance(k, list) and len(k) > _CLOSE_TIME for k in page):
                raise SourceRejectedError(f"binance: a list of klines is documented, {str(page)[:80]!r} came")
            klines += [kline for kline in page if not _is_open(kline, now)]
            if len(page) < _KLINES_PER_REQUEST or not isinstance(page[-1][0], int) or page[-1][0] < start:
                return klines
            start = page[-1][0] + 1

    def _get(self, path: str, params: dict[str, str | int], cost: float) -> Any:
        base = self.context.settings.binance_base_url.rstrip("/")
        return self.context.http.get_json(PROVIDER, f"{base}/api/v3/{path}", params, cost=cost)


def _price(asset: Asset, record: dict[str, Any]) -> Row:
    return {column: record.get(name) for column, name in FIELDS.items()} | {
        "symbol": asset.symbol,
        "base_currency": asset.symbol,
        "quote_currency": asset.binance_pair.removeprefix(asset.symbol),
        "source": "binance",
        "observed_at": Epoch(record.get(FIELDS["observed_at"])),
    }


def _bar(asset: Asset, kline: list[Any]) -> Row:
    values = dict(zip(("open", "high", "low", "close", "volume"), kline[1:_CLOSE_TIME], strict=True))
    times = {"date": Epoch(kline[0]), "observed_at": Epoch(kline[_CLOSE_TIME])}
    return {"symbol": asset.symbol, "source": "binance", **times, **values}


def _is_open(kline: list[Any], now: int) -> bool:
    """Tell the running day's kline; one that lies wholly ahead is an error to be put aside, not an open bar."""
    opened, closes = kline[0], kline[_CLOSE_TIME]
    return isinstance(opened, int) and isinstance(closes, int) and opened <= now <= closes


def _is_unknown(error: RefusedRequestError) -> bool:
    return f'"code":{_UNKNOWN_SYMBOL}' in error.body.replace(" ", "")


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
