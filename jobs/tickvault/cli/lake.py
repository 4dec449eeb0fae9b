"""``tickvault lake``: list, export and clean the lake."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from tickvault.cli.options import dry_run_option, json_option, load_settings, show
from tickvault.core.errors import ConfigError
from tickvault.core.package import Package
from tickvault.core.stream import Stream
from tickvault.engines.storage import open_storage
from tickvault.lake import Lake
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
@json_option
def ls(source: str | None, stream: str | None, as_json: bool) -> None:
    """List sealed packages, by source and slot."""
    lake = Lake(open_storage(load_settings()))
    rows = [
        (p.id, p.rows, p.rejected, len(p.failed), sum(part.bytes for part in p.parts), p.manifest_key)
        for _, p in _packages(lake, source, stream)
    ]
    show(rows, ["package", "rows", "rejected", "failed", "bytes", "manifest"], as_json, title="packages")


@command.command("export")
@click.argument("source")
@click.option(
    "--csv", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to write to."
)
@click.option("--stream", help="Only this stream.")
@click.option("--slot", "slot_id", help="Only this slot, such as 20261120T130000Z [default: the latest]")
@dry_run_option
def export(source: str, folder: Path, stream: str | None, slot_id: str | None, dry_run: bool) -> None:
    """Write packages as CSV files under the reference's names, such as crypto_binance_20261120_130000.csv."""
    from pyarrow import csv

    lake = Lake(open_storage(load_settings()))
    found = list(_packages(lake, source, stream))
    chosen = slot_id or max((p.slot.id for _, p in found), default="")
    found = [(s, p) for s, p in found if p.slot.id == chosen]
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
        with csv.CSVWriter(path, kind.landed_schema) as writer:
            for batch in lake.scan(package):
                writer.write_batch(batch)
                rows += batch.num_rows
        click.echo(f"{path}: {rows:,} rows of {package.id}")


@command.command("gc")
@click.option("--older-than", default=7, show_default=True, help="Keep unsealed attempts of the last so many days.")
@dry_run_option
def gc(older_than: int, dry_run: bool) -> None:
    """Remove parts that no manifest names, and tell the ledger of sealed packages it does not know.

    Parts of a slot that was never sealed are kept for some days: their run may still be under way.
    """
    from tickvault.ledger import Ledger

    settings = load_settings()
    lake, before = Lake(open_storage(settings)), datetime.now(UTC) - timedelta(days=older_than)
    with Ledger.open(settings) as ledger:
        found = {package.id: (stream, package) for stream, package in _packages(lake, None, None)}
        for package_id in sorted(ledger.packages.unknown(list(found))):
            stream, package = found[package_id]
            click.echo(f"{'would register' if dry_run else 'registered'} {package.id}, {package.rows:,} rows")
            if not dry_run:
                ledger.packages.register(stream, package, lake.rejects(package))
    orphans = [key for stream in _streams(None, None) for key in lake.orphans(stream, before)]
    for key in orphans:
        click.echo(f"{'would remove' if dry_run else 'removed'} {key}")
        if not dry_run:
            lake.storage.delete(key)
    click.echo(f"{len(orphans)} orphan(s)")


def _streams(source: str | None, stream: str | None) -> list[Stream]:
    names = [source.replace("-", "_")] if source else catalog.source_names()
    found = {s.lake_path: s for n in names for s in catalog.source(n).streams if stream in (None, s.name)}
    if not found:
        raise ConfigError(f"no stream '{stream}'; see 'tickvault lake ls'")
    return list(found.values())


def _packages(lake: Lake, source: str | None, stream: str | None) -> Iterator[tuple[Stream, Package]]:
    for kind in _streams(source, stream):
        for package in lake.packages(kind):
            yield kind, package


def _csv_name(stream: Stream, package: Package) -> str:
    crypto = f"crypto_{package.source.removesuffix('_crypto')}" + ("_bars" if stream.name == "raw_cryptobars" else "")
    name = _CSV_NAMES.get(stream.name, crypto)
    revision = f"_r{package.revision}" if package.revision else ""
    return f"{name}_{package.slot.time:%Y%m%d_%H%M%S}{revision}.csv"
