"""Yahoo Finance as yfinance 1.x asks it: cookie, crumb, consent, chart, quote, quoteSummary and fundamentals series.

The hosts fc, guce, consent, query1 and query2 of Yahoo are all this one prefix: their paths do not overlap. Source of
the shapes: yfinance's own requests and parsers (``data.py``, ``scrapers/quote.py``, ``scrapers/history.py``).
Only the chart interval ``1d``. quote and quoteSummary want the crumb; the cookie is given but not asked for.
"""

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request

from tickvault.market.symbols import Asset
from tickvault.simulation.providers.spoil import Rows
from tickvault.simulation.providers.state import Endpoint, Provider, Reply, State, pick
from tickvault.simulation.providers.yahoo_chart import answer_chart, spoil_chart

CRUMB = "S1mul4t3d.Crumb"
_COOKIE = {"Set-Cookie": "A3=d=simulated&S=market; Path=/; Max-Age=31536000; HttpOnly"}
_SECTORS = {
    "Information Technology": "Technology",
    "Health Care": "Healthcare",
    "Financials": "Financial Services",
    "Consumer Discretionary": "Consumer Cyclical",
    "Consumer Staples": "Consumer Defensive",
    "Materials": "Basic Materials",
}
_CONSENT = """<html><body><form method="post" action="/v2/collectConsent">
<input type="hidden" name="csrfToken" value="simulated"><input type="hidden" name="sessionId" value="simulated">
</form></body></html>"""


def _asset(state: State, ticker: str) -> Asset | None:
    return next((a for a in state.market.assets.values() if a.yahoo_ticker and a.yahoo_ticker == ticker.upper()), None)


def _chart(state: State, request: Request) -> Reply:
    return answer_chart(state, request, _asset(state, request.path_params["ticker"]))


def _quote(state: State, request: Request) -> Reply:
    if pick(request.query_params, "crumb") != CRUMB:
        return _unauthorized("finance")
    assets = [_asset(state, ticker) for ticker in pick(request.query_params, "symbols").split(",")]
    return Reply({"quoteResponse": {"result": [_quote_row(state, a) for a in assets if a], "error": None}})


def _quote_row(state: State, asset: Asset) -> dict[str, Any]:
    now, market = state.now(), state.market
    _, _, span = market.today(asset.symbol, now)
    facts, previous = market.fundamentals(asset.symbol, now), market.previous_close(asset.symbol, now)
    row = {
        **_identity(asset),
        "language": "en-US",
        "region": "US",
        "currency": "USD",
        "marketState": "REGULAR" if market.last_trade(asset.symbol, now) == now else "CLOSED",
        "regularMarketPrice": span.close,
        "regularMarketChange": round(span.close - previous, 8),
        "regularMarketChangePercent": round(100 * (span.close / previous - 1), 6),
        "regularMarketTime": int(market.last_trade(asset.symbol, now).timestamp()),
        "regularMarketDayHigh": span.high,
        "regularMarketDayLow": span.low,
        "regularMarketOpen": span.open,
        "regularMarketVolume": int(span.volume),
        "regularMarketPreviousClose": previous,
        "fiftyTwoWeekHigh": facts.week_52_high,
        "fiftyTwoWeekLow": facts.week_52_low,
        "averageDailyVolume3Month": int(facts.average_volume),
        "marketCap": int(facts.market_cap),
    }
    if asset.asset_class == "crypto":
        return {**row, "circulatingSupply": facts.supply, "fromCurrency": asset.symbol, "toCurrency": "USD=X"}
    return {**row, "trailingPE": facts.pe_ratio, "epsTrailingTwelveMonths": facts.earnings_per_share}


def _summary(state: State, request: Request) -> Reply:
    if pick(request.query_params, "crumb") != CRUMB:
        return _unauthorized("finance")
    ticker = request.path_params["ticker"]
    asset = _asset(state, ticker)
    if asset is None:
        error = {"code": "Not Found", "description": f"Quote not found for symbol: {ticker}"}
        return Reply({"quoteSummary": {"result": None, "error": error}}, 404)
    wanted = pick(request.query_params, "modules").split(",")
    modules = {name: module for name, module in _modules(state, asset).items() if name in wanted}
    return Reply({"quoteSummary": {"result": [modules], "error": None}})


