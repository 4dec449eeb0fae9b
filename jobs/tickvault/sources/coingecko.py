"""CoinGecko: the current market of up to 250 coins per request, in US dollars.

https://docs.coingecko.com/reference/coins-markets. Coins go by ids, not tickers; volume is in US dollars, and therefore
``quote_volume``. A coin that is not in the answer, or has no current price, is one CoinGecko knows nothing about at the
moment. Prices are asked for with all their digits; by default they are rounded, to whole dollars from a thousand on.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from tickvault.core.batch import Batch
from tickvault.core.package import Cursor
from tickvault.core.records import Row, require_fields
from tickvault.core.stream import Stream
from tickvault.engines.http.client import Provider
from tickvault.market import streams
from tickvault.market.symbols import Asset
from tickvault.sources import Source
from tickvault.sources.shared.symbolwise import latest, not_nothing, objects, text, wanted, without_rows

PROVIDER = Provider("coingecko", per_minute=30, key_setting="COINGECKO_API_KEY", url_setting="COINGECKO_BASE_URL")
FIELDS = {
    "price": "current_price",
    "quote_volume": "total_volume",
    "price_change_24h": "price_change_24h",
    "price_change_percent_24h": "price_change_percentage_24h",
    "high_24h": "high_24h",
    "low_24h": "low_24h",
    "market_cap": "market_cap",
    "observed_at": "last_updated",
}
_COINS_PER_REQUEST = 250


class CoinGecko(Source):
    """Reads current prices; the demo key is optional and raises the limit."""

    name = "coingecko"
    streams = (streams.CRYPTO_COINGECKO,)

    def read(self, stream: Stream, since: Cursor | None) -> Iterator[Batch]:
        """Read as ``Source.read`` says."""
        chosen = wanted(self.context, "crypto", "coingecko_id")
        yield without_rows(stream, chosen.outcomes)
        builder = self.context.builder(stream)
        parts = (chosen.assets[n : n + _COINS_PER_REQUEST] for n in range(0, len(chosen.assets), _COINS_PER_REQUEST))
        batches = (latest(builder, part, self._rows(stream, part), since) for part in parts)
        yield from not_nothing("coingecko", self.context, batches)

    def _rows(self, stream: Stream, assets: Sequence[Asset]) -> dict[str, list[Row]]:
        by_id: dict[str, list[Asset]] = {}
        for asset in assets:
            by_id.setdefault(asset.coingecko_id, []).append(asset)
        answer = objects("coingecko", self._markets(list(by_id)))
        require_fields(stream, answer, FIELDS | {"symbol": "id"})
        rows: dict[str, list[Row]] = {}
        for record in answer:
            for asset in by_id.get(text(record, "id"), ()):
                rows.setdefault(asset.symbol, []).append(_row(asset, record))
        return rows

    def _markets(self, ids: Sequence[str]) -> Any:
        settings = self.context.settings
        key = settings.coingecko_api_key
        return self.context.http.get_json(
            PROVIDER,
            f"{settings.coingecko_base_url.rstrip('/')}/api/v3/coins/markets",
            {
                "vs_currency": "usd",
                "ids": ",".join(ids),
                "per_page": _COINS_PER_REQUEST,
                "page": 1,
                "precision": "full",
            },
            {"x-cg-demo-api-key": key.get_secret_value()} if key else None,
        )


def _row(asset: Asset, record: dict[str, Any]) -> Row:
    return {column: record.get(name) for column, name in FIELDS.items()} | {
        "symbol": asset.symbol,
        "base_currency": asset.symbol,
        "quote_currency": "USD",
        "price_unit": 1,
        "source": "coingecko",
    }
