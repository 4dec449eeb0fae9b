"""The newest price of each asset, and how it changed since the day before: from the marts in PostgreSQL, or raw."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from tickvault.core.errors import ConfigError
from tickvault.core.settings import Settings
from tickvault.core.suggestion import suggestion
from tickvault.query.catalogue import Catalogue
from tickvault.query.read import Ask, session

_ENGINE = "postgres"
_MOST = 100_000
_MART = ("marts", "fct_asset_prices")
_PUBLISHED = """
    SELECT asset_symbol AS symbol, asset_type, source, quote_currency AS currency, is_usd, close_price AS price,
        share_factor, price_date, observed_at
    FROM marts.fct_asset_prices WHERE dq_status = 'passed'"""
_COLUMNS = {
    "quote": "symbol, 'crypto' AS asset_type, source, quote_currency AS currency, false AS is_usd, price,"
    " 1.0::float8 AS share_factor, (observed_at AT TIME ZONE 'UTC')::date AS price_date,"
    " observed_at AT TIME ZONE 'UTC' AS observed_at",
    "bar": "symbol, 'crypto', source, quote_currency, false, close, 1.0::float8, date, observed_at AT TIME ZONE 'UTC'",
    "share": "ticker, 'stock', source, quote_currency, false, close_price, compared, date,"
    " observed_at AT TIME ZONE 'UTC'",
}
_COMPARED = """(SELECT *, coalesce({known} * exp(sum(ln(CASE WHEN stock_splits > 0 THEN stock_splits ELSE 1 END))
        OVER (PARTITION BY ticker ORDER BY date)),
    exp(sum(ln(CASE WHEN stock_splits > 0 THEN stock_splits ELSE 1 END)) OVER (PARTITION BY ticker))) AS compared
    FROM public.raw_stock_prices_yfinance) t"""
"""With what a close is multiplied before it is compared with another day's: ``split_factor`` makes it the close as
traded, the splits until then make it that of the shares one was. A reading that says nothing knew of every split."""
_NEWEST = """
WITH prices AS ({prices}),
newest AS (
    SELECT DISTINCT ON (symbol, asset_type) * FROM prices
    ORDER BY symbol, asset_type, observed_at DESC, currency = 'USD' DESC, currency, source
),
earlier AS (
    SELECT DISTINCT ON (p.symbol, p.asset_type) p.* FROM prices p JOIN newest n USING (symbol, asset_type)
    WHERE p.price_date < n.price_date AND (p.currency = n.currency OR (p.is_usd AND n.is_usd)) AND p.price > 0
    ORDER BY p.symbol, p.asset_type, p.observed_at DESC, p.source = n.source DESC, p.currency, p.source
)
SELECT n.symbol, n.asset_type, n.price, n.currency, n.observed_at, n.source, e.price_date,
    100 * (n.price * n.share_factor / (e.price * e.share_factor) - 1)
FROM newest n LEFT JOIN earlier e USING (symbol, asset_type)
ORDER BY n.symbol, n.asset_type"""


@dataclass(frozen=True, slots=True)
class LatestPrice:
    """An asset's newest price that passed the gates.

    Args:
        symbol: Which asset.
        asset_type: crypto or stock; both may have the same symbol.
        price: Of one unit, in ``currency``.
        currency: As the source quotes it.
        observed_at: When the price was true, in UTC.
        source: Who said it.
        since: The day of the price it is compared with, the last one of an earlier day; None where there is none.
        change_percent: How much it changed since then, in percent; a split in between does not count.
    """

    symbol: str
    asset_type: str
    price: Decimal
    currency: str
    observed_at: datetime
    source: str
    since: date | None
    change_percent: float | None


def latest(settings: Settings, symbols: Sequence[str]) -> list[LatestPrice]:
    """Return the newest price of each symbol, in their order; of all assets where none is named.

    Raises:
        ConfigError: A symbol has no price, or there are none at all; near ones are suggested. Others as of ``read``.
    """
    with session(settings, _ENGINE) as ask:
        prices = _prices(Catalogue.of(ask, settings, _ENGINE))
        wanted = list(dict.fromkeys(symbol.upper() for symbol in symbols))
        listed = ", ".join("'" + symbol.replace("'", "''") + "'" for symbol in wanted)
        chosen = f"SELECT * FROM ({prices}) p WHERE symbol IN ({listed})" if wanted else prices
        _, rows = ask(_NEWEST.format(prices=chosen), _MOST)
        found = [_told(*row) for row in rows]
        missing = [symbol for symbol in wanted if symbol not in {price.symbol for price in found}]
        if missing:
            raise ConfigError(_unknown(ask, prices, missing))
    return sorted(found, key=lambda price: wanted.index(price.symbol)) if wanted else found


def _prices(catalogue: Catalogue) -> str:
    """Return the SELECT of every price there is: published, else as loaded."""
    if any(column.name == "share_factor" for column in catalogue.relations.get(_MART, ())):
        return _PUBLISHED
    from tickvault.core.stream import Area  # they bring Arrow, which takes longer than the answer
    from tickvault.market import streams

    loaded = {table for schema, table in catalogue.relations if schema == "public"}
    kinds = {"raw_cryptobars": "bar", "raw_stock_prices_yfinance": "share"}
    share = catalogue.relations.get(("public", "raw_stock_prices_yfinance"), ())
    known = "split_factor" if any(column.name == "split_factor" for column in share) else "NULL"
    places = {"raw_stock_prices_yfinance": _COMPARED.format(known=known)}
    found = [
        f"SELECT {_COLUMNS[kinds.get(stream.name, 'quote')]} FROM {places.get(stream.name, f'public.{stream.name}')}"
        for stream in streams.ALL
        if stream.area is Area.PRICES and stream.name in loaded
    ]
    if not found:
        raise ConfigError("there are no prices yet; 'tickvault run prices-crypto-pipeline' reads some")
    return " UNION ALL ".join(sorted(found, key=lambda select: "AS asset_type" not in select))


def _told(
    symbol: str,
    asset_type: str,
    price: Decimal,
    currency: str,
    observed_at: datetime,
    source: str,
    since: date | None,
    change: float | Decimal | None,
) -> LatestPrice:
    told = None if change is None else round(float(change), 4)
    return LatestPrice(symbol, asset_type, price, currency, observed_at.replace(tzinfo=UTC), source, since, told)


def _unknown(ask: Ask, prices: str, missing: Sequence[str]) -> str:
    known = [str(symbol) for (symbol,) in ask(f"SELECT DISTINCT symbol FROM ({prices}) p ORDER BY 1", _MOST)[1]]
    hints = (f"'{one}': {suggestion(one, known, otherwise='no symbol is near', most=3)}" for one in missing)
    return f"no price of {'; '.join(hints)} ('tickvault latest' without a symbol shows all {len(known)})"
