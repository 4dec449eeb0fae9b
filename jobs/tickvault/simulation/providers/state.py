"""What every provider of the simulator shares: the market, the clock, the faults and the count of requests."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request

from tickvault.market.symbols import Asset
from tickvault.simulation.market.market import Market
from tickvault.simulation.providers.faults import Fault, Faults


@dataclass(slots=True)
class Reply:
    """An answer before it is put on the wire: JSON unless ``media_type`` says otherwise."""

    content: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


@dataclass(slots=True)
class State:
    """The state of one simulator; ``frozen`` is the simulated time, None lets the wall clock run."""

    market: Market
    frozen: datetime | None = None
    faults: Faults = field(default_factory=Faults)
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    names: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Index what each provider calls an asset, for faults that name symbols."""
        self.names = {}
        for asset in self.market.assets.values():
            for name in (asset.symbol, asset.binance_pair, asset.coingecko_id, asset.yahoo_ticker):
                if name:
                    self.names[name.upper()] = asset.symbol

    def now(self) -> datetime:
        """Give the simulated time in UTC."""
        return self.frozen or datetime.now(UTC)

    def coins(self) -> list[Asset]:
        """Give every crypto asset in the order of ``asset_info.csv``."""
        return [asset for asset in self.market.assets.values() if asset.asset_class == "crypto"]

    def symbol_of(self, name: object) -> str:
        """Give the platform's symbol for any provider's name of it, else the name itself."""
        return self.names.get(str(name).upper(), str(name).upper())

    def mentioned(self, request: Request) -> set[str]:
        """Give the symbols that a request's path or parameters ask for."""
        texts = (request.url.path, *request.query_params.values())
        words = {word for text in texts for word in re.split(r'[/,\[\]" +]+', text)}
        return {self.names[word.upper()] for word in words if word.upper() in self.names}


Spoiler = Callable[[Reply, Fault, State], Reply]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path of a provider; ``spoil`` applies the faults that change records instead of the whole answer."""

    path: str
    answer: Callable[[State, Request], Reply]
    spoil: Spoiler | None = None
    methods: tuple[str, ...] = ("GET",)


@dataclass(frozen=True, slots=True)
class Provider:
    """One outside service: its endpoints, and its own way to say that it refuses a request."""

    name: str
    endpoints: tuple[Endpoint, ...]
    refuse: Callable[[int], Reply]


def parameter(request: Request, name: str, default: int) -> int:
    """Read a whole number from the query, the default where it is missing or no number."""
    text = request.query_params.get(name, "")
    return int(text) if re.fullmatch(r"-?\d+", text) else default


def pick(source: Mapping[str, str], name: str) -> str:
    """Read a text from a mapping, empty where it is missing."""
    return source.get(name, "").strip()
