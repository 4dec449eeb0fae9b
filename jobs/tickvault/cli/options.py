"""Options several commands share, and how results are shown."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from tickvault.cli.shell import grid
from tickvault.core import redaction
from tickvault.core.errors import ConfigError
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot


class SlotParam(click.ParamType):  # type: ignore[type-arg]  # generic in the stubs only
    """A slot on the command line."""

    name = "slot"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Slot:
        """Read 20261120T130000Z or ISO 8601."""
        if isinstance(value, Slot):
            return value
        try:
            return Slot.parse(value)
        except ConfigError as error:
            self.fail(str(error), param, ctx)


slot_option = click.option(
    "--slot", type=SlotParam(), help="Slot to run, such as 20261120T130000Z [default: the last one]"
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")


def load_settings(**overrides: Any) -> Settings:
    """Load the settings; on a terminal the log is for people unless it was set otherwise."""
    settings = Settings.load(**overrides)
    if sys.stderr.isatty() and "tickvault_log_format" not in settings.model_fields_set:
        return settings.model_copy(update={"tickvault_log_format": "text"})
    return settings


@contextmanager
def asking() -> Iterator[Settings]:
    """Give settings that name an engine for as long as it is asked: these, or the demo's engines where they run.

    Raises:
        ConfigError: None is named and none runs; it says which command to paste.
    """
    from tickvault.local.nearby import within_reach

    with within_reach(load_settings(), sys.argv[1:]) as settings:
        yield settings


def comma_separated(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Split a comma separated option; one that names nothing is refused, for it would stand for everything."""
    if value is None:
        return None
    words = tuple(v.strip() for v in value.split(",") if v.strip())
    if not words:
        raise click.BadParameter("names nothing; leave it out for everything")
    return words


def show_facts(facts: dict[str, Any]) -> None:
    """Print what a job says at its end, as one JSON object."""
    click.echo(json.dumps(redaction.data(facts), default=str, indent=1))


def show(rows: Iterable[Sequence[Any]], columns: Sequence[str], as_json: bool, title: str | None = None) -> None:
    """Print rows as a table, or as one JSON list of objects."""
    rows = list(rows)
    if as_json:
        click.echo(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], default=grid.text, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        right = grid.is_numeric([row[index] for row in rows])
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(f"{v:,}" if isinstance(v, int) and not isinstance(v, bool) else grid.text(v) for v in row))
    width = None if sys.stdout.isatty() else 160
    Console(width=width, markup=False, emoji=False).print(table if rows else f"{title or 'rows'}: none")
