"""MetricFlow itself, on the generated semantic models: each metric that it can express is what the platform answers."""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from test_metric_values import ask
from warehouse import PROJECT, Dbt, environment

from tickvault.warehouse.metrics import metrics
from tickvault.warehouse.semantic_models import left_out, semantic_models

EXPORT = PROJECT / "models" / "semantic" / "metricflow.yml"
BY = {
    "semantic_transactions": ("transaction__tier", "transaction__asset"),
    "semantic_customer_overview": ("party__tier", "party__country"),
    "semantic_asset_performance": ("bar__asset",),
}
SINCE, UNTIL = datetime(2026, 10, 1), datetime(2026, 11, 10)  # noqa: DTZ001 - MetricFlow's days have no zone


def test_the_export_is_up_to_date() -> None:
    command = f"run: tickvault metric --list --format semantic-models > {EXPORT}"
    assert EXPORT.read_text(encoding="utf-8") == semantic_models(), command


def test_what_has_no_form_there_is_named() -> None:
    assert left_out() == ("aum",)


@pytest.fixture(scope="module")
def metricflow(postgres_dbt: Dbt, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """MetricFlow's engine on a project that differs from ours in where dbt writes."""
    from dbt_metricflow.cli.cli_configuration import CLIConfiguration

    root = tmp_path_factory.mktemp("metricflow")
    project = root / "dbt"
    project.mkdir()
    (root / "seeds").symlink_to(PROJECT.parent / "seeds")
    for part in PROJECT.iterdir():
        if part.name not in {"target", "logs"}:
            (project / part.name).symlink_to(part)
    here = Path.cwd()
    own = {"DBT_TARGET": "dev-postgres", "DBT_PROJECT_DIR": str(project), "DBT_PROFILES_DIR": str(project)}
    with environment(postgres_dbt.warehouse.environment() | own):
        os.chdir(project)  # where MetricFlow looks for dbt's target folder
        try:
            from dbt.cli.main import dbtRunner

            assert dbtRunner().invoke(["parse", "--quiet"]).success
            configuration = CLIConfiguration()
            configuration.setup(configure_file_logging=False)
            yield configuration.mf
        finally:
            os.chdir(here)


def _asked(engine: Any, name: str, by: str | None, *, limited: bool) -> dict[tuple[object, ...], float]:
    from metricflow.engine.metricflow_engine import MetricFlowQueryRequest

    days = {"time_constraint_start": SINCE, "time_constraint_end": UNTIL} if limited else {}
    request = MetricFlowQueryRequest.create(metric_names=[name], group_by_names=[by] if by else [], **days)
    table = engine.query(request).result_df
    return {tuple(row[:-1]): float(row[-1]) for row in table.rows if row[-1] is not None}


@pytest.mark.parametrize("name", [m for m in metrics() if m not in left_out()])
def test_metricflow_and_the_platform_agree(metricflow: Any, postgres_dbt: Dbt, name: str) -> None:
    asked = metrics()[name]
    for by in BY[asked.model]:
        dimension = by.split("__")[1]
        for limited in [False, True] if asked.time else [False]:
            days = {"since": SINCE.date(), "until": UNTIL.date()} if limited else {}
            expected = ask(postgres_dbt, name, dimension, **days)
            assert len(expected) > 1
            assert _asked(metricflow, name, by, limited=limited) == pytest.approx(expected, rel=1e-9)
    if not asked.always:
        assert _asked(metricflow, name, None, limited=False) == pytest.approx(ask(postgres_dbt, name), rel=1e-9)
        if asked.time:
            monthly = _asked(metricflow, name, "metric_time__month", limited=False)
            assert {month.date(): value for (month,), value in monthly.items()} == pytest.approx(
                {day: value for (day,), value in ask(postgres_dbt, name, "month").items()}, rel=1e-9
            )
