"""``tickvault replay-rejects``: try records again that were put aside."""

import sys

import click

from tickvault.cli.options import dry_run_option, load_settings
from tickvault.core.slot import Slot
from tickvault.runs.entry import run_job
from tickvault.transfer.replay import Replay


@click.command()
@click.argument("pattern", required=False)
@dry_run_option
def command(pattern: str | None, dry_run: bool) -> None:
    """Try open rejects again, after the rule or the list that refused them was put right.

    PATTERN keeps packages whose id contains it. What fits now lands as a further revision and loads as usual; what
    still does not fit moves to that revision's rejects. A record whose key another one took with other values is never
    tried again: nobody can tell which of the two is right.
    """
    settings = load_settings()
    sys.exit(run_job(Replay(pattern, dry_run), settings, Slot.of(settings.now())))
