"""``tickvault lake``: list, export and clean the lake."""

import heapq
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import click

from tickvault.cli.options import SlotParam, dry_run_option, json_option, load_settings, show
from tickvault.core.errors import ConfigError
from tickvault.core.package import Package
from tickvault.core.sheet import Sheet
from tickvault.core.slot import Slot
from tickvault.core.stream import Stream
from tickvault.engines.storage import open_storage
from tickvault.lake import Lake
from tickvault.operations.orphans import LOOK_BACK_DAYS, Cleaning, Scope
from tickvault.transfer import catalog

_CSV_NAMES = {
    "raw_transactions_personal": "transactions_personal",
    "raw_transactions_corporate": "transactions_corporate",
    "raw_customers": "customers",
    "raw_corporates": "corporates",
    "raw_news": "news_raw",
    "raw_stock_prices_yfinance": "stock_yfinance",
}
"""The reference's file names where they are not ``crypto_<source>``."""


@click.group()
def command() -> None:
    """List, export and clean the lake."""


@command.command("ls")
@click.argument("source", required=False)
@click.option("--stream", help="Only this stream, such as raw_cryptobars.")
@click.option("--since", type=SlotParam(), help="Only this slot and later ones, such as 2026-11-20.")
@click.option("--limit", default=20, show_default=True, help="Packages to show.")
@json_option
def ls(source: str | None, stream: str | None, since: Slot | None, limit: int, as_json: bool) -> None:
    """List sealed packages, the latest slot first; what is not shown is not read."""
    lake = Lake(open_storage(load_settings()))
    listed = [lake.newest(kind, since.time if since else None) for kind in _streams(source, stream)]
    latest = heapq.merge(*listed, key=lambda folder: (folder.slot, folder.key), reverse=True)
    found = (lake.open(folder.manifest_key) for folder in islice(latest, limit))
    rows = [
        (p.id, p.rows, p.rejected, len(p.failed), sum(part.bytes for part in p.parts), p.manifest_key)
        for p in found
        if p
    ]
    show(rows, ["package", "rows", "rejected", "failed", "bytes", "manifest"], as_json, title="packages")


@command.command("export")
@click.argument("source")
@click.option(
    "--csv", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to write to."
)
@click.option("--stream", help="Only this stream.")
@click.option("--slot", type=SlotParam(), help="Only this slot, such as 20261120T130000Z [default: the latest]")
@dry_run_option
def export(source: str, folder: Path, stream: str | None, slot: Slot | None, dry_run: bool) -> None:
    """Write packages as CSV files under the reference's names, such as crypto_binance_20261120_130000.csv.

    A text that begins with =, +, -, @ or a tab gets an apostrophe before it, so that no spreadsheet runs it.
    """
    lake = Lake(open_storage(load_settings()))
    kinds = _streams(source, stream)
    latest = [folder.slot for kind in kinds for folder in islice(lake.newest(kind), 1)]
    chosen = slot or max(latest, default=None)
    found = [(kind, package) for kind in kinds for package in (lake.revisions(kind, chosen) if chosen else [])]
    if not found:
        raise ConfigError(f"no package of {source} for slot {chosen or '(any)'}; see 'tickvault lake ls {source}'")
    if dry_run:
        for kind, package in found:
            click.echo(f"would write {folder / _csv_name(kind, package)}: {package.rows:,} rows of {package.id}")
        return
    folder.mkdir(parents=True, exist_ok=True)
    for kind, package in found:
        path = folder / _csv_name(kind, package)
        rows = 0
        with Sheet(path, kind.landed_schema) as writer:
            for batch in lake.scan(package):
                writer.write_batch(batch)
                rows += batch.num_rows
        click.echo(f"{path}: {rows:,} rows of {package.id}")


@command.command("gc")
@click.option("--older-than", default=7, show_default=True, help="Keep unsealed attempts of the last so many days.")
@click.option("--days", default=LOOK_BACK_DAYS, show_default=True, help="Look at slots of the last so many days.")
@click.option("--all", "everything", is_flag=True, help="Look at everything there is: long, where the lake is old.")
@dry_run_option
def gc(older_than: int, days: int, everything: bool, dry_run: bool) -> None:
    """Remove parts that no manifest names, and tell the ledger of sealed packages it does not know.

    Parts of a slot that was never sealed are kept for some days: their run may still be under way. Older slots than
    --days are looked at where the ledger knows an attempt of these days that may not have come to its end. The job
    retention does the same every day; after the ledger was lost or set back, use --all.
    """
    from tickvault.ledger import Ledger

    settings = load_settings()
    before = datetime.now(UTC) - timedelta(days=older_than)
    orphans = 0
    with Ledger.open(settings) as ledger:
        scope = Scope(before, None if everything else settings.now() - timedelta(days=days))
        cleaning = Cleaning(Lake(open_storage(settings)), ledger, scope)
        for found in cleaning.findings():
            if isinstance(found, str):
                orphans += 1 if dry_run else cleaning.settle([found])
                click.echo(f"{'would remove' if dry_run else 'removed'} {found}")
            elif dry_run or cleaning.register(found):
                click.echo(f"{'would register' if dry_run else 'registered'} {found.id}, {found.rows:,} rows")
    click.echo(f"{orphans} orphan(s)")


def _streams(source: str | None, stream: str | None) -> list[Stream]:
    names = [source.replace("-", "_")] if source else catalog.source_names()
    found = {s.lake_path: s for n in names for s in catalog.source(n).streams if stream in (None, s.name)}
    if not found:
        raise ConfigError(f"no stream '{stream}'; see 'tickvault lake ls'")
    return list(found.values())


def _csv_name(stream: Stream, package: Package) -> str:
    crypto = f"crypto_{package.source.removesuffix('_crypto')}" + ("_bars" if stream.name == "raw_cryptobars" else "")
    name = _CSV_NAMES.get(stream.name, crypto)
    revision = f"_r{package.revision}" if package.revision else ""
    return f"{name}_{package.slot.time:%Y%m%d_%H%M%S}{revision}.csv"
