"""How one value becomes one of a column, strictly.

Money is exact: it is taken from text, ``int`` or ``Decimal`` and never from a ``float``; digits beyond the column's
last are rounded (half to even), and a price that would become another number by it is refused. Text is NFC and an
empty one is null. Times are read by a strict grammar and carry their zone. Nothing is guessed. Parsers raise ValueError
whose text continues a sentence that begins with the column's name.
"""

import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any, NamedTuple

import pyarrow as pa

from tickvault.core import iso
from tickvault.core.address import check_address
from tickvault.core.stream import INSTANT

Parser = Callable[[Any], Any]

_CONTEXT = Context(prec=80, rounding=ROUND_HALF_EVEN)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = 60
_LOSS = Decimal("1e-9")
"""How much of itself an ``exact`` number may lose by rounding."""
_EXACT = (int, Decimal)
_CALENDAR_DIGITS = 24
"""Digits before the point of a number of ticks above which it is no time of the calendar, whatever the tick."""
_DEEPEST = 20
"""Levels of a record that are kept of it: enough for any provider's, and for every JSON reader it goes through."""


class Epoch(NamedTuple):
    """A time as providers send it: a number of ticks since 1970 UTC, parsed with the other values of its row."""

    value: Any
    per_second: int = 1000


def parser(field: "pa.Field[pa.DataType]") -> Parser:
    """Return the function that turns a value into this column's, or raises ValueError with the reason."""
    parse = _typed(field.type, exact=b"exact" in (field.metadata or {}))
    least = (field.metadata or {}).get(b"min")
    low = Decimal(least.decode()) if least is not None else None
    is_address = (field.metadata or {}).get(b"form") == b"address"

    def checked(value: Any) -> Any:
        parsed = None if value is None else parse(value)
        if parsed is None:
            if not field.nullable:
                raise ValueError("is missing")
        elif low is not None and parsed < low:
            raise ValueError(f"is {_shown(value)}, less than {low}")
        elif is_address:
            check_address(parsed)
        return parsed

    return checked


def _typed(type_: pa.DataType, *, exact: bool) -> Parser:
    if pa.types.is_decimal128(type_):
        return _decimal(type_.precision, type_.scale, exact=exact)
    if pa.types.is_integer(type_):
        return _integer(type_.bit_width)
    if type_ == INSTANT:
        return _instant
    if pa.types.is_date32(type_):
        return _date
    if pa.types.is_boolean(type_):
        return _boolean
    return _float if pa.types.is_floating(type_) else _text


def _number(value: Any) -> Decimal:
    if isinstance(value, str):
        if not value.isascii() or "_" in value:
            raise ValueError(f"is {_shown(value)}, which is not a number")
    elif not isinstance(value, _EXACT) or isinstance(value, bool):
        raise ValueError(f"is {_shown(value)}, a {type(value).__name__} where an exact number is due")  # noqa: TRY004
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise ValueError(f"is {_shown(value)}, which is not a number") from error
    if not number.is_finite():
        raise ValueError(f"is {_shown(value)}, which is not a finite number")
    return number


def _decimal(precision: int, scale: int, *, exact: bool) -> Parser:
    step = Decimal(1).scaleb(-scale)
    digits = precision - scale

    def parse(value: Any) -> Decimal:
        number = _number(value)
        try:
            rounded = number.quantize(step, context=_CONTEXT)
        except InvalidOperation:  # more digits than even the context has
            rounded = None
        if rounded is None or rounded.adjusted() >= digits:
            raise ValueError(f"is {_shown(value)}, more than {digits} digits before the point")
        if exact and _is_another(rounded, number):
            raise ValueError(f"is {_shown(value)}, which {scale} digits after the point would make another number")
        return rounded

    return parse


def _is_another(rounded: Decimal, number: Decimal) -> bool:
    """Tell whether rounding made it zero or took more than a billionth of it."""
    if rounded.is_zero():
        return not number.is_zero()
    lost = _CONTEXT.abs(_CONTEXT.subtract(number, rounded))
    return lost > _CONTEXT.multiply(_LOSS, _CONTEXT.abs(number))


def _integer(bits: int) -> Parser:
    limit = 1 << (bits - 1)

    def parse(value: Any) -> int:
        number = _number(value)
        if not -limit <= number < limit or number != number.to_integral_value():
            raise ValueError(f"is {_shown(value)}, which is not a whole number of {bits} bits")
        return int(number)

    return parse


def _float(value: Any) -> float:
    number = float(_number(repr(value) if isinstance(value, float) else value))
    if not math.isfinite(number):
        raise ValueError(f"is {_shown(value)}, more than a floating-point number holds")
    return number


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"is {_shown(value)}, which is neither true nor false")  # noqa: TRY004 - one way out
    return value


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        raise ValueError(f"is {_shown(value)}, a {type(value).__name__} where text is due")  # noqa: TRY004
    if "\0" in value:
        raise ValueError("contains the character NUL, which no database stores")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError("contains half a character (a lone surrogate)") from error
        value = unicodedata.normalize("NFC", value)
    return value or None


def _instant(value: Any) -> datetime:
    if isinstance(value, Epoch):
        return _since_epoch(value)
    if isinstance(value, str):
        try:
            value = iso.time(value)
        except ValueError as error:
            raise ValueError(f"is {_shown(value)}, which is not a time in ISO 8601") from error
    if not isinstance(value, datetime):
        raise ValueError(f"is {_shown(value)}, which is not a time")  # noqa: TRY004
    if value.tzinfo is None:
        raise ValueError(f"is {value.isoformat()}, a time without its zone")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"is {value.isoformat()}, beyond the calendar") from error


def _since_epoch(epoch: Epoch) -> datetime:
    ticks, beyond = _number(epoch.value), f"is {_shown(epoch.value)}, beyond the calendar"
    if ticks.adjusted() > _CALENDAR_DIGITS:  # the arithmetic below would take for ever, or signal
        raise ValueError(beyond)
    try:
        return _EPOCH + timedelta(microseconds=int(ticks * 1_000_000 / epoch.per_second))
    except OverflowError as error:
        raise ValueError(beyond) from error


def _date(value: Any) -> date:
    if isinstance(value, Epoch):
        return _instant(value).date()
    if isinstance(value, str):
        try:
            value = iso.day(value)
        except ValueError as error:
            raise ValueError(f"is {_shown(value)}, which is not a date in ISO 8601") from error
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError(f"is {_shown(value)}, which is not a date")  # noqa: TRY004
    return value


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(plain(value))
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def plain(value: Any, depth: int = _DEEPEST) -> Any:
    """Make a value fit for JSON and for jsonb, which has no NUL: it is shown as ␀. What lies too deep is left out."""
    if isinstance(value, Epoch):
        value = value.value
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    if isinstance(value, str):
        return value.replace("\0", "␀").encode("utf-8", "backslashreplace").decode()
    # A float stays one: as text it would pass for an exact number.
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Mapping | list | tuple):
        return _plain_inside(value, depth - 1) if depth else "…"
    return plain(str(value))


def _plain_inside(value: Mapping[Any, Any] | Sequence[Any], depth: int) -> Any:
    if isinstance(value, Mapping):
        return {plain(str(k)): plain(v, depth) for k, v in value.items()}
    return [plain(v, depth) for v in value]
