"""Yahoo's chart: daily bars with dividends and splits, prices adjusted for splits as seen at the simulated time.

A closed day's timestamp is the opening of its session (midnight UTC for coins), the running day's is the last trade's.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
from starlette.requests import Request

from tickvault.market.symbols import Asset
from tickvault.simulation.market.market import Bars
from tickvault.simulation.market.model import EPOCH, Array
from tickvault.simulation.market.trading_days import NEW_YORK, session
from tickvault.simulation.providers.faults import Fault
from tickvault.simulation.providers.spoil import later, spoilt
from tickvault.simulation.providers.state import Reply, State, parameter, pick

_RANGES = {"1d": 1, "5d": 5, "1mo": 30, "3mo": 91, "6mo": 182, "1y": 365, "2y": 730, "5y": 1826, "10y": 3652}
_VALID_RANGES = [*_RANGES, "ytd", "max"]


def answer_chart(state: State, request: Request, asset: Asset | None) -> Reply:
    """Answer ``/v8/finance/chart/{ticker}`` for period1 and period2 (epoch seconds, end excluded) or a range."""
    query = request.query_params
    if asset is None:
        return _error(404, "Not Found", "No data found, symbol may be delisted")
    if (pick(query, "interval") or "1d") != "1d":
        return _error(422, "Unprocessable Entity", f"Invalid input - interval={pick(query, 'interval')}")
    now = state.now()
    latest, over, span = state.market.today(asset.symbol, now)
    end = parameter(request, "period2", int(now.timestamp()) + 1)
    start = _start(request, asset, latest, end)
    bars = state.market.bars(asset.symbol, start, latest, seen_at=latest)
    stamps = [_opening(asset, day) for day in bars.day.tolist()]
    columns = {
        "low": bars.low.tolist(),
        "open": bars.open.tolist(),
        "close": bars.close.tolist(),
        "volume": [int(v) for v in bars.volume.tolist()],
        "high": bars.high.tolist(),
    }
    adjusted = (bars.close * _dividend_factor(state, asset, bars, latest)).tolist()
    if start <= latest:
        stamps.append(_opening(asset, latest) if over else int(state.market.last_trade(asset.symbol, now).timestamp()))
        for name, values in columns.items():
            value = getattr(span, name)
            values.append(int(value) if name == "volume" else value)
        adjusted.append(span.close)
    days = [*bars.day.tolist(), latest]
    kept = sum(_opening(asset, day) < end for day in days[: len(stamps)])
    result: dict[str, Any] = {"meta": _meta(state, asset, request, bars)}
    if kept:
        result["timestamp"] = stamps[:kept]
        result |= _events(state, asset, days[0], end, latest)
    quote = {name: values[:kept] for name, values in columns.items()} if kept else {}
    result["indicators"] = {"quote": [quote], "adjclose": [{"adjclose": adjusted[:kept]} if kept else {}]}
    return Reply({"chart": {"result": [result], "error": None}})


def spoil_chart(reply: Reply, fault: Fault, _world: State) -> Reply:
    """Spoil the last bar; a missing symbol is one that Yahoo does not know."""
    if fault.kind == "missing_symbols":
        return _error(404, "Not Found", "No data found, symbol may be delisted")
    result = reply.content["chart"]["result"][0]
    columns = [result.get("timestamp", []), *result["indicators"]["quote"][0].values()]
    columns += result["indicators"]["adjclose"][0].values()
    if not columns[0]:
        return reply
    if fault.kind == "duplicate":
        for values in columns:
            values.append(values[-1])
    elif fault.kind == "future":
        columns[0][-1] = later(columns[0][-1])
    else:
        close = result["indicators"]["quote"][0]["close"]
        close[-1] = spoilt(close[-1], fault.kind)
    return reply


def _start(request: Request, asset: Asset, latest: date, end: int) -> date:
    name = pick(request.query_params, "range")
    if "period1" in request.query_params:
        # a start before the epoch of all computers is how "max" is asked for
        instant = max(parameter(request, "period1", 0), 0)
        return max(EPOCH, datetime.fromtimestamp(instant, _zone(asset)).date())
    if name == "max":
        return EPOCH
    if name == "ytd":
        return date(latest.year, 1, 1)
    last = min(latest, datetime.fromtimestamp(end, _zone(asset)).date())
    return max(EPOCH, last - timedelta(days=_RANGES.get(name, 1) - 1))


def _zone(asset: Asset) -> Any:
    return UTC if asset.asset_class == "crypto" else NEW_YORK


def _opening(asset: Asset, day: date) -> int:
    opening = datetime.combine(day, time(), UTC) if asset.asset_class == "crypto" else session(day)[0]
    return int(opening.timestamp())


def _dividend_factor(state: State, asset: Asset, bars: Bars, seen_at: date) -> Array:
    """Give what a close is multiplied with: the product of 1 - dividend / close before it, of all later dividends."""
    factor = np.ones(len(bars.day))
    for day, amount in state.market.dividends(asset.symbol, seen_at).items():
        before = int(np.searchsorted(bars.day, np.datetime64(day)))
        if before:
            factor[:before] *= 1 - amount / bars.close[before - 1]
    return factor


def _events(state: State, asset: Asset, first: date, end: int, latest: date) -> dict[str, Any]:
    events: dict[str, dict[str, Any]] = {}
    for day, amount in state.market.dividends(asset.symbol, latest).items():
        at = _opening(asset, day)
        if first <= day and at < end:
            events.setdefault("dividends", {})[str(at)] = {"amount": amount, "date": at}
    split = state.market.split(asset.symbol)
    if split and first <= split[0] <= latest and _opening(asset, split[0]) < end:
        at, ratio = _opening(asset, split[0]), split[1]
        one = {"date": at, "numerator": float(ratio), "denominator": 1.0, "splitRatio": f"{ratio}:1"}
        events["splits"] = {str(at): one}
    return {"events": events} if events else {}


def _meta(state: State, asset: Asset, request: Request, bars: Bars) -> dict[str, Any]:
    now, market = state.now(), state.market
    day, _, span = market.today(asset.symbol, now)
    facts, crypto = market.fundamentals(asset.symbol, now), asset.asset_class == "crypto"
    local = now.astimezone(_zone(asset))
    before = market.bars(asset.symbol, EPOCH, bars.day[0].item() if len(bars.day) else day, seen_at=day).close
    return {
        "currency": "USD",
        "symbol": asset.yahoo_ticker,
        "exchangeName": "CCC" if crypto else "NMS",
        "fullExchangeName": "CCC" if crypto else "NasdaqGS",
        "instrumentType": "CRYPTOCURRENCY" if crypto else "EQUITY",
        "firstTradeDate": _opening(asset, EPOCH),
        "regularMarketTime": int(market.last_trade(asset.symbol, now).timestamp()),
        "hasPrePostMarketData": not crypto,
        "gmtoffset": _offset(local),
        "timezone": local.strftime("%Z"),
        "exchangeTimezoneName": "UTC" if crypto else "America/New_York",
        "regularMarketPrice": span.close,
        "fiftyTwoWeekHigh": facts.week_52_high,
        "fiftyTwoWeekLow": facts.week_52_low,
        "regularMarketDayHigh": span.high,
        "regularMarketDayLow": span.low,
        "regularMarketVolume": int(span.volume),
        "longName": f"{asset.name} USD" if crypto else asset.name,
        "shortName": f"{asset.name} USD" if crypto else asset.name,
        "chartPreviousClose": float(before[-1]) if len(before) else span.open,
        "priceHint": 2,
        "currentTradingPeriod": _periods(asset, day, local),
        "dataGranularity": "1d",
        "range": pick(request.query_params, "range"),
        "validRanges": _VALID_RANGES,
    }


def _periods(asset: Asset, day: date, local: datetime) -> dict[str, Any]:
    if asset.asset_class == "crypto":
        midnight = _opening(asset, day)
        edges = (midnight, midnight, midnight + 86340, midnight + 86340)
    else:
        opening, closing = (int(at.timestamp()) for at in session(day))
        edges = (opening - 19800, opening, closing, closing + 14400)
    zone = {"timezone": local.strftime("%Z"), "gmtoffset": _offset(local)}
    names = ("pre", "regular", "post")
    return {n: {**zone, "start": edges[i], "end": edges[i + 1]} for i, n in enumerate(names)}


def _offset(local: datetime) -> int:
    return int((local.utcoffset() or timedelta()).total_seconds())


def _error(status: int, code: str, description: str) -> Reply:
    return Reply({"chart": {"result": None, "error": {"code": code, "description": description}}}, status)
