"""A slot: the scheduled time a run stands for, which is not the time it happens to start.

The same slot twice is one run, a late start keeps its slot, a backfill is a list of slots.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from tickvault.core.errors import ConfigError

_FORMAT = "%Y%m%dT%H%M%SZ"
_SUFFIX_AGE = timedelta(days=2)


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
            ConfigError: The text is none of these.
        """
        try:
            time = datetime.fromisoformat(text)
        except ValueError as error:
            raise ConfigError(f"'{text}' is not a slot; write 20261120T130000Z or 2026-11-20T13:00:00Z") from error
        return cls.of(time if time.tzinfo else time.replace(tzinfo=UTC))

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
        start = (now + timedelta(minutes=1)).astimezone(ZoneInfo(self.timezone))
        return next(s for s in map(Slot.of, CronSim(self.cron, start, reverse=True)) if s.time <= now)

    def between(self, first: datetime, last: datetime) -> Iterator[Slot]:
        """Yield the scheduled times from ``first`` to ``last``, both included."""
        start = (first - timedelta(seconds=1)).astimezone(ZoneInfo(self.timezone))
        for time in CronSim(self.cron, start):
            slot = Slot.of(time)
            if slot.time > last:
                return
            if slot.time >= first:
                yield slot

    def yields(self, slot: Slot) -> bool:
        """Tell whether the schedule fires at this very time."""
        return self.last(slot.time) == slot


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
