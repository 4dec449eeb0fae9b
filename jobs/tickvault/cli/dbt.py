"""``tickvault dbt``: build, test and publish the warehouse."""

import sys
from pathlib import Path

import click

from tickvault.cli.options import load_settings, slot_option
from tickvault.core.slot import Slot
from tickvault.warehouse.target import TARGETS, target

target_option = click.option(
    "--target", "name", required=True, metavar="TARGET", help=f"{' or '.join(t.name for t in TARGETS)}."
)


@click.group()
def command() -> None:
    """Build, test and publish the vault, the marts and the semantic layer with dbt."""


@command.command()
@target_option
@click.option("--select", "-s", multiple=True, help="dbt selector, such as 'raw_cryptobars+'; may be given again.")
@click.option("--full-refresh", is_flag=True, help="Make incremental models anew; vault tables stay.")
@click.option("--force", is_flag=True, help="Build although nothing was loaded since the last green build.")
@slot_option
def build(name: str, select: tuple[str, ...], full_refresh: bool, force: bool, slot: Slot | None) -> None:
    """Build and test aside, then publish what passed.

    Tests that fail: nothing is published, the failing rows are kept in the schema 'quarantine', exit code 65.

    \b
    Examples:
      tickvault dbt build --target dev-postgres
      tickvault dbt build --target dev-snowflake
      tickvault dbt build --target dev-trino --select raw_cryptobars+
    """
    from tickvault.runs.entry import run_job
    from tickvault.warehouse.build import Building

    settings = load_settings()
    wait = {"lock_wait_seconds": settings.dbt_lock_wait_seconds}
    job = Building(target(name), tuple(word for s in select for word in s.split()), full_refresh, force)
    sys.exit(run_job(job, settings.model_copy(update=wait), slot))


@command.command()
@target_option
def debug(name: str) -> None:
    """Check the project, the profile and the connection."""
    from tickvault.warehouse.dbt import Dbt

    Dbt(load_settings(), target(name)).run("debug")


@command.command()
@target_option
def parse(name: str) -> None:
    """Parse the project once, for an image; nothing is asked of the target."""
    from tickvault.warehouse.dbt import Dbt
    from tickvault.warehouse.journal import digest

    settings = load_settings()
    click.echo(Dbt(settings, target(name)).parse(digest(settings.dbt_project_dir, settings.seeds_path)))


@command.command()
@target_option
@click.option("--offline", is_flag=True, help="Ask no target: models and tests, without columns' real types and sizes.")
@click.option("--serve", "port", type=int, help="Then serve them on this port.")
def docs(name: str, offline: bool, port: int | None) -> None:
    """Write dbt's documentation as one page, and serve it."""
    from tickvault.warehouse.dbt import Dbt

    dbt = Dbt(load_settings(), target(name))
    if offline:
        dbt.run("parse")  # compiling would look at the target's tables
    dbt.run("docs", "generate", "--static", *(["--empty-catalog", "--no-compile"] if offline else []))
    page = dbt.folder / "static_index.html"
    click.echo(f"written to {page}")
    if port is not None:
        _serve(page, port)


def _serve(page: Path, port: int) -> None:
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    with ThreadingHTTPServer(("127.0.0.1", port), partial(SimpleHTTPRequestHandler, directory=page.parent)) as server:
        click.echo(f"open http://127.0.0.1:{server.server_port}/{page.name} (Ctrl-C ends it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("ended")
