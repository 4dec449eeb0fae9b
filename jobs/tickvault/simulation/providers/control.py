"""The simulator's control interface: its clock, its faults and the count of requests."""

from collections.abc import Collection
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tickvault.simulation.providers.faults import Fault
from tickvault.simulation.providers.state import State


def routes(state: State, providers: Collection[str]) -> list[Route]:
    """Give the control routes of one simulator."""

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok", "seed": state.market.seed, "now": _text(state.now())})

    async def clock(request: Request) -> Response:
        if request.method == "PUT":
            try:
                given = (await request.json())["now"]
                state.frozen = None if given is None else instant(given)
            except (ValueError, KeyError, TypeError) as error:
                return JSONResponse({"error": f'send {{"now": "2026-11-20T13:00:00Z"}}: {error}'}, 400)
        return JSONResponse({"now": _text(state.now()), "frozen": state.frozen is not None})

    async def requests(request: Request) -> Response:
        if request.method == "DELETE":
            state.counts.clear()
        return JSONResponse({provider: dict(paths) for provider, paths in state.counts.items()})

    return [
        Route("/_control/health", health),
        Route("/_control/clock", clock, methods=["GET", "PUT"]),
        _fault_route(state, providers),
        Route("/_control/requests", requests, methods=["GET", "DELETE"]),
    ]


def instant(text: str) -> datetime:
    """Read an ISO time with its zone.

    Raises:
        ValueError: It is no time, or has no zone.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"'{text}' has no time zone, write it with a Z")
    return at.astimezone(UTC)


def _fault_route(state: State, providers: Collection[str]) -> Route:
    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            state.faults.active = []
        if request.method == "PUT":
            try:
                given = [Fault.parse(one) for one in await request.json()]
            except (ValueError, TypeError, AttributeError) as error:
                return JSONResponse({"error": str(error)}, 400)
            unknown = {fault.provider for fault in given} - set(providers)
            if unknown:
                message = f"unknown provider {', '.join(sorted(unknown))}: choose from {', '.join(providers)}"
                return JSONResponse({"error": message}, 400)
            state.faults.active = given
        return JSONResponse([fault.as_json() for fault in state.faults.active])

    return Route("/_control/faults", faults, methods=["GET", "PUT", "DELETE"])


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
