"""``tickvault cluster``: run any command where the cluster's engines and secrets are."""

import shutil
import sys
from datetime import UTC, datetime

import click

from tickvault.cli.options import load_settings
from tickvault.core.slot import Slot


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--as", "job", default="load-postgres", show_default=True, help="Job whose image and secrets it gets.")
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED)
def command(job: str, arguments: tuple[str, ...]) -> None:
    """Run a tickvault command in the cluster, as a Kubernetes Job with the secrets of another; show what it says.

    The cluster is the one this runs in, else the kubeconfig's current one; the namespace is TICKVAULT_NAMESPACE.

    \b
    Examples:
      tickvault cluster status
      tickvault cluster logs extract-binance
      tickvault cluster --as dbt-trino query --on trino "select count(*) from lake.marts.dim_asset"
    """
    from tickvault.runners.kubernetes import KubernetesRunner
    from tickvault.runners.step import Step

    step = Step(f"by-hand-{job}", job, arguments)
    size = {"COLUMNS": str(shutil.get_terminal_size().columns)}
    end = KubernetesRunner(load_settings()).run(step, Slot.of(datetime.now(UTC)), size, _show, "by-hand")
    if end.reason:
        click.echo(end.sentence, err=True)
    sys.exit(end.exit_code)


def _show(line: str) -> None:
    # The first line is the runner's own; what a pipe reads is the command's.
    click.echo(line, err=line.startswith("job/by-hand-"))
