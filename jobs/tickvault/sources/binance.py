"""Binance spot: the 24-hour ticker, and closed daily klines as bars.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
Numbers are text, times milliseconds; ``volume`` is in the base currency, ``quote_volume`` in the
quote currency. A batch that names one symbol that is unknown
(code -1121) or written as none is (-1100) is refused as a whole, so it is halved until the culprit stands alone.
Where a pair is quoted for 1000 or more coins, rows are for one all the same, and ``price_unit`` says so.
"""

import json
import re
import reprlib
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
from tickvault.sources.shared.quote import for_one, in_ones, is_zero, known, number
from tickvault.sources.shared.symbolwise import (
    failed,
    latest,
    not_nothing,
    objects,
    read_each,
    text,
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
_PRICES = ("price", "price_change_24h", "high_24h", "low_24h")
_UNKNOWN = {"-1121", "-1100"}  # no such symbol; characters that no symbol has
_CODE = re.compile(r'"code"\s*:\s*(-?\d+)')
_CHEAP_SYMBOLS, _SYMBOLS_PER_REQUEST, _KLINES_PER_REQUEST = 20, 100, 1000
_BAR_PRICES = ("open", "high", "low", "close")
_CLOSE_TIME, _QUOTE_VOLUME = 6, 7
_DAY_MILLISECONDS = 86_400_000


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
            asset = by_pair.get(text(record, "symbol"))
            if asset:
                rows.setdefault(asset.symbol, []).append(_price(asset, record))
        return latest(builder, assets, rows, since, absent="unknown symbol, or missing in the answer")

    def _ask(self, assets: Sequence[Asset]) -> list[dict[str, Any]]:
        pairs = json.dumps([asset.binance_pair for asset in assets], separators=(",", ":"), ensure_ascii=False)
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

    def _klines(self, asset: Asset, start: int) -> list[Any]:
        """Get all klines that opened from ``start`` on and are closed."""
        now = _milliseconds(self.context.now)
        params: dict[str, str | int] = {"symbol": asset.binance_pair, "interval": "1d", "limit": _KLINES_PER_REQUEST}
        klines: list[Any] = []
        while True:
            page = self._get("klines", params | {"startTime": start, "endTime": now - 1}, cost=2)
            if not isinstance(page, list) or (page and not any(map(_is_kline, page))):
                raise SourceRejectedError(f"binance: a list of klines is documented, {reprlib.repr(page)} came")
            klines += [kline for kline in page if not _is_open(kline, now)]
            latest_opening = max(
                (kline[0] for kline in page if _is_kline(kline) and start <= kline[0] < now), default=0
            )
            if len(page) < _KLINES_PER_REQUEST or not latest_opening:
                return klines
            start = latest_opening + 1

    def _get(self, path: str, params: dict[str, str | int], cost: float) -> Any:
        base = self.context.settings.binance_base_url.rstrip("/")
        return self.context.http.get_json(PROVIDER, f"{base}/api/v3/{path}", params, cost=cost)


def _price(asset: Asset, record: dict[str, Any]) -> Row:
    quoted = asset.pair
    row = {column: record.get(name) for column, name in FIELDS.items()}
    row |= {column: for_one(row[column], quoted.unit) for column in _PRICES}
    return row | {
        "symbol": asset.symbol,
        "base_currency": asset.symbol,
        "quote_currency": quoted.quote,
        "price_unit": quoted.unit,
        "price": None if is_zero(record.get("count")) else row["price"],  # nothing was traded in these 24 hours
        "volume": in_ones(row["volume"], quoted.unit),
        "quote_volume": record.get("quoteVolume"),
        "source": "binance",
        "observed_at": Epoch(record.get(FIELDS["observed_at"])),
    }


def _bar(asset: Asset, kline: Any) -> Row:
    """Make a row of a kline; one that is none, or holds a price of 0, is left for its reject to show."""
    row = {"symbol": asset.symbol, "source": "binance"}
    if not _is_day(kline):
        return row | {"date": kline}
    quoted = asset.pair
    prices = {name: known(for_one(value, quoted.unit)) for name, value in zip(_BAR_PRICES, kline[1:5], strict=True)}
    return row | {
        "date": Epoch(kline[0]),
        **prices,
        "volume": in_ones(kline[5], quoted.unit),
        "observed_at": Epoch(kline[_CLOSE_TIME]),
        "quote_currency": quoted.quote,
        "price_unit": quoted.unit,
        "quote_volume": kline[_QUOTE_VOLUME] if len(kline) > _QUOTE_VOLUME else None,
    }


def _is_kline(kline: Any) -> bool:
    return isinstance(kline, list) and len(kline) > _CLOSE_TIME and type(kline[0]) is int


def _is_day(kline: Any) -> bool:
    if not isinstance(kline, list) or len(kline) <= _CLOSE_TIME:
        return False
    opened, closes = number(kline[0]), number(kline[_CLOSE_TIME])
    return opened is not None and closes is not None and opened < closes <= opened + _DAY_MILLISECONDS


def _is_open(kline: Any, now: int) -> bool:
    """Tell the running day's kline; one that lies wholly ahead is an error to be put aside, not an open bar."""
    opened = number(kline[0]) if isinstance(kline, list) and kline else None
    return opened is not None and opened <= now < opened + _DAY_MILLISECONDS


def _is_unknown(error: RefusedRequestError) -> bool:
    code = _CODE.search(error.body)
    return code is not None and code[1] in _UNKNOWN


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
