"""What a pair of Binance says: which coin, how many of it the price is for, and in what the price is.

A pair is ``[multiplier]SYMBOL QUOTE`` without a space: ``BTCUSDT``, ``ETHBTC``, ``1000SATSUSDT``, ``1MBABYDOGEUSDT``.
The symbol is known, so the pair can be read in one way only; what cannot be read so is refused, never guessed.
"""

import re
from dataclasses import dataclass

QUOTES = (
    *("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "USD1", "USDP", "USDS", "USDE", "RLUSD", "XUSD", "BFUSD", "U", "PAX"),
    *(
        "DAI",
        "UST",
        "VAI",
        "BTC",
        "ETH",
        "BNB",
        "TRX",
        "XRP",
        "DOGE",
        "DOT",
        "SOL",
        "AEUR",
        "EURI",
        "USD",
        "EUR",
        "GBP",
    ),
    *("AUD", "BRL", "TRY", "RUB", "UAH", "NGN", "ZAR", "JPY", "MXN", "PLN", "RON", "CZK", "ARS", "COP", "CAD", "KZT"),
    *("IDR", "IDRT", "BIDR", "BKRW", "BVND", "GYEN"),
)
"""What Binance quotes in or did: stablecoins, coins, currencies."""
_UNITS = {"1K": 1_000, "1M": 1_000_000, "1B": 1_000_000_000}
_MULTIPLIER = r"10{2,9}|" + "|".join(_UNITS)
_MULTIPLIED = re.compile(r"(?:10{3,9}|1M)(?=[A-Z]{3})")


@dataclass(frozen=True, slots=True)
class Pair:
    """How a pair is quoted.

    Args:
        quote: What the price is in, for example ``USDT``.
        unit: How many of the coin the price is for.
    """

    quote: str
    unit: int = 1


def read_pair(symbol: str, pair: str) -> Pair:
    """Read a pair of a known symbol.

    Raises:
        ValueError: It cannot be read as one of this symbol; the text says what to write instead.
    """
    multiplied = _MULTIPLIED.match(symbol)
    if multiplied:
        raise ValueError(
            f"'{symbol}' begins with a multiplier, and prices are for one coin: call it {symbol[multiplied.end() :]}"
        )
    quotes = "|".join(QUOTES)
    found = re.fullmatch(rf"({_MULTIPLIER})?{re.escape(symbol)}({quotes})", pair)
    if found is None:
        raise ValueError(
            f"binance_pair '{pair}' is not {symbol}, or 1000{symbol}, or 1M{symbol}, and a currency Binance quotes in:"
            f" write it as Binance does, such as {symbol}USDT, or leave it empty"
        )
    multiplier, quote = found.groups()
    return Pair(quote, _UNITS.get(multiplier) or int(multiplier or 1))
