"""News about the first coins of the list: Karpet's service (a list of addresses, then each article's page), else RSS.

The list is ``<NEWS_BASE_URL>/list?id=<CoinGecko id>&limit=<n>``, a JSON array of addresses, newest first; the pages are
read for their Open Graph tags. Why not the ``karpet`` package: see docs/decisions. A host that fails loses its own
article only; one that refuses it (403, 404) is believed, and the article is not asked for again. An article that does
not say when it was published has ``observed_at`` set to when it was first seen and no ``date``.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from tickvault.core.batch import Batch
from tickvault.core.errors import ConfigError, SourceRejectedError, SourceUnavailableError
from tickvault.core.package import Cursor, Outcome, OutcomeStatus
from tickvault.core.records import RecordBuilder, Records, Row
from tickvault.core.stream import Stream
from tickvault.engines.http.client import Provider, RefusedRequestError
from tickvault.market import streams
from tickvault.market.symbols import Asset
from tickvault.sources import Source
from tickvault.sources.shared.article import Item, open_graph, rss_items
from tickvault.sources.shared.symbolwise import instant, read_each, wanted, without_rows

LIST = Provider("crypto_news", per_minute=600, url_setting="NEWS_BASE_URL", attempts=3)
RSS = Provider("crypto_news rss", per_minute=120, url_setting="NEWS_RSS_URLS", attempts=3)
_ARTICLES_PER_COIN = 10
_REMEMBERED = 200
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
        return self._fed(builder, feeds, asset, since, f"by RSS, since {why}" if why else "")

    def _listed(self, builder: RecordBuilder, asset: Asset, since: Cursor) -> Batch:
        base = (self.context.settings.news_base_url or "").rstrip("/")
        params: dict[str, str | int] = {"id": asset.coingecko_id, "limit": _ARTICLES_PER_COIN}
        urls = self.context.http.get_json(LIST, f"{base}/list", params)
        if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
            raise SourceRejectedError(f"crypto_news: a list of addresses is documented, {str(urls)[:80]!r} came")
        rows: list[Row] = []
        lost: list[Outcome] = []
        for url in dict.fromkeys(urls[:_ARTICLES_PER_COIN]):
            if url not in _seen(asset, since):
                try:
                    page = open_graph(self.context.http.get_text(_host(url), url))
                    rows.append(self._row(asset, url, page, "karpet"))
                except SourceUnavailableError as error:
                    lost.append(Outcome(f"{asset.symbol} {url}", OutcomeStatus.FAILED, str(error)))
                except (SourceRejectedError, ConfigError) as error:  # it will say the same tomorrow
                    lost.append(Outcome(f"{asset.symbol} {url}", OutcomeStatus.NOT_OFFERED, str(error)))
        return _batch(builder.stream, asset, builder.build(rows), since, lost)

    def _fed(self, builder: RecordBuilder, feeds: "_Feeds", asset: Asset, since: Cursor, detail: str) -> Batch:
        items = [item for item in feeds.about(asset) if item.url not in _seen(asset, since)]
        rows = [self._row(asset, item.url, asdict(item), "rss") for item in items[:_ARTICLES_PER_COIN]]
        return _batch(builder.stream, asset, builder.build(rows), since, detail=detail)

    def _row(self, asset: Asset, url: str | None, page: dict[str, Any], source: str) -> Row:
        known = {name: page.get(name) for name in ("title", "description", "date", "image")}
        observed = known["date"] or self.context.now
        return {"cryptocurrency": asset.symbol, "url": url, **known, "source": source, "observed_at": observed}


def _seen(asset: Asset, since: Cursor) -> list[str]:
    urls: list[str] = since.get(f"{asset.symbol}:seen", {}).get("urls", [])
    return urls


def _batch(
    stream: Stream, asset: Asset, records: Records, since: Cursor, lost: Sequence[Outcome] = (), detail: str = ""
) -> Batch:
    urls: list[Any] = records.batch.column("url").to_pylist()
    times: list[Any] = records.batch.column("observed_at").to_pylist()
    aside = [
        Outcome(f"{asset.symbol} {r.record.get('url')}", OutcomeStatus.FAILED, f"put aside: {r.reason}")
        for r in records.rejects
    ]
    outcomes = (
        Outcome(asset.symbol, OutcomeStatus.OK, detail or f"{len(urls)} new"),
        *(Outcome(f"{asset.symbol} {url}", OutcomeStatus.OK) for url in urls),
        *lost,
        *aside,
    )
    refused = [o.item.partition(" ")[2] for o in lost if o.status is OutcomeStatus.NOT_OFFERED]
    cursor: Cursor = {}
    if urls:
        cursor[asset.symbol] = max(instant(max(times)), since.get(asset.symbol, ""))
    if urls or refused:
        cursor[f"{asset.symbol}:seen"] = {"urls": [*urls, *refused, *_seen(asset, since)][:_REMEMBERED]}
    return Batch(stream, records.batch, cursor or None, outcomes, records.rejects)


class _Feeds:
    """The RSS feeds of a run; one without ``{id}`` in its address is about all coins and is read once."""

    def __init__(self, source: CryptoNews) -> None:
        self._http = source.context.http
        self._urls = source.context.settings.news_feeds
        self._general: dict[str, list[Item] | _Failure] = {}

    def about(self, asset: Asset) -> Iterator[Item]:
        """Give the items about a coin.

        Raises:
            SourceUnavailableError: No feed answers; SourceRejectedError: none is a feed, or none is set; ConfigError:
                none serves the place this runs in.
        """
        trouble: _Failure = SourceRejectedError("crypto_news: neither NEWS_BASE_URL nor NEWS_RSS_URLS is set")
        answered = False
        mentions = re.compile(rf"\b({re.escape(asset.name)}|{re.escape(asset.symbol)})\b")
        for url in self._urls:
            own = "{id}" in url
            items = self._read(url.replace("{id}", asset.coingecko_id)) if own else self._once(url)
            if isinstance(items, Exception):
                trouble = items
                continue
            answered = True
            yield from (i for i in items if own or mentions.search(f"{i.title} {i.description}"))
        if not answered:
            raise trouble

    def _once(self, url: str) -> list[Item] | _Failure:
        if url not in self._general:
            self._general[url] = self._read(url)
        return self._general[url]

    def _read(self, url: str) -> list[Item] | _Failure:
        try:
            return rss_items(self._http.get_text(RSS, url), url.partition("?")[0])
        except (SourceUnavailableError, SourceRejectedError, ConfigError) as error:
            return error


def _host(url: str) -> Provider:
    """Give an article's host budgets of its own, small ones: it may be anybody's."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SourceRejectedError(f"crypto_news: {url!r} is not an address of a web page")
    return Provider(f"news host {parts.hostname}", per_minute=600, attempts=2, connect_timeout=5, read_timeout=10)
