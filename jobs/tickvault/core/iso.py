"""Times and days as ISO 8601 and RFC 3339 write them, by a strict grammar.

Python's own ``fromisoformat`` takes any character, a digit too, between the day and the time, and weeks for days.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone

_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,12}))?)?"
    r"(?: ?([Zz]|[+-][0-9]{2}(?::?[0-9]{2})?))?"
)
_MICROS = 6
_MOST_MINUTES = 59


def day(text: str) -> date:
    """Read ``2026-11-20``.

    Raises:
        ValueError: It is anything else, or no day of the calendar.
    """
    found = _DAY.fullmatch(text)
    if not found:
        raise ValueError(f"not a day: {text!r}")
    return date(*map(int, found.groups()))


def time(text: str) -> datetime:
    """Read ``2026-11-20T13:00:00.123456Z``: ``T`` or a space, seconds and their fraction where there are any.

    The zone is ``Z``, ``+hh:mm``, ``+hhmm`` or ``+hh``; without one the time has none. Digits beyond the microsecond
    are cut off.

    Raises:
        ValueError: It is anything else, or no time of the calendar.
    """
    found = _TIME.fullmatch(text)
    if not found:
        raise ValueError(f"not a time: {text!r}")
    *parts, fraction, zone = found.groups()
    micros = int((fraction or "")[:_MICROS].ljust(_MICROS, "0"))
    year, month, of_month, hour, minute, second = (int(part or 0) for part in parts)
    return datetime(year, month, of_month, hour, minute, second, micros, _zone(zone))


def _zone(text: str | None) -> timezone | None:
    if text is None:
        return None
    if text in {"Z", "z"}:
        return UTC
    hours, minutes = int(text[1:3]), int(text[3:].lstrip(":") or 0)
    if minutes > _MOST_MINUTES:
        raise ValueError(f"not a zone: {text!r}")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)
