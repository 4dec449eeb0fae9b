"""``tickvault run-now``: start a job of the cluster now."""

import asyncio
import sys
from datetime import UTC, datetime

import click

from tickvault.cli.options import load_settings, slot_option
from tickvault.settings import Settings
from tickvault.slot import Schedule, Slot


@click.command()
@click.argument("job")
@slot_option
def command(job: str, slot: Slot | None) -> None:
    r"""Start JOB, such as extract-binance, as a Kubernetes Job made from its CronJob; show its log and its end.

    A Job for the same slot that is under way is joined, not doubled. With TICKVAULT_RUNNER=process it says instead
    how to run the same thing here.

    \b
    Examples:
      tickvault run-now extract-binance
      tickvault run-now load-snowflake --slot 20261120T130000Z
    """
    from tickvault.flows.plan import Step

    settings = load_settings()
    if settings.tickvault_runner == "process":
        verb, _, what = job.partition("-")
        what = what.replace("-", "_") if verb == "extract" else what
        click.echo(f"TICKVAULT_RUNNER is 'process', so there is no cluster to start {job} in; here it is:")
        click.echo(f"  tickvault {verb} {what}" + (f" --slot {slot}" if slot else ""))
        return
    from tickvault.runners.kubernetes import KubernetesRunner

    slot = slot or asyncio.run(_last_slot(settings, job))
    click.echo(f"{job}, slot {slot}", err=True)
    outcome = KubernetesRunner(settings).run(Step(job, job, ()), slot, {}, click.echo, "run-now")
    click.echo(f"{outcome.place}: exit code {outcome.exit_code} after {outcome.seconds:.1f} s", err=True)
    if outcome.sentence:
        click.echo(outcome.sentence, err=True)
    sys.exit(outcome.exit_code)


async def _last_slot(settings: Settings, job: str) -> Slot:
    """Return the last scheduled time of the CronJob itself; one that is not there is reported by the runner."""
    from kubernetes_asyncio.client import ApiException

    from tickvault.runners.kubernetes import connected, mapped

    schedule = Schedule(settings.tickvault_schedule, settings.tickvault_timezone)
    async with connected() as (batch, _):
        try:
            found = await batch.read_namespaced_cron_job(job, settings.tickvault_namespace)
            schedule = Schedule(found.spec.schedule, found.spec.time_zone or "UTC")
        except ApiException as error:
            if error.status != 404:  # noqa: PLR2004 - HTTP's own number
                raise mapped(error, f"read CronJob {job}") from error
    return schedule.last(settings.tickvault_clock or datetime.now(UTC))
