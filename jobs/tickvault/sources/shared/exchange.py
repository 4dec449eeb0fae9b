"""When an exchange trades: each day's own close, and the days on which there has to be a price.

Yahoo names an exchange by a code of its own and by its time zone; the calendar is that of the package
``exchange_calendars``, early closes and holidays included. https://github.com/gerrymanoim/exchange_calendars
"""

import warnings
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

_CALENDARS = {
    **dict.fromkeys(("NMS", "NGM", "NCM", "NYQ", "PCX", "ASE", "BTS", "PNK", "OQB", "OQX", "OEM"), "XNYS"),
    **dict.fromkeys(("TOR", "VAN", "CNQ", "NEO"), "XTSE"),
    "MEX": "XMEX",
    "SAO": "BVMF",
    "BUE": "XBUE",
    "SGO": "XSGO",
    "LSE": "XLON",
    "IOB": "XLON",
    "ISE": "XDUB",
    "GER": "XETR",
    "PAR": "XPAR",
    "AMS": "XAMS",
    "BRU": "XBRU",
    **dict.fromkeys(("FRA", "STU", "MUN", "BER", "DUS", "HAM", "HAN"), "XFRA"),
    "LIS": "XLIS",
    "MIL": "XMIL",
    "MCE": "XMAD",
    "EBS": "XSWX",
    "VIE": "XWBO",
    "STO": "XSTO",
    "CPH": "XCSE",
    "HEL": "XHEL",
    "OSL": "XOSL",
    "ICE": "XICE",
    "WSE": "XWAR",
    "PRA": "XPRA",
    "BUD": "XBUD",
    "ATH": "ASEX",
    "IST": "XIST",
    "TLV": "XTAE",
    "JNB": "XJSE",
    "SAU": "XSAU",
    "JPX": "XTKS",
    "HKG": "XHKG",
    "SES": "XSES",
    "SHH": "XSHG",
    "SHZ": "XSHG",
    "TAI": "XTAI",
    "TWO": "XTAI",
    "KSC": "XKRX",
    "KOE": "XKRX",
    "KLS": "XKLS",
    "JKT": "XIDX",
    "SET": "XBKK",
    "NSI": "XBOM",
    "BSE": "XBOM",
    "ASX": "XASX",
    "NZE": "XNZE",
}
"""The calendar by Yahoo's code, which is that of the exchange a ticker is quoted on."""
_BY_ZONE = {
    "America/New_York": "XNYS",
    "America/Toronto": "XTSE",
    "Europe/London": "XLON",
    "Europe/Berlin": "XETR",
    "Europe/Paris": "XPAR",
    "Europe/Amsterdam": "XAMS",
    "Europe/Zurich": "XSWX",
    "Europe/Rome": "XMIL",
    "Europe/Madrid": "XMAD",
    "Europe/Stockholm": "XSTO",
    "Asia/Tokyo": "XTKS",
    "Asia/Hong_Kong": "XHKG",
    "Asia/Shanghai": "XSHG",
    "Asia/Kolkata": "XBOM",
    "Australia/Sydney": "XASX",
}
"""The calendar by time zone, where the code is unknown or belongs to another zone."""
_WITHOUT_SESSIONS = {"CRYPTOCURRENCY", "CURRENCY", "FUTURE"}
_END_OF_DAY = time(23, 59, 59, 999000)


class Exchange:
    """The hours of one ticker's exchange between two days.

    Args:
        meta: What Yahoo's chart says of the ticker.
        first: The first day asked about.
        last: The last one.
    """

    def __init__(self, meta: Mapping[str, Any], first: date, last: date) -> None:
        self.zone = str(meta.get("exchangeTimezoneName") or "UTC")
        self._closes: dict[date, datetime] | None = None
        self._period = _regular_end(meta)
        if self.zone != "UTC" and meta.get("instrumentType") not in _WITHOUT_SESSIONS:
            self._closes = self._calendar(str(meta.get("exchangeName")), first.year, last.year + 1)

    def _calendar(self, code: str, first: int, last: int) -> dict[date, datetime] | None:
        for name in (_CALENDARS.get(code), _BY_ZONE.get(self.zone)):
            if name:
                zone, closes = _closes(name, first, last)
                if zone == self.zone:
                    return closes
        return None

    def closes(self, day: date) -> datetime:
        """Return when a day's session ends, UTC; a round-the-clock market's day ends at midnight UTC.

        A day that the calendar does not have, and any day of an unknown exchange, ends when Yahoo says that the current
        one does, or at midnight UTC.
        """
        known = (self._closes or {}).get(day)
        if known:
            return known
        if self.zone == "UTC" or self._period is None:
            return datetime.combine(day, _END_OF_DAY, UTC)
        return datetime.combine(day, self._period, ZoneInfo(self.zone)).astimezone(UTC)

    def days(self, first: date, now: datetime) -> list[date]:
        """Return the days from ``first`` on whose session is over; none where nobody knows the sessions."""
        if self.zone == "UTC":
            return every_day(first, now)
        return [day for day, closes in (self._closes or {}).items() if day >= first and closes <= now]


def every_day(first: date, now: datetime) -> list[date]:
    """Return the UTC days from ``first`` on that are over: those of a market that never closes."""
    return [first + timedelta(days=n) for n in range((now.astimezone(UTC).date() - first).days)]


def _regular_end(meta: Mapping[str, Any]) -> time | None:
    period = meta.get("currentTradingPeriod")
    regular = period.get("regular") if isinstance(period, Mapping) else None
    end = regular.get("end") if isinstance(regular, Mapping) else None
    return end.time() if isinstance(end, datetime) else None


@lru_cache(maxsize=64)
def _closes(name: str, first: int, last: int) -> tuple[str, dict[date, datetime]]:
    """Return a calendar's zone and closes from the start of one year to the end of another, as far as it reaches."""
    from exchange_calendars import get_calendar

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about its own use of pandas
        try:
            calendar = get_calendar(name, start=f"{first}-01-01", end=f"{last}-12-31")
        except ValueError:  # its holidays are not known that far ahead, or back
            calendar = get_calendar(name)
    closes: Any = calendar.closes
    return str(calendar.tz), {label.date(): close.to_pydatetime() for label, close in closes.items()}
