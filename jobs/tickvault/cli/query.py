"""``tickvault query``: ask an engine a question in SQL."""

import shutil
import sys
from contextlib import closing

import click

from tickvault.cli.options import asking, json_option, show
from tickvault.cli.shell import grid
from tickvault.cli.shell.console import Console
from tickvault.core.engine import ENGINES
from tickvault.core.errors import ConfigError


@click.command()
@click.argument("sql", required=False)
@click.option(
    "--on", "engine", type=click.Choice(tuple(ENGINES)), default="postgres", show_default=True, help="Engine to ask."
)
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1), help="Rows to show at most.")
@json_option
def command(sql: str | None, engine: str, limit: int, as_json: bool) -> None:
    """Run one reading statement, from the argument or from standard input.

    \b
    Examples:
      tickvault query "select count(*) from raw_cryptobars"
      tickvault query "select * from marts.dim_asset limit 5"
      tickvault query --on snowflake "select * from MARTS.DIM_ASSET limit 5"
      tickvault query --on trino --json < question.sql
    """
    text = sql if sql is not None else sys.stdin.read()
    if not text.strip():
        raise ConfigError("no SQL: give it as an argument or on standard input")
    with asking() as settings, closing(Console(settings, engine, limit)) as console:
        columns, rows = console.answer(text)
    if not as_json and rows and grid.breadth(columns, rows) > shutil.get_terminal_size((160, 50)).columns:
        click.echo("\n".join(grid.records(columns, rows)))
    else:
        show(rows, columns, as_json)
    if len(rows) == limit:
        click.echo(f"only the first {limit:,} rows are shown; --limit shows more", err=True)
