"""What the demo ends with: what landed where, and the proof that nothing doubled."""

import hashlib
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

from tickvault.core.settings import Settings
from tickvault.core.stream import Area
from tickvault.engines.snowflake.session import Connection
from tickvault.ledger import Ledger
from tickvault.market import streams

_LOADED = """
    WITH landed AS (
        SELECT source, sum(rows + rejected) AS read, sum(rejected) AS rejected
        FROM data_platform.packages GROUP BY source
    ), loaded AS (
        SELECT source, sink, sum(rows_inserted + rows_updated) AS loaded,
            sum(rows_unchanged + rows_superseded + rows_duplicate) AS unchanged
        FROM data_platform.loads GROUP BY source, sink
    )
    SELECT source, read, rejected, coalesce(p.loaded, 0), coalesce(p.unchanged, 0), coalesce(s.loaded, 0),
        coalesce(s.unchanged, 0)
    FROM landed
    LEFT JOIN (SELECT * FROM loaded WHERE sink = 'postgres') p USING (source)
    LEFT JOIN (SELECT * FROM loaded WHERE sink = 'snowflake') s USING (source)
    ORDER BY source"""

_BUILT = """
    SELECT CASE WHEN node ~ '^(hub|link|sat)_' THEN substring(node FROM '^[a-z]+') || '_*' ELSE node END,
        count(*), sum(rows), sum(seconds)
    FROM data_platform.models
    WHERE kind = 'model' AND rows IS NOT NULL AND build_id = (
        SELECT build_id FROM data_platform.builds WHERE status = 'green' AND selection = ''
        ORDER BY started_at DESC LIMIT 1)
    GROUP BY 1
    ORDER BY min(CASE WHEN node ~ '^(hub|link|sat)_' THEN 0 WHEN node LIKE 'semantic_%' THEN 2 ELSE 1 END), 1"""


@dataclass(frozen=True, slots=True)
class Tally:
    """One source's rows: read, put aside, and per target loaded (new or changed) and unchanged."""

    source: str
    read: int
    rejected: int
    postgres_loaded: int
    postgres_unchanged: int
    snowflake_loaded: int
    snowflake_unchanged: int


@dataclass(frozen=True, slots=True)
class Built:
    """A mart or semantic model, or all tables of one kind in the vault: tables, rows, seconds of the last build."""

    name: str
    tables: int
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What both targets hold: rows, and one hash over the content of PostgreSQL's raw tables."""

    tables: int
    postgres_rows: int
    snowflake_rows: int
    checksum: str


def tallies(settings: Settings) -> list[Tally]:
    """Add up packages and loads by source."""
    with Ledger.open(settings) as ledger:
        return [Tally(source, *map(int, counts)) for source, *counts in ledger.query(_LOADED)]


def built(settings: Settings) -> list[Built]:
    """Return what the last green build left: the vault's kinds, then each mart and semantic model."""
    with Ledger.open(settings) as ledger:
        return [Built(name, int(n), int(rows), float(s)) for name, n, rows, s in ledger.query(_BUILT)]


def fingerprint(settings: Settings) -> Fingerprint:
    """Count and hash the raw tables, row order aside; ``load_timestamp`` and lineage count too: nothing may move."""
    names = sorted({s.name for s in streams.ALL})
    digest, total = hashlib.sha256(), 0
    with Ledger.open(settings) as ledger:
        for name in names:
            if ledger.query("SELECT to_regclass(%s)", f"public.{name}")[0][0] is None:
                continue
            sql = f"SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM public.{name} t"
            rows, sum_of_hashes = ledger.query(sql)[0]
            total += rows
            digest.update(f"{name} {rows} {sum_of_hashes}\n".encode())
    return Fingerprint(len(names), total, _snowflake_rows(settings), digest.hexdigest()[:16])


def _snowflake_rows(settings: Settings) -> int:
    schema = {Area.BATCH: settings.snowflake_schema, Area.PRICES: settings.snowflake_schema_staging}
    tables: Iterable[str] = {f"{settings.snowflake_database}.{schema[s.area]}.{s.warehouse_table}" for s in streams.ALL}
    with closing(Connection(settings)) as connection:
        return sum(int(str(connection.run(f"SELECT COUNT(*) FROM {table}")[0][0])) for table in tables)
