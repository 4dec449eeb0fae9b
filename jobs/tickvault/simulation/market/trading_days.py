"""When US stocks trade: NYSE weekdays without holidays, 9:30 to 16:00 in New York, to 13:00 before some holidays.

Source of the rules: https://www.nyse.com/markets/hours-calendars.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
_MONDAY, _THURSDAY, _FRIDAY, _SATURDAY, _SUNDAY = 0, 3, 4, 5, 6


def is_trading_day(day: date) -> bool:
    """Tell whether NYSE is open on this day."""
    return day.weekday() < _SATURDAY and day not in holidays(day.year)


@cache
def session(day: date) -> tuple[datetime, datetime]:
    """Give opening and closing of that day's session in UTC."""
    opening = datetime.combine(day, time(9, 30), NEW_YORK)
    return opening.astimezone(UTC), opening.replace(hour=_closing_hour(day), minute=0).astimezone(UTC)


def _closing_hour(day: date) -> int:
    """Early on the day after Thanksgiving, and on the weekday before Independence Day and Christmas Day."""
    is_eve = (day.month, day.day) in {(7, 3), (12, 24)} and day.weekday() < _FRIDAY
    return 13 if is_eve or day == _nth(day.year, 11, _THURSDAY, 4) + timedelta(days=1) else 16


@cache
def holidays(year: int) -> frozenset[date]:
    """Give the weekdays of a year on which NYSE is closed."""
    fixed = {_observed(date(year, month, day)) for month, day in ((6, 19), (7, 4), (12, 25))}
    new_year = date(year, 1, 1)
    if new_year.weekday() != _SATURDAY:  # a New Year's Day on a Saturday is not moved into the old year
        fixed.add(_observed(new_year))
    return frozenset(
        fixed
        | {
            _nth(year, 1, _MONDAY, 3),
            _nth(year, 2, _MONDAY, 3),
            _easter(year) - timedelta(days=2),
            _nth(year, 6, _MONDAY, 1) - timedelta(days=7),  # the last Monday of May
            _nth(year, 9, _MONDAY, 1),
            _nth(year, 11, _THURSDAY, 4),
        }
    )


def _observed(day: date) -> date:
    return day + timedelta(days={_SATURDAY: -1, _SUNDAY: 1}.get(day.weekday(), 0))


def _nth(year: int, month: int, weekday: int, n: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


def _easter(year: int) -> date:
    """Give Easter Sunday (Gregorian, the anonymous algorithm of Meeus, Jones and Butcher)."""
    a, b, c = year % 19, year // 100, year % 100
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    k = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * k) // 451
    month, day = divmod(h + k - 7 * m + 114, 31)
    return date(year, month, day + 1)