def _modules(state: State, asset: Asset) -> dict[str, dict[str, Any]]:
    now, market = state.now(), state.market
    span, facts = market.today(asset.symbol, now)[2], market.fundamentals(asset.symbol, now)
    detail = {
        "maxAge": 1,
        "priceHint": 2,
        "previousClose": market.previous_close(asset.symbol, now),
        "open": span.open,
        "dayLow": span.low,
        "dayHigh": span.high,
        "volume": int(span.volume),
        "averageVolume": int(facts.average_volume),
        "marketCap": int(facts.market_cap),
        "fiftyTwoWeekLow": facts.week_52_low,
        "fiftyTwoWeekHigh": facts.week_52_high,
        "currency": "USD",
    }
    kind = {**_identity(asset), "maxAge": 1, "uuid": None, "messageBoardId": None}
    if asset.asset_class == "crypto":
        return {"summaryDetail": {**detail, "circulatingSupply": facts.supply}, "quoteType": kind}
    profile = {
        "maxAge": 86400,
        "sector": _SECTORS.get(asset.sector, asset.sector),
        "industry": facts.industry,
        "country": "United States",
        "longBusinessSummary": f"{asset.name}, as the simulated market knows it.",
    }
    return {
        "assetProfile": profile,
        "summaryDetail": {**detail, "trailingPE": facts.pe_ratio, "dividendRate": facts.dividend_rate},
        "defaultKeyStatistics": {
            "maxAge": 1,
            "sharesOutstanding": int(facts.supply),
            "trailingEps": facts.earnings_per_share,
        },
        "quoteType": kind,
        "financialData": {"maxAge": 86400, "currentPrice": span.close, "financialCurrency": "USD"},
    }


def _identity(asset: Asset) -> dict[str, str]:
    crypto = asset.asset_class == "crypto"
    return {
        "symbol": asset.yahoo_ticker,
        "quoteType": "CRYPTOCURRENCY" if crypto else "EQUITY",
        "shortName": f"{asset.name} USD" if crypto else asset.name,
        "longName": f"{asset.name} USD" if crypto else asset.name,
        "exchange": "CCC" if crypto else "NMS",
        "exchangeTimezoneName": "UTC" if crypto else "America/New_York",
    }


def _series(state: State, request: Request) -> Reply:
    """Answer the trailing PEG ratio, and the share count that is asked for without a type."""
    ticker = request.path_params["ticker"]
    asset, types = _asset(state, ticker), request.query_params.getlist("type")
    if asset is None or asset.asset_class == "crypto":
        return Reply({"timeseries": {"result": [], "error": None}})
    now = state.now()
    facts = state.market.fundamentals(asset.symbol, now)
    midnight = int(datetime(now.year, now.month, now.day, tzinfo=UTC).timestamp())
    if not types:
        result = {"meta": {"symbol": [ticker]}, "timestamp": [midnight], "shares_out": [int(facts.supply)]}
        return Reply({"timeseries": {"result": [result], "error": None}})
    results: list[dict[str, Any]] = []
    for name in types:
        result = {"meta": {"symbol": [ticker], "type": [name]}}
        if name == "trailingPegRatio":
            ratio = round((facts.pe_ratio or 20) / 12, 4)
            point = {"asOfDate": f"{now:%Y-%m-%d}", "periodType": "TTM", "currencyCode": "USD"}
            point_value = {"reportedValue": {"raw": ratio, "fmt": f"{ratio:.2f}"}}
            result |= {"timestamp": [midnight], name: [point | point_value]}
        results.append(result)
    return Reply({"timeseries": {"result": results, "error": None}})


def _unauthorized(root: str) -> Reply:
    return Reply({root: {"result": None, "error": {"code": "Unauthorized", "description": "Invalid Crumb"}}}, 401)


def _refuse(status: int) -> Reply:
    if status == 401:  # noqa: PLR2004 - the HTTP status
        return _unauthorized("finance")
    text = {429: "Too Many Requests\r\n"}.get(status, "<html><body>We are sorry.</body></html>")
    return Reply(text, status, media_type="text/plain")


_QUOTES = Rows(
    lambda content: content["quoteResponse"]["result"],
    price="regularMarketPrice",
    times=("regularMarketTime",),
    symbol="symbol",
)

PROVIDER = Provider(
    "yahoo",
    (
        Endpoint("/", lambda _world, _request: Reply("", 404, _COOKIE, "text/html")),
        Endpoint("/v1/test/getcrumb", lambda _world, _request: Reply(CRUMB, headers=_COOKIE, media_type="text/plain")),
        Endpoint("/consent", lambda _world, _request: Reply(_CONSENT, media_type="text/html")),
        Endpoint(
            "/v2/collectConsent",
            lambda _world, _request: Reply("", headers=_COOKIE, media_type="text/html"),
            methods=("POST",),
        ),
        Endpoint("/copyConsent", lambda _world, _request: Reply("", headers=_COOKIE, media_type="text/html")),
        Endpoint("/v8/finance/chart/{ticker}", _chart, spoil_chart),
        Endpoint("/v7/finance/quote", _quote, _QUOTES),
        Endpoint("/v10/finance/quoteSummary/{ticker}", _summary),
        Endpoint("/ws/fundamentals-timeseries/v1/finance/timeseries/{ticker}", _series),
    ),
    _refuse,
)
