"""Binance spot: 24-hour ticker and daily klines.

Wire format: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints. Only the interval
``1d``; the last bar is the one of the running day. The weight header counts but never blocks: 429 and 418 are faults.
"""

import json
import time
import zlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request

from tickvault.market.symbols import Asset
from tickvault.simulation.market.market import Span
from tickvault.simulation.market.model import EPOCH
from tickvault.simulation.providers.spoil import Rows
from tickvault.simulation.providers.state import Endpoint, Provider, Reply, State, parameter, pick

_DAY = 86_400_000
_MANY, _HALF_MANY = 100, 20
_weights: Counter[int] = Counter()
_MESSAGES = {
    401: (-2015, "Invalid API-key, IP, or permissions for action."),
    418: (-1003, "Way too much request weight used; IP banned. Please use WebSocket Streams to avoid bans."),
    429: (-1003, "Too much request weight used; current limit is 6000 request weight per 1 MINUTE."),
    451: (0, "Service unavailable from a restricted location according to 'b. Eligibility' in the terms of use."),
    500: (-1000, "An unknown error occurred while processing the request."),
}


def _ticker(state: State, request: Request) -> Reply:
    single, many = pick(request.query_params, "symbol"), pick(request.query_params, "symbols")
    pairs = _pairs(state)
    wanted = list(pairs)
    if single or many:
        try:
            wanted = [single] if single else list(json.loads(many))
        except ValueError:
            return _error(400, -1100, "Illegal characters found in parameter 'symbols'.")
    if not all(pair in pairs for pair in wanted):
        return _error(400, -1121, "Invalid symbol.")
    rows = [_ticker_row(state, pairs[pair]) for pair in wanted]
    weight = 2 if single or (many and len(wanted) <= _HALF_MANY) else 40 if many and len(wanted) <= _MANY else 80
    return Reply(rows[0] if single else rows, headers=_weigh(weight))


def _pairs(state: State) -> dict[str, Asset]:
    return {a.binance_pair: a for a in state.coins() if a.binance_pair and "binance_pair" not in a.refused}


def _quoted(asset: Asset, span: Span) -> Span:
    """Give prices for as many coins as the pair's name says, and the volume in such lots."""
    unit = asset.pair.unit
    return Span(span.open * unit, span.high * unit, span.low * unit, span.close * unit, span.volume / unit)


def _ticker_row(state: State, asset: Asset) -> dict[str, Any]:
    now, market = state.now(), state.market
    span, digits = _quoted(asset, market.last_24_hours(asset.symbol, now)), market.decimals(asset.symbol)
    change, tick = span.close - span.open, 10.0**-digits
    average = (span.high + span.low + span.close) / 3
    closed, count = _milliseconds(now), _trade_count(asset.symbol, span.volume)
    last_id = zlib.crc32(asset.symbol.encode()) % 10**6 + count * ((now.date() - EPOCH).days + 1)
    return {
        "symbol": asset.binance_pair,
        "priceChange": f"{change:.8f}",
        "priceChangePercent": f"{100 * change / span.open:.3f}",
        "weightedAvgPrice": f"{average:.8f}",
        "prevClosePrice": f"{span.open:.8f}",
        "lastPrice": f"{span.close:.8f}",
        "lastQty": f"{span.volume / count:.8f}",
        "bidPrice": f"{max(span.close - tick, tick):.8f}",
        "bidQty": f"{3 * span.volume / count:.8f}",
        "askPrice": f"{span.close + tick:.8f}",
        "askQty": f"{2 * span.volume / count:.8f}",
        "openPrice": f"{span.open:.8f}",
        "highPrice": f"{span.high:.8f}",
        "lowPrice": f"{span.low:.8f}",
        "volume": f"{span.volume:.8f}",
        "quoteVolume": f"{span.volume * average:.8f}",
        "openTime": closed - _DAY,
        "closeTime": closed,
        "firstId": last_id - count + 1,
        "lastId": last_id,
        "count": count,
    }


def _klines(state: State, request: Request) -> Reply:
    query = request.query_params
    if not pick(query, "symbol"):
        return _error(400, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
    asset = _pairs(state).get(pick(query, "symbol"))
    if asset is None:
        return _error(400, -1121, "Invalid symbol.")
    if pick(query, "interval") != "1d":
        return _error(400, -1120, "Invalid interval.")
    limit = max(1, min(1000, parameter(request, "limit", 500)))
    now = _milliseconds(state.now())
    end = min(parameter(request, "endTime", now), now)
    start = parameter(request, "startTime", -1)
    rows = _bar_rows(state, asset, max(start, 0) if start >= 0 else end - limit * _DAY, end)
    return Reply(rows[:limit] if start >= 0 else rows[-limit:], headers=_weigh(2))


def _bar_rows(state: State, asset: Asset, start: int, end: int) -> list[list[Any]]:
    """Give the bars that open from start to end (milliseconds, both included); the running day's is open."""
    first = datetime.fromtimestamp(-(-start // _DAY) * 86400, UTC).date()
    last = datetime.fromtimestamp(end / 1000, UTC).date()
    today, _, running = state.market.today(asset.symbol, state.now())
    bars = state.market.bars(asset.symbol, first, min(last + timedelta(days=1), today))
    opens = (bars.day.astype("datetime64[ms]").astype("int64")).tolist()
    values = zip(*(v.tolist() for v in (bars.open, bars.high, bars.low, bars.close, bars.volume)), strict=True)
    rows = [_bar_row(asset.symbol, at, _quoted(asset, Span(*bar))) for at, bar in zip(opens, values, strict=True)]
    if first <= today <= last:
        midnight = _milliseconds(datetime(today.year, today.month, today.day, tzinfo=UTC))
        rows.append(_bar_row(asset.symbol, midnight, _quoted(asset, running)))
    return rows


def _bar_row(symbol: str, opened: int, bar: Span) -> list[Any]:
    quote = bar.volume * (bar.high + bar.low + bar.close) / 3
    return [
        opened,
        f"{bar.open:.8f}",
        f"{bar.high:.8f}",
        f"{bar.low:.8f}",
        f"{bar.close:.8f}",
        f"{bar.volume:.8f}",
        opened + _DAY - 1,
        f"{quote:.8f}",
        _trade_count(symbol, bar.volume),
        f"{bar.volume * 0.49:.8f}",
        f"{quote * 0.49:.8f}",
        "0",
    ]


def _trade_count(symbol: str, volume: float) -> int:
    return 50_000 + (zlib.crc32(symbol.encode()) + int(volume)) % 900_000


def _weigh(weight: int) -> dict[str, str]:
    minute = int(time.time() // 60)
    if minute not in _weights:
        _weights.clear()
    _weights[minute] += weight
    return {"X-MBX-USED-WEIGHT-1M": str(_weights[minute])}


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _error(status: int, code: int, message: str) -> Reply:
    return Reply({"code": code, "msg": message}, status, _weigh(1))


def _refuse(status: int) -> Reply:
    return _error(status, *_MESSAGES[status])


_TICKERS = Rows(
    lambda content: content if isinstance(content, list) else [content],
    price="lastPrice",
    times=("openTime", "closeTime"),
    symbol="symbol",
)
_KLINES = Rows(lambda content: content, price=4, times=(0, 6))

PROVIDER = Provider(
    "binance",
    (
        Endpoint("/api/v3/ticker/24hr", _ticker, _TICKERS),
        Endpoint("/api/v3/klines", _klines, _KLINES),
    ),
    _refuse,
)
