"""The metrics as dbt semantic models and metrics, for MetricFlow and what reads dbt's semantic layer.

https://docs.getdbt.com/docs/build/semantic-models and https://docs.getdbt.com/docs/build/metrics-overview. A formula of
one aggregate is a simple metric, one of several a derived metric over simple ones. MetricFlow has no sample deviation:
it is written as sums. A level at the end of a day over a relation of its own (``aum``) has no form there: its prices
are those of the day asked for, and a measure sees a row, not the question. It is left out; ``left_out`` names it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tickvault.warehouse.metrics import Metric, metrics

_KEYS = {
    "semantic_transactions": {"transaction": "transaction_hk", "party": "party_hk"},
    "semantic_customer_overview": {"party": "party_hk"},
    "semantic_asset_performance": {"bar": "performance_hk"},
}
"""Entities of each model by their columns; the first is its primary one."""
_UNTIMED = {"semantic_customer_overview": "created_at"}
"""A time that every measure there must have, of models whose metrics have none."""
_CALENDAR = {"day", "month", "quarter", "year"}
"""Dimensions that MetricFlow makes of ``metric_time`` itself."""
_AGGREGATE = re.compile(r"\b(sum|min|max|avg|count|stddev_samp)\(")
_HEADER = """\
# Made by `tickvault metric --list --format semantic-models` from jobs/tickvault/warehouse/metrics.yml; a test holds it
# to that. MetricFlow reads the tables that dbt built last, `tickvault metric` what was published of them.
"""


@dataclass
class _Model:
    """What is collected of one model."""

    name: str
    time: str
    dimensions: dict[str, str] = field(default_factory=dict)
    measures: dict[tuple[str, str], str] = field(default_factory=dict)


def left_out() -> tuple[str, ...]:
    """Return the metrics that have no form in MetricFlow."""
    return tuple(m.name for m in metrics().values() if m.relation)


def semantic_models() -> str:
    """Return ``dbt/models/semantic/metricflow.yml``."""
    import yaml

    models: dict[str, _Model] = {}
    exported = [m for m in metrics().values() if not m.relation]
    for each in exported:
        model = models.setdefault(each.model, _Model(each.model, each.time or _UNTIMED[each.model]))
        model.dimensions |= {name: sql for name, sql in each.dimensions.items() if name not in _CALENDAR}
        if alone := _alone(each.formula):
            model.measures.setdefault(alone, each.name)
    described = [entry for each in exported for entry in _metric(each, models[each.model])]
    content = {"semantic_models": [_semantic_model(m) for m in models.values()], "metrics": described}
    text = yaml.safe_dump({"version": 2, **content}, sort_keys=False, allow_unicode=True, width=1000)
    return _HEADER + f"# Not in it, since it has no form there: {', '.join(left_out())}.\n" + text


def _metric(each: Metric, model: _Model) -> Iterator[dict[str, Any]]:
    """Give a metric, and before it those that it is derived from and that are none of the platform's own."""
    known = set(model.measures.values())
    pieces, expression = _pieces(each.formula)
    inputs = [model.measures.setdefault(piece, f"{each.name}_{_LETTERS[n]}") for n, piece in enumerate(pieces)]
    said = {"name": each.name, "label": each.label, "description": f"{each.description} Unit: {each.unit}."}
    if _alone(each.formula):
        yield said | {"type": "simple", "type_params": {"measure": inputs[0]}}
        return
    for name in dict.fromkeys(inputs):
        if name not in known:
            part = f"Part of {each.name}."
            yield {"name": name, "label": name, "description": part, "type": "simple", "type_params": {"measure": name}}
    params = {"expr": expression.format(*inputs), "metrics": [{"name": name} for name in dict.fromkeys(inputs)]}
    yield said | {"type": "derived", "type_params": params}


_LETTERS = "abcdefghij"


def _semantic_model(model: _Model) -> dict[str, Any]:
    primary, *others = _KEYS[model.name].items()
    entities = [{"name": primary[0], "type": "primary", "expr": primary[1]}]
    entities += [{"name": name, "type": "foreign", "expr": column} for name, column in others]
    time = {"name": model.time, "type": "time", "type_params": {"time_granularity": "day"}}
    return {
        "name": model.name.removeprefix("semantic_"),
        "model": f"ref('{model.name}')",
        "defaults": {"agg_time_dimension": model.time},
        "entities": entities,
        "dimensions": [time, *({"name": n, "type": "categorical", "expr": c} for n, c in model.dimensions.items())],
        "measures": [{"name": n, "agg": agg, "expr": expr} for (agg, expr), n in model.measures.items()],
    }


def _alone(formula: str) -> tuple[str, str] | None:
    """Return the measure of a formula that is one aggregate."""
    pieces, expression = _pieces(formula)
    return pieces[0] if expression == "{0}" else None


def _pieces(formula: str) -> tuple[list[tuple[str, str]], str]:
    """Split a formula into its measures, as (aggregate, expression), and the expression over their numbers."""
    pieces: list[tuple[str, str]] = []
    expression, position = "", 0
    while found := _AGGREGATE.search(formula, position):
        end = _closing(formula, found.end())
        expression += formula[position : found.start()]
        numbers = []
        measures, form = _measures(found[1], formula[found.end() : end])
        for measure in measures:
            if measure not in pieces:
                pieces.append(measure)
            numbers.append(f"{{{pieces.index(measure)}}}")
        expression += form.format(*numbers)
        position = end + 1
    return pieces, expression + formula[position:]


def _measures(aggregate: str, argument: str) -> tuple[list[tuple[str, str]], str]:
    if aggregate == "count" and argument == "*":
        return [("sum", "1")], "{0}"
    if aggregate == "count":
        return [("count_distinct", argument.removeprefix("distinct "))], "{0}"
    if aggregate == "stddev_samp":
        values = [
            ("sum", f"power({argument}, 2)"),
            ("sum", argument),
            ("sum", f"case when {argument} is null then 0 else 1 end"),
        ]
        return values, "sqrt(greatest({0} - power({1}, 2) / {2}, 0) / nullif({2} - 1, 0))"
    return [({"avg": "average"}.get(aggregate, aggregate), argument)], "{0}"


def _closing(text: str, position: int) -> int:
    """Return where the parenthesis closes whose inside begins at a position."""
    depth = 1
    for n in range(position, len(text)):
        depth += {"(": 1, ")": -1}.get(text[n], 0)
        if not depth:
            return n
    raise ValueError(f"a parenthesis is never closed: {text}")
