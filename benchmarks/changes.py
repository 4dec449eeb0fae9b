"""What a load into PostgreSQL costs beside a change table of three years, against an empty one, on one server.

A stream of ``--keys`` keys is read every day and a twentieth of it changes: after 1,100 days the change table has 55
rows for each key. Timed are whole loads: one in order, one in which nothing changed, one a day late.

Run it with ``python benchmarks/changes.py [--keys 15000]``.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pyarrow as pa

from tickvault.core.batch import LoadResult
from tickvault.core.claim import PackageClaim
from tickvault.core.package import Package
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.core.stream import Stream, required
from tickvault.engines.storage import FolderStorage
from tickvault.lake import Lake
from tickvault.local import postgres
from tickvault.sinks.postgres import PostgresSink

SCHEMA = pa.schema([required("id", pa.string()), *(pa.field(f"text_{n}", pa.string()) for n in range(8))])
DAYS = 1_100
EVERY = 20
"""One of so many rows changes in a day."""


@dataclass(frozen=True)
class Day:
    """What the source says on a day; ``again`` says of it once more, with a higher version."""

    keys: int
    number: int
    again: int = 0

    @property
    def count(self) -> int:
        """How many rows there are."""
        return self.keys

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows."""
        version = f"{self.number:06d}|r{self.again}"
        changed = [(self.number - key % EVERY) // EVERY for key in range(self.keys)]
        columns = [[f"K{key:06d}" for key in range(self.keys)]]
        columns += [[f"{n} of {key} since {c}" for key, c in enumerate(changed)] for n in range(8)]
        yield pa.RecordBatch.from_pydict(
            dict(zip(SCHEMA.names, columns, strict=True)) | {"row_version": [version] * self.keys},
            schema=SCHEMA.append(pa.field("row_version", pa.string(), nullable=False)),
        )

    def files(self, folder: Path) -> Iterator[Path]:
        """Refuse: PostgreSQL takes batches."""
        raise NotImplementedError(folder)


def fill(settings: Settings, stream: Stream) -> None:
    """Give each key 55 earlier states, as the days before would have left them."""
    texts = ", ".join(f"'{n} of ' || id || ' before ' || n" for n in range(8))
    with closing(psycopg2.connect(settings.postgres_dsn())) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {stream.name}_changes (id, {', '.join(SCHEMA.names[1:])}, row_version, package_id,"
            f" load_timestamp, replaced_at) SELECT id, {texts}, lpad((n * {EVERY})::text, 6, '0') || '|r0', 'p', now(),"
            f" now() FROM {stream.name}, generate_series(0, {DAYS // EVERY - 1}) n"
        )
        connection.commit()
        connection.autocommit = True
        cursor.execute(f"VACUUM ANALYZE {stream.name}_changes")


def timed(sink: PostgresSink, stream: Stream, package: Package, day: Day) -> tuple[LoadResult, float]:
    began = time.perf_counter()
    result = sink.load(stream, day, PackageClaim(package, "bench"))
    return result, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=15_000)
    keys = parser.parse_args().keys
    with tempfile.TemporaryDirectory(prefix="tickvault-bench-") as folder, postgres.start(Path(folder) / "pg"):
        settings = Settings.load(
            _env_file=None, postgres_host=str(Path(folder) / "pg"), postgres_user="postgres", postgres_db="stock_data"
        )
        lake = Lake(FolderStorage(Path(folder) / "lake"))
        for name, old in (("raw_fresh", False), ("raw_aged", True)):
            stream = Stream(name, SCHEMA, ("id",), None, f"bench/{name}")
            days = [Day(keys, DAYS), Day(keys, DAYS + 1), Day(keys, DAYS + 1, 1), Day(keys, DAYS + 3)]
            days += [Day(keys, DAYS + 2), Day(keys, DAYS + 4), Day(keys, DAYS + 4, 1)]
            with PostgresSink(settings, lake) as sink:
                for number, day in enumerate(days):
                    slot = Slot.parse(f"202611{number + 10}T130000Z")
                    result, seconds = timed(sink, stream, lake.land("bench", stream, [], slot, "bench"), day)
                    print(
                        f"{name:<9} day {day.number}.{day.again}: {result.inserted:>6} new {result.updated:>5} changed"
                        f" {result.unchanged:>6} unchanged {result.superseded:>6} late  {seconds * 1000:7.0f} ms",
                        flush=True,
                    )
                    if old and number == 0:
                        fill(settings, stream)
            with closing(psycopg2.connect(settings.postgres_dsn())) as connection, connection.cursor() as cursor:
                cursor.execute(f"SELECT count(*), pg_total_relation_size('{name}_changes') FROM {name}_changes")
                rows, size = cursor.fetchone() or (0, 0)
            print(f"{name:<9} change table: {rows:,} rows, {size / 2**20:,.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
