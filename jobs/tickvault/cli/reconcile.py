"""``tickvault reconcile``: bring flow runs and ledger in line with what still lives."""

import click

from tickvault.cli.options import dry_run_option, json_option, load_settings, show
from tickvault.errors import ConfigError
from tickvault.settings import environment


@click.command()
@dry_run_option
@json_option
def command(dry_run: bool, as_json: bool) -> None:
    """End flow runs and ledger rows that say «running» although their pod or process is gone.

    A flow run that crashed is scheduled again, up to three attempts in all; it keeps its slot and adopts the Jobs that
    are still under way. In a cluster this runs every minute.
    """
    if not environment().get("PREFECT_API_URL"):
        raise ConfigError("PREFECT_API_URL is not set: there is no Prefect server whose runs could be reconciled")
    from tickvault.flows.reconciliation import reconcile

    corrections = reconcile(load_settings(), dry_run=dry_run)
    show([(c.what, c.why) for c in corrections], ["corrected", "because"], as_json, title="corrections")
