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
@click.option("--csv", type=_FILE, help="Write this CSV file; - is the standard output.")
@click.option(
    "--on",
    "engine",
    type=click.Choice(tuple(ENGINES)),
    help="Engine to read from [default: the first that is built].",
)
def command(name: str, parquet: Path | None, csv: Path | None, engine: str | None) -> None:
    """Write every row of NAME, a mart, semantic model or table, to a file.

    A CSV may also go to a pipe: - is the standard output, as is /dev/stdout. In it, a text that begins with =, +, -, @
    or a tab gets an apostrophe before it, so that no spreadsheet runs it; numbers are written plain, with all their
    digits and no exponent.

    \b
    Examples:
      tickvault export fct_transactions --parquet trades.parquet
      tickvault export semantic_asset_performance --csv performance.csv --on trino
      tickvault export raw_cryptobars --csv bars.csv --on postgres
      tickvault export semantic_transactions --csv - | gzip > trades.csv.gz
    """
    path = parquet or csv
    if path is None or (parquet and csv):
        raise ConfigError("name one file, with --parquet or with --csv")
    from tickvault.query.export import export, is_standard_output
    from tickvault.query.relation import find
    from tickvault.warehouse.target import default_engine

    with asking() as settings:
        chosen = engine or default_engine(settings)
        relation = find(settings, chosen, name)
        rows = export(settings, chosen, relation, path, "parquet" if parquet else "csv")
    beside = is_standard_output(path) or not path.is_file()
    click.echo(f"{rows:,} rows of {relation} in {path}", err=beside)
