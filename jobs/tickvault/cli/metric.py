"""``tickvault metric``: answer with a metric, by its dimensions."""

from datetime import date, datetime

import click

from tickvault.cli.options import asking, comma_separated, json_option, show
from tickvault.core.engine import WAREHOUSES
from tickvault.core.errors import ConfigError

_DAY = click.DateTime(formats=["%Y-%m-%d"])


def _day(_ctx: click.Context, _param: click.Parameter, value: datetime | None) -> date | None:
    return value.date() if value else None


@click.command()
@click.argument("name", required=False)
@click.option("--by", callback=comma_separated, help="Dimensions, comma separated, such as tier,country.")
@click.option("--from", "since", type=_DAY, callback=_day, help="First day, UTC, inclusive.")
@click.option("--to", "until", type=_DAY, callback=_day, help="Last day, UTC, inclusive.")
@click.option("--on", "engine", type=click.Choice(WAREHOUSES), help="Engine to ask [default: the first that is built].")
@click.option("--list", "listed", is_flag=True, help="List the metrics instead.")
@click.option(
    "--format",
    "form",
    type=click.Choice(("table", "markdown", "semantic-models")),
    default="table",
    help="Form of the list.",
)
@json_option
def command(
    name: str | None,
    by: tuple[str, ...] | None,
    since: date | None,
    until: date | None,
    engine: str | None,
    listed: bool,
    form: str,
    as_json: bool,
) -> None:
    """Compute metric NAME from what is published.

    \b
    Examples:
      tickvault metric --list
      tickvault metric revenue --by tier,country --from 2026-11-01 --to 2026-11-30
      tickvault metric aum --by tier --to 2026-11-20
      tickvault metric volatility --by asset --json
    """
    from tickvault.warehouse.metrics import markdown, metric, metrics, statement

    if listed and form == "markdown":
        click.echo(markdown(), nl=False)
        return
    if listed and form == "semantic-models":
        from tickvault.warehouse.semantic_models import semantic_models

        click.echo(semantic_models(), nl=False)
        return
    if listed:
        rows = [(m.name, m.unit, ", ".join(m.dimensions), m.description) for m in metrics().values()]
        show(rows, ["metric", "unit", "dimensions", "meaning"], as_json)
        return
    if name is None:
        raise ConfigError("name a metric; 'tickvault metric --list' lists them")
    from tickvault.query.read import read
    from tickvault.query.relation import published
    from tickvault.warehouse.target import default_engine

    asked = metric(name)
    with asking() as settings:
        chosen = engine or default_engine(settings)
        columns, sql = statement(asked, by or (), since, until, lambda model: published(settings, chosen, model))
        _, rows = read(settings, chosen, sql, 100_000)
    show(rows, columns, as_json, title=None if as_json else f"{asked.label}, {asked.unit}")
