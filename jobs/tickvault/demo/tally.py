"""What the demo ends with: what landed where, and the proof that nothing doubled."""

import hashlib
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.core.stream import Area
from tickvault.engines.postgres.connection import Connection
from tickvault.engines.snowflake.session import Connection as Snowflake
from tickvault.ledger import Ledger
from tickvault.market import streams


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
        return [Tally(source, *map(int, counts)) for source, *counts in ledger.loads.by_source()]


def landed(settings: Settings, slot: Slot) -> list[str]:
    """Return the sources whose packages of a slot have landed already."""
    with Ledger.open(settings) as ledger:
        return ledger.packages.sources(slot)


def built(settings: Settings) -> list[Built]:
    """Return what the last green build left: the vault's kinds, then each mart and semantic model."""
    with Ledger.open(settings) as ledger:
        return [Built(name, int(n), int(rows), float(s)) for name, n, rows, s in ledger.builds.last_green()]


def fingerprint(settings: Settings) -> Fingerprint:
    """Count and hash the raw tables, row order aside; ``load_timestamp`` and lineage count too: nothing may move."""
    names = sorted({s.name for s in streams.ALL})
    digest, total = hashlib.sha256(), 0
    with Connection.open(settings) as connection:
        for name in names:
            if connection.one("SELECT to_regclass(%s)", f"public.{name}")[0] is None:
                continue
            rows, sum_of_hashes = connection.one(
                f"SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM public.{name} t"
            )
            total += rows
            digest.update(f"{name} {rows} {sum_of_hashes}\n".encode())
    return Fingerprint(len(names), total, _snowflake_rows(settings), digest.hexdigest()[:16])


def _snowflake_rows(settings: Settings) -> int:
    schema = {Area.BATCH: settings.snowflake_schema, Area.PRICES: settings.snowflake_schema_staging}
    tables: Iterable[str] = {f"{settings.snowflake_database}.{schema[s.area]}.{s.warehouse_table}" for s in streams.ALL}
    with closing(Snowflake(settings)) as connection:
        return sum(int(str(connection.run(f"SELECT COUNT(*) FROM {table}")[0][0])) for table in tables)
