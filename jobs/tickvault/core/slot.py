"""A slot: the scheduled time a run stands for, which is not the time it happens to start.

The same slot twice is one run, a late start keeps its slot, a backfill is a list of slots.
"""

import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from tickvault.core import iso
from tickvault.core.errors import ConfigError

_FORMAT = "%Y%m%dT%H%M%SZ"
_COMPACT = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z")
_SUFFIX_AGE = timedelta(days=2)
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""Between these a slot is meant, outside it is a slip of the pen."""
MOST_DAYS = 36_600
"""Days of history, back from a slot, above which a number of them is a slip of the pen too."""
_AHEAD = timedelta(days=1)
"""How far a slot may lie ahead of now: a clock that is wrong, or a date meant in another zone."""
_SHIFT = timedelta(hours=3)
"""More than any zone's clock is ever put back by."""


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """A scheduled time, UTC, to the second."""

    time: datetime

    @property
    def id(self) -> str:
        """The slot as it stands in paths and names, such as ``20261120T130000Z``; sorts by time."""
        return self.time.strftime(_FORMAT)

    @property
    def date(self) -> date:
        """The UTC date, under which its packages lie in the lake."""
        return self.time.date()

    def __str__(self) -> str:
        return self.id

    @classmethod
    def parse(cls, text: str) -> "Slot":
        """Read ``20261120T130000Z``, ``2026-11-20T13:00:00Z`` or ``2026-11-20`` (midnight UTC).

        Raises:
            ConfigError: The text is none of these, or a year that nobody means.
        """
        try:
            time = _time(text.strip()).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise ConfigError(f"'{text}' is not a slot; write 20261120T130000Z or 2026-11-20T13:00:00Z") from error
        if not _FIRST <= time < _LAST:
            raise ConfigError(f"the slot '{text}' lies outside {_FIRST.year} to {_LAST.year - 1}; check its year")
        return cls.of(time)

    def due(self, now: datetime) -> "Slot":
        """Return this slot, unless it lies ahead: what is read now would pass for what only then is known.

        Raises:
            ConfigError: It is more than a day ahead of ``now``.
        """
        if self.time > now + _AHEAD:
            raise ConfigError(f"the slot {self.id} lies ahead of now ({Slot.of(now).id}); name one that is due")
        return self

    @classmethod
    def of(cls, time: datetime) -> "Slot":
        """Make a slot of an aware time."""
        return cls(time.astimezone(UTC).replace(microsecond=0))


@dataclass(frozen=True, slots=True)
class Schedule:
    """A cron expression in a time zone.

    Raises:
        ConfigError: The expression or the zone cannot be read.
    """

    cron: str
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse early what could never fire."""
        try:
            ZoneInfo(self.timezone)
            CronSim(self.cron, datetime(2026, 1, 1, tzinfo=UTC))
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ConfigError(f"time zone '{self.timezone}' is not known; write one as Asia/Ho_Chi_Minh") from error
        except CronSimError as error:
            raise ConfigError(f"'{self.cron}' is not a cron expression of five fields: {error}") from error

    def last(self, now: datetime) -> Slot:
        """Return the latest scheduled time that is not after ``now``."""
        zone = ZoneInfo(self.timezone)
        wall = now.astimezone(zone).replace(tzinfo=None) + _SHIFT
        latest: datetime | None = None
        for clock in CronSim(self.cron, wall, reverse=True):
            times = _instants(clock, zone)
            if latest and times and times[-1] < latest:
                break  # and so is every earlier one
            latest = max([t for t in times if t <= now] + ([latest] if latest else []), default=None)
        if latest is None:
            raise ConfigError(f"'{self.cron}' has never fired")
        return Slot.of(latest)

    def between(self, first: datetime, last: datetime) -> Iterator[Slot]:
        """Yield the scheduled times from ``first`` to ``last``, both included.

        As Kubernetes does it: a time that the zone's clock shows twice is two slots, one it leaves out is none.
        """
        zone = ZoneInfo(self.timezone)
        wall = first.astimezone(zone).replace(tzinfo=None) - _SHIFT
        waiting: list[datetime] = []
        for clock in CronSim(self.cron, wall):
            times = _instants(clock, zone)
            while waiting and times and waiting[0] < times[0]:
                time = heapq.heappop(waiting)
                if time > last:
                    return
                yield Slot.of(time)
            for time in times:
                if time >= first:
                    heapq.heappush(waiting, time)
        yield from (Slot.of(time) for time in sorted(waiting) if time <= last)  # a schedule that ends

    def yields(self, slot: Slot) -> bool:
        """Tell whether the schedule fires at this very time."""
        return self.last(slot.time) == slot


def _time(text: str) -> datetime:
    if compact := _COMPACT.fullmatch(text):
        year, month, day, hour, minute, second = map(int, compact.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    time = iso.time(text if len(text) > len("2026-11-20") else f"{text}T00:00")
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _instants(clock: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return when a zone's clock shows this: once, twice where it is put back, never where it is put forward."""
    times = (clock.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return sorted({time for time in times if time.astimezone(zone).replace(tzinfo=None) == clock})


def resolve(
    explicit: str | None, job_name: str | None, schedule: Schedule, now: datetime, remembered: Slot | None
) -> Slot:
    """Find the slot a run stands for.

    Args:
        explicit: ``TICKVAULT_SLOT``, which wins.
        job_name: The Kubernetes Job's name; a CronJob's Jobs end in the scheduled time in minutes since 1970 UTC.
        schedule: When the job is scheduled.
        now: The current time, UTC.
        remembered: The slot this very Job ran before, so that a retried pod keeps it.
    """
    if explicit:
        return Slot.parse(explicit)
    if remembered:
        return remembered
    match = re.search(r"-(\d{8,9})$", job_name or "")
    if match:
        # A hand-made name such as extract-x-20261120 ends in digits too, so the schedule has to agree.
        slot = Slot(datetime.fromtimestamp(int(match[1]) * 60, UTC))
        if abs(now - slot.time) <= _SUFFIX_AGE and schedule.yields(slot):
            return slot
    return schedule.last(now)
