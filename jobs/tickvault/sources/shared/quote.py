"""What a provider's quote says: no price at all, one for many coins that is wanted for one, or one of long ago.

Nothing here raises, whatever JSON it is given: what is no number passes as it is, for the row's reject to show.
"""

from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from tickvault.core.records import Row

STALE_AFTER = timedelta(days=1)
"""How old a coin's latest price may be: coins trade around the clock."""
_FIRST_TRADE = datetime(2009, 1, 3, tzinfo=UTC)
"""No coin is older than Bitcoin's first block: an earlier time, such as 0, is none."""

_EXACT = Context(prec=10_000, traps=[])
_BEYOND = 1000


def number(value: Any) -> Decimal | None:
    """Return an exact number (text, ``int`` or ``Decimal``) as one; None where it is none, or beyond all measure."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    if isinstance(value, str) and (not value.isascii() or "_" in value):
        return None
    try:
        found = Decimal(value)
    except InvalidOperation:
        return None
    return found if found.is_zero() or (found.is_finite() and abs(found.adjusted()) < _BEYOND) else None


def is_zero(value: Any) -> bool:
    """Tell a zero, however it is written."""
    found = number(value)
    return found is not None and found.is_zero()


def known(value: Any) -> Any:
    """Return a value, or None for the zero that says that there is none: no trade, no supply known."""
    return None if is_zero(value) else value


def for_one(value: Any, unit: int) -> Any:
    """Return the price of one coin, given that of ``unit`` coins."""
    return _times(value, Decimal(1) / unit) if unit != 1 else value


def in_ones(value: Any, unit: int) -> Any:
    """Return an amount in coins, given one in lots of ``unit`` coins."""
    return _times(value, Decimal(unit)) if unit != 1 else value


def _times(value: Any, factor: Decimal) -> Any:
    found = number(value)
    return value if found is None else _EXACT.multiply(found, factor)


def without_zeros(row: Row) -> Row:
    """Return a row of a latest price whose high, low and market value of 0 are null: they are not known."""
    zeros = [name for name in ("high_24h", "low_24h", "market_cap") if is_zero(row.get(name))]
    return {**row, **dict.fromkeys(zeros)}


def stale(time: datetime, now: datetime, last: str | None = None) -> str | None:
    """Say why a price is none of now; None where it may be.

    Args:
        time: Of the price.
        now: The current time.
        last: Time of the latest price known, ISO 8601 in UTC with microseconds.
    """
    shown = time.isoformat(timespec="microseconds")
    if time < _FIRST_TRADE:
        return f"its time is {shown}, which is none"
    if now - time > STALE_AFTER:
        return f"the last price is of {shown}, older than {STALE_AFTER / timedelta(hours=1):.0f} hours"
    return f"the price of {shown} is older than the one loaded, of {last}" if last and shown < last else None
