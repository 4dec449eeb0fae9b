"""``tickvault extract``: read one source into the lake."""

import json
import sys
from typing import TYPE_CHECKING

import click

from tickvault.cli.options import comma_separated, dry_run_option, json_option, load_settings, show_facts, slot_option
from tickvault.core.package import Choice
from tickvault.core.slot import MOST_DAYS, Schedule, Slot, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tickvault.lake import Lake
    from tickvault.sources import Source


@click.command()
@click.argument("source")
@click.option("--symbols", callback=comma_separated, help="Only these, comma separated, such as AAPL,MSFT.")
@click.option(
    "--days",
    type=click.IntRange(1, MOST_DAYS),
    help="History in days, also of symbols known already [default: HISTORY_DAYS, for new ones]",
)
@click.option("--instance", help="Which of the source's configurations in INSTANCES_PATH, such as sales.")
@slot_option
@click.option("--force", is_flag=True, help="Read a slot that is complete again, as a further revision.")
@dry_run_option
@json_option
def command(
    source: str,
    symbols: tuple[str, ...] | None,
    days: int | None,
    instance: str | None,
    slot: Slot | None,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Read SOURCE into the lake and note the package in the ledger.

    A slot that is complete is not read again; a partial one is completed. A choice of your own, by --symbols or --days,
    completes no slot: its scheduled run reads the rest as a further revision. Without --slot such a choice has a slot
    of its own, this very second. With --force packages that cannot be read are superseded by what is read now.

    \b
    Examples:
      tickvault extract binance
      tickvault extract yfinance_stock --symbols AAPL,MSFT --days 7
      tickvault extract coingecko --slot 20261120T130000Z --force
    """
    from tickvault.engines.storage import open_storage
    from tickvault.lake import Lake
    from tickvault.runs.entry import run_job
    from tickvault.transfer import catalog
    from tickvault.transfer.extraction import Extraction

    source = source.replace("-", "_")
    settings = load_settings()
    job = Extraction(source, symbols, days, force, instance)
    now = settings.now()
    if slot is None and (symbols or days is not None):
        slot = Slot.of(now)
    if dry_run:
        schedule = Schedule(settings.tickvault_schedule, settings.tickvault_timezone)
        shown = slot or resolve(settings.tickvault_slot, settings.tickvault_job_name, schedule, now, None)
        opened = job.open(settings, shown)
        chosen = Choice.of(symbols, days)
        sentences = list(_intentions(opened, Lake(open_storage(settings)), shown, chosen, force=force))
        click.echo(json.dumps(sentences, indent=1) if as_json else "\n".join(sentences))
        return
    catalog.source(source)  # a name that is none should not wait for the ledger
    sys.exit(run_job(job, settings, slot, show_facts if as_json else None))


def _intentions(source: "Source", lake: "Lake", slot: Slot, choice: Choice | None, *, force: bool) -> "Iterator[str]":
    """Say for each stream what a run would read, given what is sealed of the slot."""
    from tickvault.core import revisions

    for stream in source.discover():
        sealed = lake.slot(stream, slot)
        packages = sealed.packages
        if sealed.open_damage and not force:
            yield from map(str, sealed.open_damage.values())
            continue
        missing = revisions.missing(packages)
        covered = revisions.covers(packages, choice) and not force
        if covered and not missing:
            yield f"would read nothing of {stream.name}: slot {slot} is complete, {packages[-1].id}; see --force"
            continue
        what = f" only {', '.join(missing)}" if missing and covered else ""
        where = f"{stream.lake_path}/dt={slot.date}/{slot.id}/r{sealed.next_revision}/"
        yield f"would read {stream.name} from {source.identity}{what} for slot {slot} into {where}"
