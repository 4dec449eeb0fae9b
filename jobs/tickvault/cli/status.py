"""``tickvault status``: runs, packages, loads and rejects, from the ledger."""

import click

from tickvault.cli.options import asking, json_option, show


@click.command()
@click.argument("pattern", required=False)
@click.option("--packages", "view", flag_value="packages", help="What landed, and where it was loaded.")
@click.option("--rejects", "view", flag_value="rejects", help="Records put aside, with their reasons.")
@click.option("--watermarks", "view", flag_value="watermarks", help="How far each stream has come.")
@click.option("--gaps", "view", flag_value="gaps", help="Days without a price, by symbol: asked for, or given up.")
@click.option("--schemas", "view", flag_value="schemas", help="How each stream's columns changed.")
@click.option("--runs", "view", flag_value="runs", default=True, help="What ran (the default).")
@click.option("--limit", default=20, show_default=True, help="Rows to show.")
@json_option
def command(pattern: str | None, view: str, limit: int, as_json: bool) -> None:
    """Show what the ledger knows, newest first; PATTERN keeps what contains it."""
    from tickvault.ledger import Ledger, packages, rejects, runs, schemas

    with asking() as settings, Ledger.open(settings) as ledger:
        views = {
            "runs": (runs.COLUMNS, ledger.runs.latest),
            "packages": (packages.COLUMNS, ledger.packages.latest),
            "rejects": (rejects.COLUMNS, ledger.rejects.latest),
            "schemas": (schemas.COLUMNS, ledger.schemas.history),
            "gaps": (packages.GAP_COLUMNS, ledger.packages.gaps),
            "watermarks": (packages.WATERMARK_COLUMNS, ledger.packages.watermarks),
        }
        if view == "runs":
            ledger.runs.settle()
        columns, latest = views[view]
        show(latest(pattern, limit), columns, as_json, title=view)
