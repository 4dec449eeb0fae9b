"""``tickvault logs``: show the log of a run."""

import json

import click

from tickvault.cli.options import load_settings
from tickvault.core.errors import ConfigError


@click.command()
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print the lines as they are: JSON.")
def command(run: str, as_json: bool) -> None:
    """Show the log of RUN: an id as 'tickvault status' shows it, a job (its last run), job/slot, or a Kubernetes Job.

    Every job leaves its log in the lake when it ends, so it is there after the pod is gone.

    \b
    Examples:
      tickvault logs extract-binance
      tickvault logs extract-binance/20261120T130000Z
    """
    from tickvault.engines.storage import open_storage
    from tickvault.ledger import Ledger

    settings = load_settings()
    with Ledger.open(settings) as ledger:
        found = ledger.runs.find(run)
    if found is None:
        raise ConfigError(f"there is no run '{run}'; see 'tickvault status'")
    what = f"{found.job}, slot {found.slot}, run {found.run_id[:8]}: {found.status}"
    if found.log_uri is None:
        hint = f"; while its pod is there: kubectl logs -n {settings.tickvault_namespace} job/{found.job_name}"
        raise ConfigError(f"{what}; it left no log in the lake{hint if found.job_name else ''}")
    data = open_storage(settings).get(found.log_uri)
    if data is None:
        raise ConfigError(f"{what}; its log {found.log_uri} is not in the lake any more")
    click.echo(what, err=True)
    for line in data.decode().splitlines():
        click.echo(line if as_json else _readable(line))


def _readable(line: str) -> str:
    """Turn a JSON line into one for people."""
    fields = json.loads(line)
    time, level, message = fields.pop("time"), fields.pop("level"), fields.pop("message")
    error = fields.pop("error", "")
    extra = " ".join(f"{k}={v}" for k, v in fields.items() if k not in ("logger", "job", "slot"))
    text = f"{time[11:19]} {level.upper():<7} {message}" + (f"  {extra}" if extra else "")
    return text + (f"\n{error}" if error else "")
