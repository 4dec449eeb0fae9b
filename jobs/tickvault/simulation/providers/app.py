"""The simulator's HTTP application: every provider under its own prefix, and a control interface.

A source is pointed at it by its base URL alone and appends the path it always appends:

======================  ==============================================================
``<url>/binance``       ``/api/v3/ticker/24hr``, ``/api/v3/klines``
``<url>/coingecko``     ``/api/v3/coins/markets``, ``/api/v3/ping``
``<url>/freecryptoapi`` ``/v1/getData``
``<url>/news``          ``/list``, ``/rss``, ``/articles/...``
``<url>/yahoo``         whatever yfinance asks, with scheme and host replaced by this base
======================  ==============================================================

Yahoo's paths are also served without a prefix, for a session that can replace scheme and host only.

Control: ``/_control/health``; ``/_control/clock`` GET, PUT ``{"now": "2026-11-20T13:00:00Z"}`` (null: wall clock);
``/_control/faults`` GET, PUT a list (replaces what was there, see :mod:`.faults`), DELETE;
``/_control/requests`` GET counts by provider and path, DELETE.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tickvault.simulation.providers import binance, coingecko, control, freecryptoapi, news, yahoo
from tickvault.simulation.providers.faults import STATUS_KINDS, Fault
from tickvault.simulation.providers.state import Endpoint, Provider, Reply, State

PROVIDERS = (binance.PROVIDER, coingecko.PROVIDER, yahoo.PROVIDER, freecryptoapi.PROVIDER, news.PROVIDER)
_SLOW = 5.0
_WEB_PAGE = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>"

Handler = Callable[[Request], Awaitable[Response]]


def build(state: State) -> Starlette:
    """Give the ASGI application of one simulator."""
    routes = control.routes(state, [provider.name for provider in PROVIDERS])
    for provider in PROVIDERS:
        for prefix in (f"/{provider.name}", "") if provider is yahoo.PROVIDER else (f"/{provider.name}",):
            for endpoint in provider.endpoints:
                path = prefix if prefix and endpoint.path == "/" else prefix + endpoint.path
                routes.append(Route(path, _handler(state, provider, endpoint, prefix), methods=list(endpoint.methods)))
    return Starlette(routes=routes)


def _handler(state: State, provider: Provider, endpoint: Endpoint, prefix: str) -> Handler:
    async def handle(request: Request) -> Response:
        path = request.url.path.removeprefix(prefix) or "/"
        state.counts[provider.name][path] += 1
        spoilable = endpoint.spoil is not None
        fault = state.faults.take(provider.name, path, state.mentioned(request), spoilable=spoilable)
        if fault and fault.kind in STATUS_KINDS:
            return _refusal(provider, fault)
        if fault and fault.kind == "html200":
            return Response(_WEB_PAGE, media_type="text/html")
        if fault and fault.kind == "slow":
            await asyncio.sleep(_SLOW if fault.retry_after is None else fault.retry_after)
        reply = endpoint.answer(state, request)
        if fault and endpoint.spoil and reply.status == 200:  # noqa: PLR2004 - the HTTP status
            reply = reply if fault.kind in {"slow", "truncated"} else endpoint.spoil(reply, fault, state)
        return _response(reply, cut=fault is not None and fault.kind == "truncated")

    return handle


def _refusal(provider: Provider, fault: Fault) -> Response:
    reply = provider.refuse(int(fault.kind))
    if fault.retry_after is not None:
        reply.headers["Retry-After"] = f"{fault.retry_after:g}"
    return _response(reply)


def _response(reply: Reply, *, cut: bool = False) -> Response:
    is_json = reply.media_type == "application/json"
    body = json.dumps(reply.content, separators=(",", ":")) if is_json else str(reply.content)
    return Response(body[: len(body) // 2] if cut else body, reply.status, reply.headers, reply.media_type)
