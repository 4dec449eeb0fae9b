"""The metrics of ``metrics.yml``: their definitions, and the one statement that answers a question about one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from importlib.resources import files
from typing import Any

from tickvault.core.errors import ConfigError
from tickvault.core.suggestion import suggestion

_near = partial(suggestion, most=3, cutoff=0.5)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Args:
        name: Its name.
        label: Its name for people.
        description: What it says.
        model: The published model it is computed from.
        grain: What one row of the model, or of ``relation``, is.
        formula: SQL aggregate over those rows.
        unit: Unit of the result.
        dimensions: SQL of every dimension by its name.
        by: Dimensions of its view in the semantic layer.
        always: Dimensions it makes no sense without.
        time: The date column that a question's days limit; None where it has no time.
        as_of: Whether it is a level at the end of a day instead of a sum over days.
        relation: SQL of what it is computed from, where that is more than the model.
    """

    name: str
    label: str
    description: str
    model: str
    grain: str
    formula: str
    unit: str
    dimensions: Mapping[str, str]
    by: tuple[str, ...]
    always: tuple[str, ...] = ()
    time: str | None = None
    as_of: bool = False
    relation: str | None = None


@cache
def metrics() -> dict[str, Metric]:
    """Read every metric, in the file's order.

    Raises:
        ConfigError: PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise ConfigError("metrics need PyYAML: install the extra 'dbt'") from error
    given = yaml.safe_load(files(__package__).joinpath("metrics.yml").read_text(encoding="utf-8"))["metrics"]
    return {name: _metric(name, fields) for name, fields in given.items()}


def _metric(name: str, fields: dict[str, Any]) -> Metric:
    by, always = (tuple(fields.pop(key, ())) for key in ("by", "always"))
    return Metric(name=name, by=by, always=always, **fields)


def metric(name: str) -> Metric:
    """Return a metric by its name.

    Raises:
        ConfigError: There is none of this name.
    """
    if name not in metrics():
        raise ConfigError(f"there is no metric '{name}'; {_near(name, metrics())}")
    return metrics()[name]


def statement(
    asked: Metric,
    by: Sequence[str],
    since: date | None,
    until: date | None,
    relation_of: Callable[[str], str],
) -> tuple[list[str], str]:
    """Return the columns and the SQL of a metric's answer: a row per combination of dimensions.

    Args:
        asked: The metric.
        by: Names of dimensions; those it always has come first.
        since: First day, inclusive.
        until: Last day, inclusive.
        relation_of: Gives a published model's full name on the engine that is asked.

    Raises:
        ConfigError: A dimension is not the metric's, or it has no time that days could limit.
    """
    names = list(dict.fromkeys((*asked.always, *by)))
    for name in names:
        if name not in asked.dimensions:
            raise ConfigError(f"metric '{asked.name}' has no dimension '{name}'; {_near(name, asked.dimensions)}")
    if since and until and since > until:
        raise ConfigError(f"the first day {since} is after the last day {until}")
    if since and not asked.time:
        kind = "a level at the end of a day: give its day with --to only" if asked.as_of else "not over time"
        raise ConfigError(f"metric '{asked.name}' is {kind}")
    if until and not (asked.time or asked.as_of):
        raise ConfigError(f"metric '{asked.name}' is not over time: leave --from and --to out")
    days = [f"{asked.time} >= {_day(since)}"] if since else []
    days += [f"{asked.time} <= {_day(until)}"] if until and asked.time else []
    selected = [f"{asked.dimensions[name]} as {name}" for name in names]
    sql = f"select {', '.join([*selected, f'{asked.formula} as {asked.name}'])}"
    sql += f" from {_rows(asked, until, relation_of)}"
    sql += f" where {' and '.join(days)}" if days else ""
    if names:
        ordinals = ", ".join(str(n) for n in range(1, len(names) + 1))
        sql += f" group by {ordinals} order by {ordinals}"
    return [*names, asked.name], sql


def _rows(asked: Metric, until: date | None, relation_of: Callable[[str], str]) -> str:
    if not asked.relation:
        return relation_of(asked.model)
    published = {name: relation_of(name) for name in _MODELS}
    return f"({asked.relation.format(**published, until=_day(until or date.max))}) described"


_MODELS = ("semantic_transactions", "semantic_positions", "semantic_customer_overview", "semantic_asset_performance")


def _day(day: date) -> str:
    return f"date '{day.isoformat()}'"


def views(relation_of: Callable[[str], str]) -> dict[str, str]:
    """Return the SQL of every metric's view in the semantic layer by the view's name."""
    found = {}
    for each in metrics().values():
        _, sql = statement(each, each.by, None, None, relation_of)
        found[f"metric_{each.name}"] = sql.rsplit(" order by ", 1)[0]
    return found


def markdown() -> str:
    """Return ``docs/metrics.md``."""
    lines = [
        "# Metrics",
        "",
        "Made by `tickvault metric --list --format markdown` from `jobs/tickvault/warehouse/metrics.yml`; a test",
        "holds it to that. Ask with `tickvault metric revenue --by tier,month --from 2026-11-01`; each metric is also",
        "a view `METRIC_<NAME>` of the schema `SEMANTIC`, by the dimensions in bold. Days are UTC and inclusive.",
        "",
        "| Metric | Unit | Formula | Over | Dimensions | Meaning |",
        "|---|---|---|---|---|---|",
    ]
    for each in metrics().values():
        dimensions = ", ".join(f"**{d}**" if d in each.by else d for d in each.dimensions)
        cells = (f"`{each.name}`", each.unit, f"`{each.formula}`", f"{each.grain} of `{each.model}`", dimensions)
        lines.append(f"| {' | '.join((*cells, each.description))} |")
    return "\n".join(lines) + "\n"
