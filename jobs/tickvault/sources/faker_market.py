"""The bank's own data, simulated: customers, corporates and their trades in stocks and crypto.

The unit is a complete UTC day. A slot covers the days after the cursor's up to the last one that is over; the first
run brings ``history_days`` of history, with a share of a day's trades on each but the last. Missed days are made up,
and a second slot on the same day finds nothing new.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from tickvault.core.batch import Batch
from tickvault.core.package import Cursor
from tickvault.core.stream import Stream
from tickvault.market.streams import CORPORATES, CUSTOMERS, TRANSACTIONS_CORPORATE, TRANSACTIONS_PERSONAL
from tickvault.sources import Source

if TYPE_CHECKING:
    from tickvault.simulation.population.trades import Volume
    from tickvault.simulation.population.world import World

_BATCH_ROWS = 40_000


class FakerMarket(Source):
    """Generates rows instead of fetching them; they depend on ``FAKER_SEED``, the days and the cursor alone."""

    name: ClassVar[str] = "faker_market"
    streams: ClassVar[tuple[Stream, ...]] = (CUSTOMERS, CORPORATES, TRANSACTIONS_PERSONAL, TRANSACTIONS_CORPORATE)

    def read(self, stream: Stream, since: Cursor | None) -> Iterator[Batch]:
        """Generate the days since the cursor; the last batch carries the cursor, as nothing less can be resumed.

        Raises:
            ConfigError: A day lies outside the simulated market's years, or its seeds are missing.
        """
        from tickvault.simulation.population.world import World

        entry: dict[str, Any] | None = (since or {}).get("")
        days = self._days(date.fromisoformat(entry["day"]) if entry else None)
        if not days:
            yield Batch(stream, _joined(stream, []), cursor=since)
            return
        world = World(self.context.settings)
        cursor: dict[str, Any] = {"day": days[-1].isoformat()}
        if stream in (TRANSACTIONS_PERSONAL, TRANSACTIONS_CORPORATE):
            volumes = self._volumes(world, days, entry)
            cursor |= {"world": world.fingerprint, "volumes": _remembered(volumes)}
            rows = world.trades(stream, days, volumes)
        else:
            rows = world.people(stream, days)
        yield from _batches(stream, rows, {"": cursor})

    def _days(self, done: date | None) -> list[date]:
        last = self.context.slot.date - timedelta(days=1)
        first = done + timedelta(days=1) if done else last - timedelta(days=self.context.history_days - 1)
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]

    def _volumes(self, world: "World", days: list[date], entry: dict[str, Any] | None) -> "dict[date, Volume]":
        """Give the volumes of these days, and of those remembered: what is sold must have been bought at its time."""
        from tickvault.simulation.population.trades import Volume

        # In another world (a new seed, other assets) the remembered days' lots are unknown: nobody sells from them.
        known = entry["volumes"] if entry and entry["world"] == world.fingerprint else {}
        volumes = {date.fromisoformat(day): Volume(*numbers) for day, numbers in known.items()}
        settings = self.context.settings
        for day in days:
            share = settings.faker_history_share if entry is None and day != days[-1] else 1.0
            volumes[day] = world.volume(day, share)
        return volumes


def _remembered(volumes: "dict[date, Volume]") -> dict[str, list[int]]:
    from tickvault.simulation.population.trades import MEMORY

    return {day.isoformat(): list(volumes[day]) for day in sorted(volumes)[-MEMORY:]}


def _batches(stream: Stream, rows: Iterator[pa.RecordBatch], cursor: Cursor) -> Iterator[Batch]:
    """Join small batches, so that a long history does not become hundreds of row groups."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in rows:
        if waiting and count + batch.num_rows > _BATCH_ROWS:
            yield Batch(stream, _joined(stream, waiting))
            waiting, count = [], 0
        waiting.append(batch)
        count += batch.num_rows
    yield Batch(stream, _joined(stream, waiting), cursor=cursor)


def _joined(stream: Stream, batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    table = pa.Table.from_batches(batches, stream.schema).combine_chunks()
    return table.to_batches()[0] if table.num_rows else pa.RecordBatch.from_pylist([], stream.schema)
