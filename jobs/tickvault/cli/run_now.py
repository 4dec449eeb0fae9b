"""``tickvault run-now``: start a job of the cluster now."""

import asyncio
import sys

import click

from tickvault.cli.options import load_settings, slot_option
from tickvault.core.errors import ConfigError
from tickvault.core.settings import Settings
from tickvault.core.slot import Schedule, Slot


@click.command()
@click.argument("job")
@slot_option
@click.option("--force", is_flag=True, help="Do it again although it is done: extract and dbt jobs only.")
def command(job: str, slot: Slot | None, *, force: bool) -> None:
    """Start JOB, such as extract-binance, as a Kubernetes Job made from its CronJob; show its log and its end.

    The cluster is the one this runs in, else the kubeconfig's current one; the namespace is TICKVAULT_NAMESPACE. A Job
    for the same slot that is under way is joined, not doubled.

    \b
    Examples:
      tickvault run-now extract-binance
      tickvault run-now extract-binance --slot 20261120T130000Z --force
      tickvault run-now load-snowflake
    """
    from tickvault.runners.kubernetes import KubernetesRunner
    from tickvault.runners.step import Step

    settings = load_settings()
    schedule, arguments = asyncio.run(_cron_job(settings, job))
    if force and arguments[:1] not in (("extract",), ("dbt",)):
        raise ConfigError(f"{job} knows no --force: it takes what is pending, and nothing twice")
    slot = (slot or schedule.last(settings.now())).due(settings.now())
    click.echo(f"{job}, slot {slot}", err=True)
    step = Step(job, job, (*arguments, "--force") if force else ())
    end = KubernetesRunner(settings).run(step, slot, {}, click.echo, "run-now")
    click.echo(f"{end.place}: exit code {end.exit_code} after {end.seconds:.1f} s", err=True)
    if end.sentence:
        click.echo(end.sentence, err=True)
    sys.exit(end.exit_code)


async def _cron_job(settings: Settings, job: str) -> tuple[Schedule, tuple[str, ...]]:
    """Return when a CronJob runs and the arguments it gives to ``tickvault``."""
    from tickvault.runners.kubernetes import connected, read_cron_job

    async with connected() as (batch, _):
        found = await read_cron_job(batch, job, settings.tickvault_namespace)
    container = found.spec.job_template.spec.template.spec.containers[0]
    return Schedule(found.spec.schedule, found.spec.time_zone or "UTC"), tuple(container.args or ())
