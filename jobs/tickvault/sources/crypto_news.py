"""News about the first coins of the list: Karpet's service (a list of addresses, then each article's page), else RSS.

The list is ``<NEWS_BASE_URL>/list?id=<CoinGecko id>&limit=<n>``, a JSON array of addresses, newest first; the pages are
read for their Open Graph tags. Why not the ``karpet`` package: see docs/decisions. A host that fails loses its own
article only; one that refuses it (403, 404) is believed, and the article is not asked for again. An article that does
not say when it was published has ``observed_at`` set to when it was first seen and no ``date``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tickvault.core.address import LONGEST, check_address, shown
from tickvault.core.batch import Batch
from tickvault.core.errors import ConfigError, SourceRejectedError, SourceUnavailableError
from tickvault.core.package import Cursor, Outcome, OutcomeStatus, Reject
from tickvault.core.records import TOLERANCE, RecordBuilder, Row
from tickvault.core.settings import Settings
from tickvault.core.stream import Stream
from tickvault.core.values import plain
from tickvault.engines.http.answer import bare
from tickvault.engines.http.client import Provider, RefusedRequestError
from tickvault.market import streams
from tickvault.market.mentions import Mentions
from tickvault.market.symbols import ASSET_INFO, Asset, default_folder, load_assets
from tickvault.sources import Source
from tickvault.sources.shared.article import PAGE_BYTES, Article, open_graph
from tickvault.sources.shared.feed import Item, feed_items
from tickvault.sources.shared.symbolwise import instant, read_each, wanted, without_rows

LIST = Provider("crypto_news", per_minute=600, url_setting="NEWS_BASE_URL", attempts=3)
RSS = Provider("crypto_news rss", per_minute=120, url_setting="NEWS_RSS_URLS", attempts=3)
_ARTICLES_PER_COIN = 10
_REMEMBERED = 200
_LONGEST = {"title": 1_000, "description": 10_000}
_SHOWN = 200
_Failure = SourceUnavailableError | SourceRejectedError | ConfigError


class CryptoNews(Source):
    """Reads articles coin by coin; each coin and each article has its outcome.

    An article's outcome is named ``<coin> <address>``. The cursor holds per coin the latest ``observed_at``, and under
    ``<coin>:seen`` the addresses already read or refused.
    """

    name = "crypto_news"
    streams = (streams.NEWS,)
    _trouble: _Failure | None = None

    def read(self, stream: Stream, since: Cursor | None) -> Iterator[Batch]:
        """Read as ``Source.read`` says."""
        chosen = wanted(self.context, "crypto", "coingecko_id")
        named = self.context.symbols or self.context.missing
        assets = chosen.assets if named else chosen.assets[: self.context.settings.news_read_limit]
        if named:
            yield without_rows(stream, chosen.outcomes)
        builder = self.context.builder(stream)
        feeds = _Feeds(self)
        yield from read_each(stream, assets, lambda asset: self._news(builder, feeds, asset, since or {}))

    def _news(self, builder: RecordBuilder, feeds: "_Feeds", asset: Asset, since: Cursor) -> Batch:
        """Read the list, or the feeds where there is none; a list whose host is in trouble is not asked again."""
        why: _Failure | None = self._trouble
        if self.context.settings.news_base_url and why is None:
            try:
                return self._listed(builder, asset, since)
            except RefusedRequestError as error:  # about this coin only
                why = error
            except (SourceUnavailableError, SourceRejectedError) as error:
                why = self._trouble = error
        if why and not self.context.settings.news_feeds:
            raise why
        return self._fed(builder, feeds, asset, since, f"by RSS, since {why}" if why else "")

    def _listed(self, builder: RecordBuilder, asset: Asset, since: Cursor) -> Batch:
        base = (self.context.settings.news_base_url or "").rstrip("/")
        params: dict[str, str | int] = {"id": asset.coingecko_id, "limit": _ARTICLES_PER_COIN}
        urls = self.context.http.get_json(LIST, f"{base}/list", params)
        if not isinstance(urls, list) or (urls and not any(isinstance(url, str) for url in urls)):
            raise SourceRejectedError(f"crypto_news: a list of addresses is documented, {str(urls)[:80]!r} came")
        said = dict.fromkeys(url.strip() if isinstance(url, str) else repr(url) for url in urls[:_ARTICLES_PER_COIN])
        rows: list[Row] = []
        lost: list[_Lost] = []
        for url in said:
            if url not in _seen(asset, since):
                try:
                    check_address(url)
                    page = open_graph(self.context.http.get_text(_host(url), url), url)
                except SourceUnavailableError as error:
                    lost.append(_Lost(url, OutcomeStatus.FAILED, str(error)))
                except (SourceRejectedError, ConfigError) as error:  # it will say the same tomorrow
                    lost.append(_Lost(url, OutcomeStatus.NOT_OFFERED, str(error), remembered=url))
                except ValueError as error:
                    lost.append(_Lost(url, OutcomeStatus.NOT_OFFERED, f"put aside: url {error}"))
                else:
                    rows.append(self._row(asset, url, page, "karpet"))
        return _batch(builder, asset, rows, since, lost)

    def _fed(self, builder: RecordBuilder, feeds: "_Feeds", asset: Asset, since: Cursor, detail: str) -> Batch:
        read = feeds.about(asset)
        items = {_key(item): item for item in reversed(read.items)}  # of an article in two feeds the first is taken
        known = set(_seen(asset, since))
        new = [(key, item) for key, item in reversed(items.items()) if key not in known][:_ARTICLES_PER_COIN]
        rows = [self._row(asset, item.url, item.article, "rss") for _, item in new if item.url]
        lost = [_Lost(url, OutcomeStatus.FAILED, str(error)) for url, error in read.troubles]
        for key, item in new:
            if not item.url:
                why, row = _no_address(item), self._row(asset, None, item.article, "rss")
                reject = Reject(asset.symbol, "url", why, {name: plain(value) for name, value in row.items()})
                lost.append(_Lost(item.said, OutcomeStatus.NOT_OFFERED, f"put aside: {why}", key, reject))
        return _batch(builder, asset, rows, since, lost, detail)

    def _row(self, asset: Asset, url: str | None, page: Article, source: str) -> Row:
        date = page.date if page.date and page.date <= self.context.now + TOLERANCE else None  # else a slip of the pen
        return {
            "cryptocurrency": asset.symbol,
            "url": url,
            "title": page.title,
            "description": page.description,
            "date": date,
            "image": page.image,
            "source": source,
            "observed_at": date or self.context.now,
        }


@dataclass(frozen=True, slots=True)
class _Lost:
    """What is said of an article that did not come; ``remembered`` is not asked for again."""

    said: str
    status: OutcomeStatus
    detail: str
    remembered: str | None = None
    reject: Reject | None = None


def _seen(asset: Asset, since: Cursor) -> list[str]:
    urls: list[str] = since.get(f"{asset.symbol}:seen", {}).get("urls", [])
    return urls


def _key(item: Item) -> str:
    """Give what an item is remembered by: its address, or a digest of what it has instead of one."""
    return item.url or f"aside:{_digest(item.said or item.article.title or '')}"


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _no_address(item: Item) -> str:
    try:
        check_address(item.said)
    except ValueError as error:
        return f"url {error}" if item.said else "url is missing, and so is a guid"
    return f"url is missing: the guid {shown(item.said)} says that it is no link"


def _named(asset: Asset, said: str) -> str:
    """Name an article in outcomes: by its address, or the start of what there is instead of one."""
    text = plain(said)
    return f"{asset.symbol} {text if len(text) <= LONGEST else text[:_SHOWN] + '…' + _digest(said)}"


def _batch(
    builder: RecordBuilder, asset: Asset, rows: Sequence[Row], since: Cursor, lost: Sequence[_Lost], detail: str = ""
) -> Batch:
    bounded = [_bounded(row) for row in rows]
    notes = {row["url"]: note for row, note in bounded}
    records = builder.build(row for row, _ in bounded)
    urls: list[Any] = records.batch.column("url").to_pylist()
    times: list[Any] = records.batch.column("observed_at").to_pylist()
    aside = [
        Outcome(_named(asset, str(r.record.get("url"))), OutcomeStatus.FAILED, f"put aside: {r.reason}")
        for r in records.rejects
    ]
    outcomes = (
        Outcome(asset.symbol, OutcomeStatus.OK, detail or f"{len(urls)} new"),
        *(Outcome(_named(asset, url), OutcomeStatus.OK, notes.get(url, "")) for url in urls),
        *(Outcome(_named(asset, one.said), one.status, plain(one.detail)) for one in lost),
        *aside,
    )
    settled = [one.remembered for one in lost if one.remembered]
    cursor: Cursor = {}
    if urls:
        cursor[asset.symbol] = max(instant(max(times)), since.get(asset.symbol, ""))
    if urls or settled:
        cursor[f"{asset.symbol}:seen"] = {"urls": [*urls, *settled, *_seen(asset, since)][:_REMEMBERED]}
    rejects = (*records.rejects, *(one.reject for one in lost if one.reject))
    return Batch(builder.stream, records.batch, cursor or None, outcomes, rejects)


def _bounded(row: Row) -> tuple[Row, str]:
    """Cut what is too long for a preview, and say so."""
    long = {name: row[name] for name, most in _LONGEST.items() if row[name] and len(row[name]) > most}
    cut = {name: f"{text[: _LONGEST[name] - 1]}…" for name, text in long.items()}
    return {**row, **cut}, "; ".join(f"{name} cut, it has {len(text)} characters" for name, text in long.items())


class _Read(NamedTuple):
    """What the feeds say about a coin, and which of them did not answer: address for people, and why."""

    items: list[Item]
    troubles: list[tuple[str, _Failure]]


class _Feeds:
    """The feeds of a run; one without ``{id}`` in its address is about all coins and is read once."""

    def __init__(self, source: CryptoNews) -> None:
        self._http = source.context.http
        self._urls = source.context.settings.news_feeds
        self._general: dict[str, list[Item] | _Failure] = {}
        self._mentions = Mentions(_known(source.context.settings))

    def about(self, asset: Asset) -> _Read:
        """Give the items about a coin.

        Raises:
            SourceUnavailableError: No feed answers; SourceRejectedError: none is a feed, or none is set; ConfigError:
                none serves the place this runs in.
        """
        read = _Read([], [])
        for url in self._urls:
            own = "{id}" in url
            items = self._read(url.replace("{id}", asset.coingecko_id)) if own else self._once(url)
            if isinstance(items, Exception):
                read.troubles.append((bare(url), items))
            else:
                read.items.extend(i for i in items if own or self._is_about(asset, i))
        if not self._urls:
            raise SourceRejectedError("crypto_news: neither NEWS_BASE_URL nor NEWS_RSS_URLS is set")
        if len(read.troubles) == len(self._urls):
            raise read.troubles[-1][1]
        return read

    def _is_about(self, asset: Asset, item: Item) -> bool:
        texts = (item.article.title, item.article.description)
        return any(asset.symbol in self._mentions.of(text) for text in texts if text)

    def _once(self, url: str) -> list[Item] | _Failure:
        if url not in self._general:
            self._general[url] = self._read(url)
        return self._general[url]

    def _read(self, url: str) -> list[Item] | _Failure:
        try:
            return feed_items(self._http.get_text(RSS, url), url, bare(url))
        except (SourceUnavailableError, SourceRejectedError, ConfigError) as error:
            return error


def _known(settings: Settings) -> list[Asset]:
    """Give all coins there are: a name is told from a longer one only where both are known."""
    folder = settings.seeds_path if (settings.seeds_path / ASSET_INFO).is_file() else default_folder()
    return list(load_assets(folder / ASSET_INFO).of("crypto").values())


def _host(url: str) -> Provider:
    """Give an article's host budgets of its own, small ones: it may be anybody's."""
    host = urlsplit(url).hostname
    return Provider(
        f"news host {host}", per_minute=600, attempts=2, connect_timeout=5, read_timeout=10, most_bytes=PAGE_BYTES
    )
