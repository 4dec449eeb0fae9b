"""``tickvault local``: run any command against the demo's engines."""

import subprocess
import sys

import click

from tickvault.cli.options import load_settings
from tickvault.core.settings import environment


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--live", is_flag=True, help="Use what 'tickvault demo --live' left.")
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED)
def command(live: bool, arguments: tuple[str, ...]) -> None:
    """Start the demo's engines, run a tickvault command against what they hold, and stop them again.

    \b
    Examples:
      tickvault local status
      tickvault local query "select count(*) from raw_customers"
      tickvault local query --on snowflake "select count(*) from RAW.RAW_TRANSACTIONS"
    """
    from tickvault.local import engines as local

    home = load_settings().tickvault_home / ("live" if live else "demo")
    if not home.exists():
        raise click.ClickException(f"there is nothing in {home}; run 'tickvault demo{' --live' if live else ''}' first")
    with local.start(home, live=live) as engines:
        done = subprocess.run(
            [sys.executable, "-m", "tickvault", *arguments], env=environment() | engines.environment, check=False
        )
    sys.exit(done.returncode)
