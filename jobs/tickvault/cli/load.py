"""``tickvault load``: load pending packages into a target."""

import sys

import click

from tickvault.cli.options import dry_run_option, json_option, load_settings, show, show_facts, slot_option
from tickvault.core.slot import Slot


@click.command()
@click.argument("sink")
@click.option("--source", "sources", multiple=True, help="Only packages of this source; may be given again.")
@click.option("--flow", help="Only packages of this flow's sources.")
@click.option("--again", multiple=True, metavar="STREAM", help="Load all of this stream again from the lake.")
@click.option("--accept", multiple=True, metavar="STREAM", help="Take this stream's table as it is now.")
@slot_option
@dry_run_option
@json_option
def command(
    sink: str,
    sources: tuple[str, ...],
    flow: str | None,
    again: tuple[str, ...],
    accept: tuple[str, ...],
    slot: Slot | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Load every pending package into SINK (postgres, snowflake), oldest slot first.

    The same package twice is loaded once: the target's own ledger decides. With nothing pending the target is not even
    asked, so no warehouse wakes up. Another Snowflake account, host or database gets everything that landed; one that
    lost its data under the same name gets it again with the next load that has anything pending.

    A table that has lost rows or columns (dropped, emptied) is named and the load ends with 65: --again loads its
    packages anew from the lake, --accept says that what it lacks is not missed.

    \b
    Examples:
      tickvault load postgres
      tickvault load snowflake --source binance --source coingecko
      tickvault load postgres --flow prices-crypto-pipeline
      tickvault load postgres --again raw_cryptobars
    """
    from tickvault.ledger import Ledger
    from tickvault.runs.entry import run_job
    from tickvault.transfer import catalog
    from tickvault.transfer.loading import Loading

    settings = load_settings()
    kind = catalog.sink(sink)
    chosen: tuple[str, ...] | None = tuple(s.replace("-", "_") for s in sources) or None
    for name in chosen or ():
        catalog.source(name)
    if flow:
        from tickvault.flows.plan import plan

        chosen = (chosen or ()) + plan(flow).sources
    if dry_run:
        with Ledger.open(settings) as ledger:
            pending = ledger.loads.pending(sink, chosen, kind.target(settings))
            rows = [(p.package_id, p.stream, p.slot.id) for p in pending]
        show(rows, ["package", "stream", "slot"], as_json, title=f"pending for {sink}")
        return
    job = Loading(sink, chosen, flow or "-".join(sources), again=again, accept=accept)
    sys.exit(run_job(job, settings, slot, show_facts if as_json else None))
