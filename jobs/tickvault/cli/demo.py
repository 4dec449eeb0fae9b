"""``tickvault demo``: the whole platform here, simulated."""

import sys
from pathlib import Path

import click

from tickvault.cli.interruption import interruptible
from tickvault.cli.options import load_settings


@click.command()
@click.option(
    "--days", default=5, show_default=True, type=click.IntRange(1, 60), help="Simulated days after the history."
)
@click.option("--live", is_flag=True, help="Use the public APIs instead of the simulated market.")
@click.option(
    "--build",
    type=click.Choice(["off", "twice", "daily"]),
    default="twice",
    show_default=True,
    envvar="BUILD",
    help="Build the warehouse: after the history and the last day, or after each day.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port of the simulated market, which the keys of news articles hold; 0 chooses a free one"
    " [default: the one of before, 8931 at first, another where that is taken]",
)
@click.option("--fresh", is_flag=True, help="Forget an earlier demo first.")
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="Also draw the end as an SVG.")
def command(days: int, live: bool, build: str, port: int | None, fresh: bool, picture: Path | None) -> None:
    """Run the daily flows over simulated days: 400 days of history, then DAYS days, the last one twice.

    Starts PostgreSQL, a Snowflake emulator and a simulated market as processes of this machine; no Docker, no network.
    Interrupting and repeating it is safe: what is complete is not done again.
    """
    from rich.console import Console

    from tickvault.demo.performance import Performance
    from tickvault.local.home import Home

    console = Console(record=picture is not None, width=None if sys.stdout.isatty() else 132)
    home = Home.of(load_settings().tickvault_home, live=live)
    with interruptible("interrupted: everything it had started has ended; the same command goes on where it was"):
        code = Performance(console, home, port).run(days=days, build=build, fresh=fresh)
    if picture:
        console.save_svg(str(picture), title="make demo")
    sys.exit(code)
