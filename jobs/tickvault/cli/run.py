"""``tickvault run``: run a whole flow here."""

import json
import shlex
import sys
from typing import Any

import click

from tickvault.cli.options import dry_run_option, load_settings, slot_option
from tickvault.core.program import called
from tickvault.core.slot import Schedule, Slot


@click.command()
@click.argument("flow")
@slot_option
@click.option("--force", is_flag=True, help="Read the sources again although the slot is complete.")
@dry_run_option
@click.option("--verbose", "-v", is_flag=True, help="Show the steps' own log too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def command(flow: str, slot: Slot | None, force: bool, dry_run: bool, verbose: bool, as_json: bool) -> None:
    """Run FLOW for a slot: extract its sources side by side, load every target, ask for a build.

    It is the same Prefect flow a worker runs, on a server of its own that ends with it, or on the one PREFECT_API_URL
    names. One source's failure does not stop the others; the exit code is that of the worst step.

    \b
    Examples:
      tickvault run prices-crypto-pipeline
      tickvault run batch-data-pipeline --slot 20261120T130000Z --json
    """
    from tickvault.cli.progress import Progress
    from tickvault.flows.local import run_flows
    from tickvault.flows.plan import plan, stages
    from tickvault.local.prefect import prefect_server
    from tickvault.runners import open_runner

    settings, chosen = load_settings(), plan(flow)
    slot = (slot or Schedule(chosen.cron, chosen.timezone).last(settings.now())).due(settings.now())
    if dry_run:
        for number, stage in enumerate(stages(chosen, settings, force=force), 1):
            for step in stage:
                click.echo(f"{number}. TICKVAULT_SLOT={slot.id} {called()} {shlex.join(step.argv)}")
        return
    with Progress(verbose=verbose) as progress, prefect_server(settings) as server, open_runner(settings) as runner:
        progress.write(f"{flow}, slot {slot}")
        (result,) = run_flows([flow], slot, runner, settings, progress, server=server, force=force)
    verdict = result.verdict
    if as_json:
        steps: list[dict[str, Any]] = [
            {
                "step": s.name,
                "status": s.status,
                "exit_code": s.end.exit_code,
                "attempts": s.attempts,
                "seconds": round(s.end.seconds, 2),
                "message": s.end.sentence,
                "report": s.end.report,
            }
            for s in result.steps
        ]
        answer = {"flow": flow, "slot": slot.id, "state": verdict.name, "message": verdict.message, "steps": steps}
        click.echo(json.dumps(answer | {"exit_code": verdict.exit_code}, indent=1, default=str))
    else:
        click.echo(f"{verdict.name.lower()}: {verdict.message}")
    sys.exit(verdict.exit_code)
