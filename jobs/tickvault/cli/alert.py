"""``tickvault alert``: the receiver of Prometheus's alerts, a test of their way, and what was taken."""

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
    """Serve until SIGTERM: alerts go into alert_history, by the part of Alertmanager's API v2 that Prometheus uses."""
    from tickvault.alerts.receiver import EXPIRY_SECONDS, ROUTE, expire, receiver
    from tickvault.runs.service import Service, run_service

    settings = load_settings()

    def work(service: Service) -> None:
        while not service.wait(EXPIRY_SECONDS):
            expire(settings)

    routes = {ROUTE: receiver(settings)}
    announce = lambda url: click.echo(f"listening on {url}")  # noqa: E731
    raise SystemExit(
        run_service("alert-receiver", settings, work, routes=routes, host=host, port=port, announce=announce)
    )


@command.command()
@click.option("--name", default="TestAlert", show_default=True, help="The alert's name.")
@click.option("--severity", default="info", show_default=True, help="Its severity.")
@click.option("--wait", default=45.0, show_default=True, help="Seconds Alertmanager may take, each time.")
@json_option
def test(name: str, severity: str, wait: float, as_json: bool) -> None:
    """Let an alert fire and end at ALERT_RECEIVER_URL and ALERTMANAGER_URL, as Prometheus does, and show its row.

    Exit codes: 0 it went all the way, 10 Alertmanager told nobody, 65 it is not in the table, 75 the receiver,
    Alertmanager or PostgreSQL does not answer, 78 one of the addresses takes no alerts.
    """
    from tickvault.alerts.rehearsal import rehearse
    from tickvault.ledger import Ledger
    from tickvault.ledger.alerts import COLUMNS

    settings = load_settings()
    with Ledger.open(settings) as ledger:
        row, untold = rehearse(ledger, settings, name, severity, wait)
    show([tuple(row.values())], COLUMNS, as_json)
    if untold:
        click.echo(untold, err=True)
        raise SystemExit(ExitCode.PARTIAL)
    if not settings.alertmanager_url:
        click.echo("no ALERTMANAGER_URL: only the way into the table was tried", err=True)


@command.command(name="list")
@click.argument("pattern", required=False)
@click.option("--open", "only_open", is_flag=True, help="Only what is firing now.")
@click.option("--limit", default=20, show_default=True, help="Rows to show.")
@json_option
def list_(pattern: str | None, only_open: bool, limit: int, as_json: bool) -> None:
    """Show alerts, newest first, silenced ones too; PATTERN keeps the names that contain it.

    'expired' means that Prometheus went silent while the alert fired.
    """
    from tickvault.ledger import Ledger
    from tickvault.ledger.alerts import COLUMNS

    with Ledger.open(load_settings()) as ledger:
        show(ledger.alerts.latest(pattern, only_open, limit), COLUMNS, as_json, title="alerts")
