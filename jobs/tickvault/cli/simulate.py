"""``tickvault simulate``: run the market simulator."""

from datetime import UTC, datetime
from pathlib import Path

import click

from tickvault.core.errors import PlatformError


@click.group()
def command() -> None:
    """Run the market simulator, the outside world of demos and tests."""


@command.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8900, show_default=True, help="Port to listen on; 0 chooses a free one.")
@click.option("--seed", default=7, show_default=True, help="Another seed is another market.")
@click.option("--now", help="Simulated time, such as 2026-11-20T13:00:00Z; without it the wall clock runs.")
@click.option(
    "--asset-info",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What is traded, instead of seeds/asset_info.csv.",
)
def serve(host: str, port: int, seed: int, now: str | None, asset_info: Path | None) -> None:
    """Serve until SIGTERM; prints the base URLs to set in the environment."""
    from tickvault.simulation.server import environment, listen
    from tickvault.simulation.server import serve as run

    def announce(url: str) -> None:
        click.echo(f"listening on {url}")
        for setting, value in environment(url).items():
            click.echo(f"export {setting}='{value}'")

    try:
        run(listen(host, port), seed, _instant(now), asset_info, announce)
    except PlatformError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_code) from error


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"'{text}' is no ISO time such as 2026-11-20T13:00:00Z", param_hint="--now") from error
    if at.tzinfo is None:
        raise click.BadParameter(f"'{text}' has no time zone, write it with a Z", param_hint="--now")
    return at.astimezone(UTC)
