"""``tickvault alert``: the receiver of Prometheus's alerts, a test of it, and what it has taken."""

import click

from tickvault.cli.options import json_option, load_settings, show
from tickvault.core.errors import ExitCode


@click.group()
def command() -> None:
    """Take alerts from Prometheus, test their way, and list them."""


@command.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=9093, show_default=True, help="Port to listen on; 0 chooses a free one.")
def serve(host: str, port: int) -> None:
    """Serve until SIGTERM: alerts go into alert_history, and to ALERT_WEBHOOK_URL once when they fire and end."""
    from tickvault.alerts.receiver import serve as run
    from tickvault.core import log

    settings = load_settings()
    log.configure(settings)
    run(settings, host, port, lambda url: click.echo(f"listening on {url}"))


@command.command()
@click.option("--name", default="TestAlert", show_default=True, help="The alert's name.")
@click.option("--severity", default="info", show_default=True, help="Its severity.")
@click.option("--wait", default=45.0, show_default=True, help="Seconds the webhook may take, each time.")
@json_option
def test(name: str, severity: str, wait: float, as_json: bool) -> None:
    """Let an alert fire and end at ALERT_RECEIVER_URL, and show its row.

    Exit codes: 0 it went all the way, 10 the webhook was not told, 65 it is not in the table, 75 the receiver or
    PostgreSQL does not answer, 78 ALERT_RECEIVER_URL is no receiver.
    """
    from tickvault.alerts import history
    from tickvault.alerts.rehearsal import rehearse
    from tickvault.ledger import Ledger

    settings = load_settings()
    with Ledger.open(settings) as ledger:
        row = rehearse(ledger, settings.alert_receiver_url, name, severity, wait)
    show([tuple(row.values())], history.COLUMNS, as_json)
    if row["told"] == history.NOBODY:
        click.echo("the receiver has no ALERT_WEBHOOK_URL: nobody was told", err=True)
    elif row["told"] != row["status"]:
        click.echo("the webhook was not told: see the receiver's log for why", err=True)
        raise SystemExit(ExitCode.PARTIAL)


@command.command(name="list")
@click.argument("pattern", required=False)
@click.option("--open", "only_open", is_flag=True, help="Only what is firing now.")
@click.option("--limit", default=20, show_default=True, help="Rows to show.")
@json_option
def list_(pattern: str | None, only_open: bool, limit: int, as_json: bool) -> None:
    """Show alerts, newest first; PATTERN keeps the names that contain it.

    'told' is what the webhook heard last; 'expired' means that Prometheus went silent while the alert fired.
    """
    from tickvault.alerts import history
    from tickvault.ledger import Ledger

    with Ledger.open(load_settings()) as ledger:
        show(history.latest(ledger, pattern, only_open, limit), history.COLUMNS, as_json, title="alerts")
