"""``tickvault extract``: read one source into the lake."""

import sys
from datetime import UTC, datetime

import click

from tickvault.cli.options import comma_separated, dry_run_option, load_settings, slot_option
from tickvault.slot import Schedule, Slot


@click.command()
@click.argument("source")
@click.option("--symbols", callback=comma_separated, help="Only these, comma separated, such as AAPL,MSFT.")
@click.option("--days", type=click.IntRange(1), help="History for what is new, in days [default: HISTORY_DAYS]")
@slot_option
@click.option("--force", is_flag=True, help="Read a slot that is complete again, as a further revision.")
@dry_run_option
def command(
    source: str, symbols: tuple[str, ...] | None, days: int | None, slot: Slot | None, force: bool, dry_run: bool
) -> None:
    r"""Read SOURCE into the lake and note the package in the ledger.

    A slot that is complete is not read again; a partial one is completed. With --symbols or --days and no --slot the
    slot is this very second, so that a choice of your own never stands in for a scheduled run.

    \b
    Examples:
      tickvault extract binance
      tickvault extract yfinance_stock --symbols AAPL,MSFT --days 7
      tickvault extract coingecko --slot 20261120T130000Z --force
    """
    from tickvault import catalog
    from tickvault.extraction import Extraction
    from tickvault.run import run_job

    source = source.replace("-", "_")
    settings = load_settings()
    kind = catalog.source(source)
    now = settings.tickvault_clock or datetime.now(UTC)
    if slot is None and (symbols or days):
        slot = Slot.of(now)
    if dry_run:
        shown = slot or Schedule(settings.tickvault_schedule, settings.tickvault_timezone).last(now)
        for stream in kind.streams:
            where = f"{stream.lake_path}/dt={shown.date}/{shown.id}/"
            click.echo(f"would read {stream.name} from {source} for slot {shown} into {where}")
        return
    sys.exit(run_job(Extraction(source, symbols, days, force), settings, slot))
