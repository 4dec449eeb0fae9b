"""The metrics' definitions, their questions in SQL, and the page made from them."""

from datetime import date
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tickvault.cli.metric import command
from tickvault.core.errors import ConfigError
from tickvault.warehouse.metrics import markdown, metric, metrics, statement, views

ROOT = Path(__file__).parents[2]


def columns() -> dict[str, set[str]]:
    """The columns of every mart and semantic model, as their contracts name them."""
    found = {}
    for file in (ROOT / "dbt/models/semantic/semantic.yml", ROOT / "dbt/models/marts/marts.yml"):
        for model in yaml.safe_load(file.read_text(encoding="utf-8"))["models"]:
            found[model["name"]] = {c["name"] for c in model["columns"]}
    return found


def test_the_page_is_made_from_the_definitions() -> None:
    assert (ROOT / "docs/metrics.md").read_text(encoding="utf-8") == markdown()


def test_every_metric_is_computed_from_columns_its_model_has() -> None:
    from sqlglot import exp, parse_one

    known = columns()
    for each in metrics().values():
        _, sql = statement(each, list(each.dimensions), None, None, lambda model: model)
        for dialect in ("snowflake", "trino", "duckdb"):
            tree = parse_one(sql, read=dialect)
            tables = {t.name for t in tree.find_all(exp.Table)}
            named = set().union(*(known[t] for t in tables)) | {a.alias for a in tree.find_all(exp.Alias)}
            assert {c.name for c in tree.find_all(exp.Column)} <= named, each.name
        assert set(each.by) <= set(each.dimensions) and set(each.always) <= set(each.dimensions)


def test_days_and_dimensions_are_part_of_the_question() -> None:
    names, sql = statement(
        metric("revenue"), ["tier", "country"], date(2026, 11, 1), date(2026, 11, 30), lambda model: f"s.{model}"
    )
    assert names == ["tier", "country", "revenue"]
    assert sql == (
        "select customer_tier as tier, country as country, sum(fee_amount) as revenue from s.semantic_transactions"
        " where transaction_date >= date '2026-11-01' and transaction_date <= date '2026-11-30'"
        " group by 1, 2 order by 1, 2"
    )


def test_what_makes_no_sense_without_an_asset_is_by_asset() -> None:
    assert statement(metric("volatility"), ["month"], None, None, str)[0] == ["asset", "month", "volatility"]


@pytest.mark.parametrize(
    ("name", "by", "since", "until", "said"),
    [
        ("revenu", [], None, None, "did you mean 'revenue'"),
        ("revenue", ["teir"], None, None, "did you mean 'tier'"),
        ("revenue", ["zzz"], None, None, "there are: tier, country"),
        ("revenue", [], date(2026, 2, 1), date(2026, 1, 1), "is after the last day"),
        ("aum", [], date(2026, 1, 1), None, "give its day with --to only"),
        ("customers", [], None, date(2026, 1, 1), "leave --from and --to out"),
    ],
)
def test_a_question_without_an_answer_is_told_why(name, by, since, until, said) -> None:
    with pytest.raises(ConfigError, match=said):
        statement(metric(name), by, since, until, str)


def test_every_metric_has_a_view() -> None:
    assert set(views(str)) == {f"metric_{name}" for name in metrics()}


def test_the_list_needs_no_warehouse() -> None:
    result = CliRunner().invoke(command, ["--list", "--json"])
    assert result.exit_code == 0
    assert '"metric": "aum"' in result.output
