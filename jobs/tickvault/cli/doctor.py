"""``tickvault doctor``: check whether everything can be reached."""

import sys
from contextlib import nullcontext

import click

from tickvault.cli.options import asking, json_option, load_settings, show
from tickvault.core.errors import ExitCode


@click.command()
@click.option("--cluster", is_flag=True, help="Check this machine and its kind cluster instead of the settings.")
@json_option
def command(cluster: bool, as_json: bool) -> None:
    """Check lake, ledger, targets and sources as the settings name them; exit 78 when something is missing."""
    from tickvault.local.nearby import advice, names_an_engine
    from tickvault.operations.doctor import examine, examine_cluster

    with nullcontext(load_settings()) if cluster else asking() as settings:
        findings = list(examine_cluster(settings.tickvault_namespace) if cluster else examine(settings))
    marks = {True: "ok", False: "FAILED", None: "off"}
    show([(marks[f.good], f.subject, f.found) for f in findings], ["", "what", "found"], as_json)
    if any(f.good is False for f in findings):
        if not cluster and not names_an_engine(settings):
            click.echo(advice(settings, sys.argv[1:]), err=True)
        sys.exit(int(ExitCode.CONFIGURATION))
