"""``tickvault backfill``: run a source or a flow for a range of slots."""

import shlex
import sys

import click

from tickvault.cli.options import SlotParam, dry_run_option, load_settings
from tickvault.core.program import called
from tickvault.core.slot import Schedule, Slot


@click.command()
@click.argument("name")
@click.option("--from", "first", type=SlotParam(), required=True, help="First slot, or a date such as 2026-11-01.")
@click.option("--to", "last", type=SlotParam(), help="Last slot, or a date, included [default: the last slot due]")
@click.option("--force", is_flag=True, help="Read slots again that are complete.")
@click.option("--verbose", "-v", is_flag=True, help="Show the steps' own log too.")
@dry_run_option
def command(name: str, first: Slot, last: Slot | None, force: bool, verbose: bool, dry_run: bool) -> None:
    """Run NAME, a source or a flow, for every slot of its schedule in a range, oldest first.

    Its packages are loaded into every target at the end. A slot that is complete is not read again, so a backfill that
    was interrupted is simply started again. The exit code is that of the worst step.

    \b
    Examples:
      tickvault backfill binance --from 2026-11-01 --to 2026-11-20
      tickvault backfill batch-data-pipeline --from 2026-11-01 --dry-run
    """
    from tickvault.cli.progress import Progress
    from tickvault.core.errors import worst
    from tickvault.flows import backfill
    from tickvault.runners import open_runner

    if last and last < first:
        raise click.UsageError(f"--to {last} lies before --from {first}: turn them round")
    settings = load_settings()
    now = settings.now()
    first.due(now)
    plan = backfill.plan_of(name.replace("_", "-") if name.endswith("pipeline") else name)
    slots = backfill.slots(Schedule(plan.cron, plan.timezone), first, last, now)
    work = backfill.steps(plan, slots, settings, force=force)
    if dry_run or not work:
        for slot, step in work:
            click.echo(f"TICKVAULT_SLOT={slot.id} {called()} {shlex.join(step.argv)}")
        click.echo(f"{len(slots)} slot(s), {len(work)} step(s)")
        return
    with Progress(verbose=verbose) as progress, open_runner(settings) as runner:
        results = backfill.run(work, runner, plan.name, progress)
    bad = [r for r in results if r.status not in ("complete", "off")]
    click.echo(f"{len(slots)} slot(s), {len(results)} step(s), {len(bad)} not complete")
    sys.exit(worst(r.end.exit_code for r in results))
