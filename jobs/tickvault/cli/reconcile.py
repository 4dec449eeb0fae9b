"""``tickvault reconcile``: bring flow runs and ledger in line with what still lives."""

import click

from tickvault.cli.options import dry_run_option, json_option, load_settings, show


@click.command()
@dry_run_option
@json_option
def command(dry_run: bool, as_json: bool) -> None:
    """End flow runs and ledger rows that say «running» although their pod or process is gone.

    A flow run that crashed is scheduled again, up to three attempts in all; it keeps its slot and adopts the Jobs that
    are still under way. The log of a killed Job is kept in the lake, while its pod is there. Where Prefect or the
    ledger does not answer the other one is still put right. In a cluster this runs every minute.
    """
    from tickvault.operations.reconciliation import reconcile

    result = reconcile(load_settings(), dry_run=dry_run)
    for remark in result.remarks:
        click.echo(remark, err=True)
    show([(c.what, c.why) for c in result.corrections], ["corrected", "because"], as_json, title="corrections")
    result.check()
