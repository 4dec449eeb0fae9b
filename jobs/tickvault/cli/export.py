"""``tickvault export``: write a table to a Parquet or CSV file."""

from pathlib import Path

import click

from tickvault.cli.options import asking
from tickvault.core.engine import ENGINES
from tickvault.core.errors import ConfigError

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("name")
@click.option("--parquet", type=_FILE, help="Write this Parquet file.")
@click.option("--csv", type=_FILE, help="Write this CSV file.")
@click.option(
    "--on",
    "engine",
    type=click.Choice(tuple(ENGINES)),
    help="Engine to read from [default: the first that is built].",
)
def command(name: str, parquet: Path | None, csv: Path | None, engine: str | None) -> None:
    """Write every row of NAME, a mart, semantic model or table, to a file.

    A CSV may also go to a pipe. In it, a text that begins with =, +, -, @ or a tab gets an apostrophe before it, so
    that no spreadsheet runs it; numbers are written plain, with all their digits and no exponent.

    \b
    Examples:
      tickvault export fct_transactions --parquet trades.parquet
      tickvault export semantic_asset_performance --csv performance.csv --on trino
      tickvault export raw_cryptobars --csv bars.csv --on postgres
    """
    path = parquet or csv
    if path is None or (parquet and csv):
        raise ConfigError("name one file, with --parquet or with --csv")
    from tickvault.query.export import export
    from tickvault.query.relation import find
    from tickvault.warehouse.target import default_engine

    with asking() as settings:
        chosen = engine or default_engine(settings)
        relation = find(settings, chosen, name)
        rows = export(settings, chosen, relation, path, "parquet" if parquet else "csv")
    click.echo(f"{rows:,} rows of {relation} in {path}", err=not path.is_file())
