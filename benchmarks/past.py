"""A ledger and a lake of three years, for ``age.py``: made by SQL and files, as the platform would have left them."""

import json
import time
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq

from tickvault.core.package import Package, fingerprint
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.core.stream import INSTANT, Stream, required
from tickvault.engines.postgres.connection import Connection
from tickvault.engines.scratch import scratch
from tickvault.engines.snowflake import tables
from tickvault.engines.snowflake.session import Connection as Snowflake
from tickvault.engines.storage import FolderStorage
from tickvault.ledger import Ledger
from tickvault.sinks.snowflake import SnowflakeSink

NOW = datetime(2026, 11, 20, tzinfo=UTC)
SYMBOLS = [f"SYM{n:02d}" for n in range(50)]
SCHEMA = pa.schema([required("symbol", pa.string()), required("observed_at", INSTANT), pa.field("value", pa.int64())])


def stream(name: str) -> Stream:
    """Return a stream of the benchmark's source."""
    return Stream(f"raw_{name}", SCHEMA, ("symbol", "observed_at"), "observed_at", f"bench/{name}")


DAILY = tuple(stream(f"daily_{n}") for n in range(10))
OFTEN = stream("five_minute")


def package(stream_: Stream, slot: Slot) -> Package:
    """Return the package of a slot, as its manifest says."""
    folder = f"{stream_.lake_path}/dt={slot.date}/{slot.id}/r0"
    cursor = dict.fromkeys(SYMBOLS, slot.time.isoformat())
    return Package(
        "bench", stream_.name, slot, 0, f"{folder}/manifest.json", 0, (), fingerprint(stream_.landed_schema), cursor,
        (), None, 0, uuid.uuid4().hex, slot.time, declares=stream_,
    )  # fmt: skip


def age(settings: Settings, daily: int, often: int) -> None:
    """Give a platform its history."""
    Ledger.open(settings).close()
    storage = FolderStorage(settings.lake_path / settings.minio_bucket)
    histories = [(s, daily, timedelta(days=1)) for s in DAILY] + [(OFTEN, often, timedelta(minutes=5))]
    with Connection.open(settings) as connection:
        for stream_, slots, step in histories:
            began = time.monotonic()
            cursor = json.dumps(dict.fromkeys(SYMBOLS, "x"))
            # In pieces, the oldest first: one transaction for all would keep every version of the kept cursor's row.
            for last in range(slots, 0, -100):
                history = (stream_.name, stream_.lake_path, NOW, step)
                connection.run(_PACKAGES, cursor, *history, max(1, last - 99), last)
            for n in range(1, slots + 1):
                one = package(stream_, Slot.of(NOW - n * step))
                path = storage.root / one.manifest_key
                path.parent.mkdir(parents=True)
                path.write_bytes(one.to_json())
            print(f"  {stream_.name}: {slots:,} slots in {time.monotonic() - began:.0f} s", flush=True)
        connection.run(_RUNS)
        connection.run(_LOADS, SnowflakeSink.target(settings))
        for sql in (_BUILDS, _MODELS, "VACUUM ANALYZE"):  # the server's own would come minutes later
            connection.run(sql)
        # A hundred packages in one transaction left a hundred versions of this row; one after the other they leave two.
        connection.run("VACUUM FULL data_platform.cursors")
        loads = connection.rows(
            "SELECT package_id, source, stream, run_id FROM data_platform.loads WHERE sink = 'snowflake'"
        )
        counts = {
            t: connection.one(f"SELECT count(*) FROM data_platform.{t}")[0] for t in ("runs", "packages", "loads")
        }
    fill_snowflake(settings, loads)
    print("  " + ", ".join(f"{n:,} {name}" for name, n in counts.items()), flush=True)


def fill_snowflake(settings: Settings, loads: list[tuple[str, ...]]) -> None:
    """Note the same loads in the target's own ledger."""
    names = tables.Names.of(settings)
    columns = list(zip(*loads, strict=True))
    slots = [package_id.split(".")[2] for package_id in columns[0]]
    counts = {name: [0] * len(loads) for name in tables.COUNTS.values()}
    texts = dict(zip(("PACKAGE_ID", "SOURCE", "STREAM", "RUN_ID"), columns, strict=True))
    table = pa.table(
        {**texts, "SLOT": slots, "ATTEMPT": columns[3], **counts, "LOADED_AT": [NOW.replace(tzinfo=None)] * len(loads)}
    )
    with closing(Snowflake(settings)) as session, scratch() as folder:
        for sql in tables.foundation(names):
            session.run(sql)
        pq.write_table(table, folder / "loads.parquet")
        session.run(f"PUT 'file://{folder}/loads.parquet' @{names.stage}/age/ AUTO_COMPRESS = FALSE")
        session.run(tables.copy(names.loads, f"{names.stage}/age/"))
        assert session.run(f"SELECT COUNT(*) FROM {names.loads}")[0][0] == len(loads)


_PACKAGES = """
    WITH given AS (SELECT %s::jsonb AS cursor, %s::text AS stream, %s::text AS path, %s::timestamptz AS now,
        %s::interval AS step, %s::integer AS first, %s::integer AS last),
    history AS (SELECT given.*, now - n * step AS slot FROM given, generate_series(first, last) n)
    INSERT INTO data_platform.packages (package_id, source, stream, slot, revision, rows, rejected, manifest_key,
        cursor, watermark_column, watermark_value, outcomes, run_id, landed_at, registered_at)
    SELECT concat_ws('.', 'bench', stream, to_char(slot AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISS"Z"'), 'r0'), 'bench',
        stream, slot, 0, 0, 0, format('%%s/dt=%%s/%%s/r0/manifest.json', path,
            to_char(slot AT TIME ZONE 'UTC', 'YYYY-MM-DD'), to_char(slot AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISS"Z"')),
        cursor, 'observed_at', slot::text, '[]', 'run', slot, slot
    FROM history ORDER BY history.slot"""
_RUNS = """
    INSERT INTO data_platform.runs (run_id, job, slot, status, started_at, finished_at, exit_code)
    SELECT md5(random()::text || slot || job), job, slot, 'complete', slot, slot, 0
    FROM (SELECT DISTINCT slot FROM data_platform.packages
        WHERE slot > '2026-11-20'::timestamptz - interval '400 days') s
    CROSS JOIN unnest(ARRAY['extract-old', 'load-postgres-old', 'load-snowflake-old']) job"""
_LOADS = """
    INSERT INTO data_platform.loads (package_id, sink, source, stream, slot, run_id, loaded_at, target)
    SELECT package_id, sink, source, stream, slot, 'run', slot, CASE sink WHEN 'snowflake' THEN %s END
    FROM data_platform.packages CROSS JOIN unnest(ARRAY['postgres', 'snowflake']) sink"""
_BUILDS = """
    INSERT INTO data_platform.builds (build_id, run_id, target, slot, selection, inputs, status, started_at,
        finished_at)
    SELECT md5(random()::text || slot || target), 'run', target, slot, '', 'old', 'green', slot, slot
    FROM (SELECT DISTINCT slot FROM data_platform.packages WHERE stream = 'raw_daily_0') s
    CROSS JOIN unnest(ARRAY['dev-snowflake', 'dev-trino']) target"""
_MODELS = """
    INSERT INTO data_platform.models (build_id, run_id, target, node, kind, status, seconds)
    SELECT build_id, 'run', target, 'node_' || n, 'model', 'success', 1
    FROM data_platform.builds, generate_series(1, 160) n
    WHERE slot > '2026-11-20'::timestamptz - interval '90 days'"""
