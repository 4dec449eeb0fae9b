"""CoinGecko: markets and ping; prices in USD only.

Wire format: https://docs.coingecko.com/reference/coins-markets. The header ``x-cg-demo-api-key`` is optional, as it is
there; the limits of a month and a minute are faults.
"""

import math
from datetime import datetime
from typing import Any

from starlette.requests import Request

from tickvault.market.symbols import Asset
from tickvault.simulation.market.model import EPOCH
from tickvault.simulation.providers.spoil import Rows
from tickvault.simulation.providers.state import Endpoint, Provider, Reply, State, parameter, pick

_WHOLE_FROM = 1000
_LARGEST_PAGE = 250
_MESSAGES = {
    401: (10002, "API Key Missing. Please make sure you're using the right authentication method."),
    429: (429, "You've exceeded the Rate Limit. Please visit https://www.coingecko.com/en/api/pricing."),
}


def _markets(state: State, request: Request) -> Reply:
    query = request.query_params
    if pick(query, "vs_currency") != "usd":
        missing = "invalid vs_currency" if pick(query, "vs_currency") else "Missing parameter vs_currency"
        return Reply({"error": missing}, 422)
    now = state.now()
    offered = [asset for asset in state.coins() if asset.coingecko_id]
    caps = {asset.symbol: state.market.fundamentals(asset.symbol, now).market_cap for asset in offered}
    offered.sort(key=lambda asset: -caps[asset.symbol])
    ranked = list(enumerate(offered, start=1))
    ids = [one for one in pick(query, "ids").split(",") if one]
    chosen = [(rank, asset) for rank, asset in ranked if not ids or asset.coingecko_id in ids]
    size = max(1, min(_LARGEST_PAGE, parameter(request, "per_page", 100)))
    page = max(1, parameter(request, "page", 1))
    whole_from = math.inf if pick(query, "precision") == "full" else _WHOLE_FROM
    rows = chosen[(page - 1) * size : page * size]
    return Reply([_row(state, asset, rank, now, whole_from) for rank, asset in rows])


def _row(state: State, asset: Asset, rank: int, now: datetime, whole_from: float) -> dict[str, Any]:
    market, symbol = state.market, asset.symbol
    span, facts, digits = market.last_24_hours(symbol, now), market.fundamentals(symbol, now), market.decimals(symbol)
    change, percent = span.close - span.open, round(100 * (span.close / span.open - 1), 5)
    past = market.bars(symbol, EPOCH, now.date())
    highest, lowest = int(past.high.argmax()), int(past.low.argmin())
    top, bottom = float(past.high[highest]), float(past.low[lowest])
    cap = round(facts.market_cap)
    return {
        "id": asset.coingecko_id,
        "symbol": symbol.lower(),
        "name": asset.name,
        "image": f"https://coin-images.coingecko.com/coins/images/{rank}/large/{asset.coingecko_id}.png",
        "current_price": _number(span.close, digits, whole_from),
        "market_cap": cap,
        "market_cap_rank": rank,
        "fully_diluted_valuation": round(cap * 1.05),
        "total_volume": round(span.volume * span.close),
        "high_24h": _number(span.high, digits, whole_from),
        "low_24h": _number(span.low, digits, whole_from),
        "price_change_24h": round(change, digits + 4),
        "price_change_percentage_24h": percent,
        "market_cap_change_24h": round(facts.supply * change, 2),
        "market_cap_change_percentage_24h": percent,
        "circulating_supply": facts.supply,
        "total_supply": facts.supply * 1.05,
        "max_supply": None,
        "ath": _number(top, digits, whole_from),
        "ath_change_percentage": round(100 * (span.close / top - 1), 5),
        "ath_date": f"{past.day[highest]}T12:00:00.000Z",
        "atl": _number(bottom, digits, whole_from),
        "atl_change_percentage": round(100 * (span.close / bottom - 1), 5),
        "atl_date": f"{past.day[lowest]}T12:00:00.000Z",
        "roi": None,
        "last_updated": now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z",
    }


def _number(value: float, digits: int, whole_from: float) -> float:
    """Round as CoinGecko does where it is not asked for full precision: whole dollars from a thousand on."""
    return round(value) if value >= whole_from else round(value, digits)


def _refuse(status: int) -> Reply:
    code, message = _MESSAGES.get(status, (status, "The service refuses this request."))
    return Reply({"status": {"error_code": code, "error_message": message}}, status)


_ROWS = Rows(lambda content: content, price="current_price", times=("last_updated",), symbol="id")

PROVIDER = Provider(
    "coingecko",
    (
        Endpoint("/api/v3/coins/markets", _markets, _ROWS),
        Endpoint("/api/v3/ping", lambda _world, _request: Reply({"gecko_says": "(V3) To the Moon!"})),
    ),
    _refuse,
)
