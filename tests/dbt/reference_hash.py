"""The hash of docs/hash.md in Python: what every engine must agree with."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

_UPPER = {ord(letter): ord(letter) - 32 for letter in "abcdefghijklmnopqrstuvwxyz"}


def text_of(value: Any, type_: str) -> str | None:
    """Return a value's text by its declared type; None for null."""
    if value is None:
        return None
    if type_ in {"key", "text"}:
        return str(value).strip(" ").translate(_UPPER) if type_ == "key" else str(value)
    if type_ == "number":
        return _fixed(value, 10)
    if type_ == "price":
        text = _fixed(value, 18)
        return text[:-8] + text[-8:].rstrip("0")
    if type_ == "date" and isinstance(value, date):
        return value.isoformat()
    if type_ == "time" and isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ", "microseconds")
    raise ValueError(f"{value!r} has no text as {type_}")


def _fixed(value: Any, digits: int) -> str:
    with localcontext(prec=60):
        rounded = Decimal(value).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)
        return f"{abs(rounded) if rounded.is_zero() else rounded:f}"


def field(value: Any, type_: str) -> str:
    """Return enc(value): empty for null, else "=" and the escaped text."""
    text = text_of(value, type_)
    return "" if text is None else "=" + text.replace("\\", "\\\\").replace("|", "\\|")


def hash_of(*columns: tuple[Any, str]) -> str:
    """Return the hash of (value, type) columns in order."""
    joined = "|".join(field(value, type_) for value, type_ in columns)
    return hashlib.md5(joined.encode("utf-8"), usedforsecurity=False).hexdigest()


def hashdiff_of(row: Mapping[str, Any], types: Mapping[str, str]) -> str:
    """Return the hash of a payload: its columns in alphabetical order."""
    names: Sequence[str] = sorted(types)
    return hash_of(*((row[name], types[name]) for name in names))
