"""``tickvault sql``: a shell to ask an engine, and what runs a script of statements."""

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from tickvault.cli.options import asking
from tickvault.core.engine import ENGINES
from tickvault.core.errors import ConfigError

if TYPE_CHECKING:
    from tickvault.cli.shell.console import Console


@click.command()
@click.option(
    "--on",
    "engine",
    type=click.Choice(tuple(ENGINES)),
    help="Engine to ask [default: the first that is built and set up].",
)
@click.option("-c", "--command", "statement", help="Run this and leave; several, with semicolons between them, also.")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1), help="Rows to show at most.")
def command(engine: str | None, statement: str | None, limit: int) -> None:
    """Ask in SQL: a shell with completion and history, or a script from standard input. It only reads.

    \b
    Examples:
      tickvault sql
      tickvault sql -c "select * from marts.dim_asset limit 5"
      tickvault sql --on trino < questions.sql
    """
    from tickvault.cli.shell.console import Console
    from tickvault.warehouse.target import default_engine

    with asking() as settings:
        console = Console(settings, engine or default_engine(settings), limit)
        try:
            if statement is not None or not sys.stdin.isatty():
                _run(console, sys.stdin.read() if statement is None else statement)
            else:
                _converse(console)
        finally:
            console.close()


def _run(console: "Console", text: str) -> None:
    """Run every statement and stop at the first that fails; a line that begins with a backslash is a command."""
    from tickvault.cli.shell.console import Quit
    from tickvault.query.script import pieces

    with suppress(Quit):
        for piece in pieces(text):
            console.do(piece)


def _converse(console: "Console") -> None:
    console.interactive = True
    try:
        from tickvault.cli.shell.prompt import converse
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the shell needs {error.name}; install Tickvault with its extra 'shell', or ask by 'tickvault sql -c …'"
        ) from error
    console.connect()
    converse(console)
