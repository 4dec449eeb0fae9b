"""FreeCryptoAPI: the last price of one or more coins; every number is text.

There is no genuine answer on record; the shape follows the provider's public documentation of ``/v1/getData``
(https://freecryptoapi.com/documentation) and is held by a test of this repository only. The header
``Authorization: Bearer <key>`` is required, any key will do. Several symbols are joined by ``+`` or a comma.
"""

import re
from typing import Any

from starlette.requests import Request

from tickvault.simulation.providers.spoil import Rows
from tickvault.simulation.providers.state import Endpoint, Provider, Reply, State, pick

_MESSAGES = {401: "Missing or invalid API key", 429: "Rate limit exceeded", 500: "Internal server error"}


def _data(state: State, request: Request) -> Reply:
    if not re.fullmatch(r"Bearer \S+", request.headers.get("authorization", "")):
        return _refuse(401)
    coins = {asset.symbol for asset in state.coins()}
    asked = [one for one in re.split(r"[+, ]+", pick(request.query_params, "symbol").upper()) if one]
    known = [symbol for symbol in asked if symbol in coins]
    if not known:
        return Reply({"status": "error", "error": f"No data for symbol: {' '.join(asked) or '(none given)'}"}, 404)
    return Reply({"status": "success", "symbols": [_row(state, symbol) for symbol in known]})


def _row(state: State, symbol: str) -> dict[str, Any]:
    now, market = state.now(), state.market
    span, digits = market.last_24_hours(symbol, now), market.decimals(symbol)
    bitcoin = market.price("BTC", now) if "BTC" in market.assets else span.close
    return {
        "symbol": symbol,
        "last": f"{span.close:.{digits}f}",
        "last_btc": f"{span.close / bitcoin:.12f}",
        "lowest": f"{span.low:.{digits}f}",
        "highest": f"{span.high:.{digits}f}",
        "date": now.strftime("%Y-%m-%d %H:%M:%S"),
        "daily_change_percentage": f"{100 * (span.close / span.open - 1):.6f}",
        "source_exchange": "binance",
    }


def _refuse(status: int) -> Reply:
    return Reply({"status": "error", "error": _MESSAGES.get(status, "Request refused")}, status)


_ROWS = Rows(lambda content: content["symbols"], price="last", times=("date",), symbol="symbol")

PROVIDER = Provider("freecryptoapi", (Endpoint("/v1/getData", _data, _ROWS),), _refuse)
