"""When an article says it was published: the dates of feeds (RFC 822) and of pages (ISO 8601), as far as they are sure.

A date is optional: one that cannot be read, names no zone or an ambiguous one, or lies beyond the calendar is no date,
and its article stays. Years before the web's first page are placeholders for «unknown».
"""

import re
from datetime import UTC, datetime, timedelta, timezone

_NAMES = "january february march april may june july august september october november december"
_MONTHS = {name: number for number, name in enumerate(_NAMES.split(), start=1)}
_MONTHS |= {name[:3]: number for name, number in _MONTHS.items()} | {"sept": 9}
# RFC 822's own, and those that mean one offset wherever they are written (IST and BST, for instance, do not).
_ZONES = {
    **dict.fromkeys(("Z", "UT", "UTC", "GMT", "WET"), 0),
    "EDT": -4,
    "EST": -5,
    "CDT": -5,
    "CST": -6,
    "MDT": -6,
    "MST": -7,
    "PDT": -7,
    "PST": -8,
    "AKST": -9,
    "HST": -10,
    **dict.fromkeys(("CET", "MET", "WEST"), 1),
    **dict.fromkeys(("CEST", "MEST", "EET", "CAT", "SAST"), 2),
    "EEST": 3,
    "MSK": 3,
    "ICT": 7,
    "WIB": 7,
    "HKT": 8,
    "SGT": 8,
    "JST": 9,
    "KST": 9,
    "AEST": 10,
    "AEDT": 11,
}
_TIME = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?"
_ZONE = r"\s*(?P<zone>[A-Za-z]{1,5}|(?:GMT|UTC)?\s?[+-]\d{1,2}(?::?\d{2})?)?"
_MONTH = r"(?P<month>[A-Za-z]{3,9})\.?,?"
_WEEKDAY = r"(?:[A-Za-z]{2,9}(?:\.?,\s*|\.?\s+))?"
_FORMS = [
    re.compile(form + _ZONE, re.ASCII)
    for form in (
        r"(?P<year>\d{4})-?(?P<month>\d\d)-?(?P<day>\d\d)[Tt\s](?P<hour>\d\d):?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?:[.,]\d+)?)?",
        rf"{_WEEKDAY}(?P<day>\d{{1,2}})[\s-]+{_MONTH}[\s-]+(?P<year>\d{{2}}|\d{{4}}),?\s+{_TIME}",
        rf"{_WEEKDAY}{_MONTH}\s+(?P<day>\d{{1,2}}),?\s+(?P<year>\d{{4}}),?\s+{_TIME}",
    )
]
_COMMENT = re.compile(r"\s*\([^()]*\)\s*$")
_OFFSET = re.compile(r"(?:GMT|UTC)?\s?([+-])(\d{1,2})(?::?(\d{2}))?", re.ASCII)
_LONGEST = 80
_FARTHEST = timedelta(hours=15)
_FIRST = 1991
_CENTURY = 100


def published(text: str | None) -> datetime | None:
    """Read a date with its zone; UTC. None where the text does not say one time beyond doubt."""
    text = _COMMENT.sub("", (text or "")[: _LONGEST + 1]).strip()
    match = next((m for m in (form.fullmatch(text) for form in _FORMS) if m), None)
    if not match or len(text) > _LONGEST:
        return None
    offset, month = _offset(match["zone"]), _month(match["month"])
    if offset is None or not month:
        return None
    day, hour, minute, second = (int(match[part] or 0) for part in ("day", "hour", "minute", "second"))
    try:
        local = datetime(_year(match["year"]), month, day, hour, minute, second, tzinfo=timezone(offset))
        time = local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return time if time.year >= _FIRST else None


def _year(text: str) -> int:
    """Read a year; of two digits as RFC 2822 does."""
    year = int(text)
    return year if year >= _CENTURY or len(text) > 2 else year + (2000 if year < 50 else 1900)  # noqa: PLR2004


def _month(text: str) -> int | None:
    return int(text) if text.isdecimal() else _MONTHS.get(text.lower())


def _offset(zone: str | None) -> timedelta | None:
    """Give a zone's distance from UTC. ``-0000`` is UTC of a place unknown (RFC 5322); GMT+7 is seven hours east."""
    named = _ZONES.get((zone or "").upper())
    if named is not None:
        return timedelta(hours=named)
    match = _OFFSET.fullmatch((zone or "").upper())
    if not match:
        return None
    digits, minutes = match[2], int(match[3] or 0)
    offset = timedelta(hours=int(digits), minutes=minutes)
    return (-offset if match[1] == "-" else offset) if offset < _FARTHEST and minutes < 60 else None  # noqa: PLR2004
