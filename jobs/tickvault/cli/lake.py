"""``tickvault lake``: list, export, clean and repair the lake."""

import heapq
import sys
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import click

from tickvault.cli.options import SlotParam, dry_run_option, json_option, load_settings, show
from tickvault.core.errors import ConfigError, ExitCode, worst
from tickvault.core.package import DamagedPackageError, Package
from tickvault.core.slot import Slot
from tickvault.core.stream import Stream
from tickvault.engines.storage import open_storage
from tickvault.lake import Lake
from tickvault.lake.folder import PackageFolder
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
    """List, export, clean and repair the lake."""


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
    found = [_opened(lake, folder) for folder in islice(latest, limit)]
    rows = [
        (p.id, p.rows, p.rejected, len(p.failed), sum(part.bytes for part in p.parts), p.manifest_key)
        for p in found
        if p
    ]
    show(rows, ["package", "rows", "rejected", "failed", "bytes", "manifest"], as_json, title="packages")


def _opened(lake: Lake, folder: PackageFolder) -> Package | None:
    """Open a package; of one that cannot be read say so beside the list."""
    try:
        return lake.open(folder.manifest_key)
    except DamagedPackageError as error:
        click.echo(str(error), err=True)
        return None


@command.command("export")
@click.argument("source")
@click.option(
    "--csv", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to write to."
)
@click.option("--stream", help="Only this stream.")
@click.option("--slot", type=SlotParam(), help="Only this slot, such as 20261120T130000Z [default: the latest]")
@dry_run_option
def export(source: str, folder: Path, stream: str | None, slot: Slot | None, dry_run: bool) -> None:
    """Write packages as CSV files under the reference's names, such as crypto_binance_20261120_130000.csv."""
    from pyarrow import csv

    lake = Lake(open_storage(load_settings()))
    kinds = _streams(source, stream)
    latest = [folder.slot for kind in kinds for folder in islice(lake.newest(kind), 1)]
    chosen = slot or max(latest, default=None)
    sealed = [(kind, lake.slot(kind, chosen)) for kind in kinds] if chosen else []
    found = [(kind, package) for kind, slot_packages in sealed for package in slot_packages.packages]
    for error in (error for _, slot_packages in sealed for error in slot_packages.open_damage.values()):
        click.echo(str(error), err=True)
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
    for sentence in cleaning.damaged:
        click.echo(sentence, err=True)
    if cleaning.damaged:
        sys.exit(ExitCode.REJECTED)


@command.command("repair")
@click.argument("source", required=False)
@click.option("--slot", type=SlotParam(), help="Only this slot, such as 20261120T130000Z [default: the last --days]")
@click.option("--days", default=LOOK_BACK_DAYS, show_default=True, help="Look at slots of the last so many days.")
@click.option("--all", "everything", is_flag=True, help="Look at everything there is: every byte of the lake is read.")
@click.option("--anyway", is_flag=True, help="Supersede the packages of --slot also where they can be read.")
@click.option("--give-up", is_flag=True, help="Supersede by nothing: what is lost stays lost.")
@dry_run_option
def repair(
    source: str | None,
    slot: Slot | None,
    days: int,
    everything: bool,
    anyway: bool,
    give_up: bool,
    dry_run: bool,
) -> None:
    """Read packages of SOURCE (else of all) again that are damaged: cut off, altered, lost, or not what they claim.

    Every byte is compared with its manifest. What cannot be read is superseded by a further revision, read now as
    extract --force does; loads wait for it no more, and it stays in the lake as evidence. A package that a target
    refuses for good is whole: name its source and slot, and say --anyway. A slot that nobody can read any more needs
    --give-up.

    \b
    Examples:
      tickvault lake repair --dry-run
      tickvault lake repair --slot 20261120T130000Z
      tickvault lake repair binance --slot 20261120T130000Z --anyway
    """
    from tickvault.ledger import Ledger
    from tickvault.operations.damage import Inspection
    from tickvault.runs.entry import run_job
    from tickvault.transfer.repair import Repair

    if anyway and not (source and slot):
        raise ConfigError("--anyway supersedes what can be read: name a SOURCE and a --slot")
    settings = load_settings()
    name = source.replace("-", "_") if source else None
    since = None if everything else settings.now() - timedelta(days=days)
    with Ledger.open(settings) as ledger:
        inspection = Inspection(Lake(open_storage(settings)), ledger, name, slot, since)
        damage = inspection.findings()
    for finding in damage:
        click.echo(finding.what, err=True)
    places = dict.fromkeys((f.identity, f.slot) for f in damage)
    if anyway and name and slot:
        places[name, slot] = None
    click.echo(f"{inspection.looked_at:,} package(s) looked at, {len(damage)} damaged")
    if dry_run:
        return
    codes = []
    for identity, place in places:
        kind, _, instance = identity.partition("-")
        job = Repair(kind, instance or None, anyway, give_up)
        codes.append(run_job(job, settings, place))
    sys.exit(worst(codes))


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
