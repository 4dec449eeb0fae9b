"""Crypto news: a list of article addresses per coin, article pages with Open Graph tags, and RSS 2.0.

``/list?id=<coingecko id>&limit=N`` is a JSON list of absolute addresses on this server, newest first (what Karpet's
service answers; there is no genuine answer on record). Each coin has none to three articles a day.
Addresses carry this server's host and port: serve on a fixed port where they must stay the same between runs.
"""

from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from html import escape

from starlette.requests import Request

from tickvault.market.symbols import Asset
from tickvault.simulation.market.model import EPOCH, uniform
from tickvault.simulation.providers.faults import Fault
from tickvault.simulation.providers.state import Endpoint, Provider, Reply, State, parameter, pick

_OPENINGS = ("Traders weigh", "Analysts debate", "A quiet week for", "Developers ship", "Funds return to", "Miners and")
_TURNS = ("liquidity", "network upgrades", "regulation", "institutional demand", "on-chain activity", "volatility")
_LONGEST_LOOK_BACK = 90
_MOST_A_DAY = 4


def _list(state: State, request: Request) -> Reply:
    asset, limit = _asked(state, request)
    if asset is None:
        return Reply({"error": "coin not found"}, 404)
    return Reply([_address(request, asset, published) for published in _latest(state, asset, limit)])


def _article(state: State, request: Request) -> Reply:
    asset = _coin(state, request.path_params["coin"])
    try:
        published = datetime.strptime(request.path_params["stamp"], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return _page("Not found", "", 404)
    if asset is None or published > state.now() or published not in _of_day(state, asset, published.date()):
        return _page("Not found", "", 404)
    title, description = _text(state, asset, published)
    tags = {
        "og:type": "article",
        "og:title": title,
        "og:description": description,
        "og:image": f"{_base(request)}/images/{asset.coingecko_id}.png",
        "og:url": _address(request, asset, published),
        "og:site_name": "Simulated Coin News",
        "article:published_time": published.isoformat(),
    }
    meta = "\n".join(f'<meta property="{name}" content="{escape(value)}">' for name, value in tags.items())
    return _page(title, meta, 200, description)


def _rss(state: State, request: Request) -> Reply:
    asset, limit = _asked(state, request)
    if asset is None:
        return _page("Not found", "", 404)
    items = []
    for published in _latest(state, asset, limit):
        title, description = _text(state, asset, published)
        link = escape(_address(request, asset, published))
        items.append(
            f"<item><title>{escape(title)}</title><link>{link}</link><guid>{link}</guid>"
            f"<description>{escape(description)}</description><pubDate>{format_datetime(published)}</pubDate></item>"
        )
    head = f"<title>{escape(asset.name)} news</title><link>{_base(request)}</link><description>Simulated</description>"
    feed = f'<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel>{head}{"".join(items)}</channel></rss>'
    return Reply(feed, media_type="application/rss+xml")


def _asked(state: State, request: Request) -> tuple[Asset | None, int]:
    return _coin(state, pick(request.query_params, "id")), max(1, min(100, parameter(request, "limit", 10)))


def _coin(state: State, coin: str) -> Asset | None:
    return next((asset for asset in state.coins() if asset.coingecko_id == coin), None) if coin else None


def _latest(state: State, asset: Asset, limit: int) -> list[datetime]:
    now, found = state.now(), list[datetime]()
    for back in range(_LONGEST_LOOK_BACK):
        day = now.date() - timedelta(days=back)
        if len(found) >= limit or day < EPOCH:
            break
        found += [at for at in reversed(_of_day(state, asset, day)) if at <= now]
    return found[:limit]


def _of_day(state: State, asset: Asset, day: date) -> list[datetime]:
    count, *seconds = uniform(state.market.seed, "news", asset.symbol, day, size=_MOST_A_DAY)
    midnight = datetime.combine(day, time(), UTC)
    return sorted(midnight + timedelta(seconds=int(86399 * s)) for s in seconds[: int(count * _MOST_A_DAY)])


def _text(state: State, asset: Asset, published: datetime) -> tuple[str, str]:
    opening, turn = uniform("text", asset.symbol, published, size=2)
    span = state.market.last_24_hours(asset.symbol, published)
    move = 100 * (span.close / span.open - 1)
    title = f"{_OPENINGS[int(opening * 6)]} {asset.name} & {_TURNS[int(turn * 6)]}"
    return title, f"{asset.name} ({asset.symbol}) trades at ${span.close:,} — {move:+.2f} % in 24 hours."


def _address(request: Request, asset: Asset, published: datetime) -> str:
    return f"{_base(request)}/articles/{asset.coingecko_id}/{published:%Y%m%dT%H%M%S}"


def _base(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}/news"


def _page(title: str, meta: str, status: int, body: str = "") -> Reply:
    html = f"""<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>
{meta}</head><body><h1>{escape(title)}</h1><p>{escape(body)}</p></body></html>"""
    return Reply(html, status, media_type="text/html")


def _refuse(status: int) -> Reply:
    return Reply({"error": "request refused"}, status)


def _spoil_list(reply: Reply, fault: Fault, _world: State) -> Reply:
    if fault.kind == "duplicate":
        reply.content = reply.content[:1] + reply.content
    elif fault.kind == "missing_symbols":
        reply.content = []
    elif fault.kind != "future":  # an address that leads nowhere stands for a malformed record
        reply.content[:1] = [address + "-broken" for address in reply.content[:1]]
    return reply


PROVIDER = Provider(
    "news",
    (
        Endpoint("/list", _list, _spoil_list),
        Endpoint("/rss", _rss),
        Endpoint("/articles/{coin}/{stamp}", _article),
    ),
    _refuse,
)
