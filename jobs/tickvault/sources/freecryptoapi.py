"""FreeCryptoAPI: the last price of many coins in one request.

The provider changes its format without notice and keeps no archive of it, so address, key header and field names are
settings with the documented names as defaults (https://freecryptoapi.com/documentation, ``/v1/getData``). They are
taken by the letter: a field that is not there is an error and never replaced by one that looks similar. Times without
a zone are UTC, as documented.
"""

import re
from collections.abc import Iterator
from typing import Any

from tickvault.core.batch import Batch
from tickvault.core.errors import ConfigError, SchemaMismatchError, SourceRejectedError
from tickvault.core.package import Cursor
from tickvault.core.records import Row, require_fields
from tickvault.core.stream import Stream
from tickvault.engines.http.client import Provider, RefusedRequestError
from tickvault.market import streams
from tickvault.market.symbols import Asset, normalise
from tickvault.sources import Source
from tickvault.sources.shared.symbolwise import latest, not_nothing, objects, text, wanted, without_rows

PROVIDER = Provider("freecryptoapi", per_minute=60, key_setting="FREECRYPTO_API_KEY", url_setting="FREECRYPTO_API")
_REQUIRED = {"rows", "symbol", "price", "observed_at"}
_OPTIONAL = {
    "volume",
    "quote_volume",
    "price_change_24h",
    "price_change_percent_24h",
    "high_24h",
    "low_24h",
    "market_cap",
}
_NOT_FOUND = 404
_WITHOUT_ZONE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)")


class FreeCryptoApi(Source):
    """Reads current prices; off without an address and a key."""

    name = "freecryptoapi"
    streams = (streams.CRYPTO_FREECRYPTOAPI,)

    def off(self) -> str | None:
        """Say which setting is missing."""
        settings = self.context.settings
        given = {"FREECRYPTO_API": settings.freecrypto_api, "FREECRYPTO_API_KEY": settings.freecrypto_api_key}
        missing = [name for name, value in given.items() if not value]
        return f"{' and '.join(missing)} not set" if missing else None

    def read(self, stream: Stream, since: Cursor | None) -> Iterator[Batch]:
        """Read as ``Source.read`` says."""
        fields = _mapping(self.context.settings.freecrypto_fields)
        rows_at = fields.pop("rows")
        chosen = wanted(self.context, "crypto", "symbol")
        records = _records(stream, self._ask(chosen.assets) if chosen.assets else None, rows_at)
        require_fields(stream, records, fields)
        by_symbol: dict[str, list[Row]] = {}
        for record in records:
            symbol = normalise(text(record, fields["symbol"]))
            by_symbol.setdefault(symbol, []).append(_row(symbol, record, fields))
        yield without_rows(stream, chosen.outcomes)
        prices = latest(self.context.builder(stream), chosen.assets, by_symbol, since)
        yield from not_nothing("freecryptoapi", self.context, [prices])

    def _ask(self, assets: tuple[Asset, ...]) -> Any:
        """Ask for all coins at once; None where the provider knows none of them."""
        settings = self.context.settings
        key = settings.freecrypto_api_key.get_secret_value() if settings.freecrypto_api_key else ""
        name, _, template = settings.freecrypto_key_header.partition(":")
        try:
            return self.context.http.get_json(
                PROVIDER,
                f"{(settings.freecrypto_api or '').rstrip('/')}/{settings.freecrypto_path.lstrip('/')}",
                {"symbol": " ".join(asset.symbol for asset in assets)},  # the query writes a space as +
                {name.strip(): template.strip().replace("{key}", key)},
            )
        except RefusedRequestError as error:
            if error.status == _NOT_FOUND and error.body.lstrip().startswith("{"):
                return None
            raise


def _records(stream: Stream, answer: Any, rows_at: str) -> list[dict[str, Any]]:
    """Take the list of coins out of an answer; None is one without any.

    Raises:
        SourceRejectedError: The provider says with status 200 what is wrong, such as an invalid key.
        SchemaMismatchError: There is no list where it is documented.
    """
    if answer is None:
        return []
    if isinstance(answer, dict) and not isinstance(answer.get(rows_at), list):
        refusal = answer.get("error") or answer.get("message")
        if refusal:
            raise SourceRejectedError(
                f"freecryptoapi: it refuses with {str(refusal)[:200]!r}; check FREECRYPTO_API_KEY and FREECRYPTO_PATH"
            )
        found = ", ".join(sorted(map(str, answer))) or "nothing"
        raise SchemaMismatchError(stream.name, "rows", f"a list '{rows_at}' in the provider's answer", found)
    return objects("freecryptoapi", answer[rows_at] if isinstance(answer, dict) else answer)


def _mapping(text: str) -> dict[str, str]:
    """Read ``column=field`` pairs.

    Raises:
        ConfigError: A pair is none, a column is unknown, or one that every row needs is missing.
    """
    pairs = [pair.strip().partition("=") for pair in text.split(",") if pair.strip()]
    fields = {column.strip(): field.strip() for column, _, field in pairs}
    unknown = fields.keys() - _REQUIRED - _OPTIONAL
    missing = _REQUIRED - {column for column, field in fields.items() if field}
    if unknown or missing or not all(fields.values()):
        raise ConfigError(
            f"FREECRYPTO_FIELDS must be pairs column=field with {', '.join(sorted(_REQUIRED))}"
            f" and may have {', '.join(sorted(_OPTIONAL))}; wrong: {', '.join(sorted(unknown | missing)) or text}"
        )
    return fields


def _row(symbol: str, record: dict[str, Any], fields: dict[str, str]) -> Row:
    return {column: record.get(field) for column, field in fields.items()} | {
        "symbol": symbol,
        "base_currency": symbol,
        "quote_currency": "USD",
        "price_unit": 1,
        "source": "freecryptoapi",
        "observed_at": _utc(record.get(fields["observed_at"])),
    }


def _utc(value: Any) -> Any:
    """Add the documented zone to a time that names none; what is no time is left for the reject to show."""
    found = _WITHOUT_ZONE.fullmatch(value) if isinstance(value, str) else None
    return f"{found[1]}T{found[2]}+00:00" if found else value
