"""``tickvault retention``: remove what is old and needed no more."""

import sys

import click

from tickvault.cli.options import dry_run_option, json_option, load_settings, show, show_facts, slot_option
from tickvault.core.slot import Slot


@click.command()
@slot_option
@dry_run_option
@json_option
def command(slot: Slot | None, dry_run: bool, as_json: bool) -> None:
    """Remove old runs, logs, builds, publications, alerts, replayed rejects, and what killed attempts left in the lake.

    How long each is kept is a setting, RETENTION_..._DAYS; 0 keeps it for ever. What a reader or a replay needs stays:
    packages, loads, everything sealed, open rejects, and the builds by which the next one is judged. In a cluster this
    runs every day.
    """
    from tickvault.operations.retention import Retention, preview
    from tickvault.runs.entry import run_job

    settings = load_settings()
    if dry_run:
        show(preview(settings), ["what", "kept for days", "due"], as_json, title="due")
        return
    sys.exit(run_job(Retention(), settings, slot, show_facts if as_json else None))
