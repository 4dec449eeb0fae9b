"""Writes into ``docs/prefect_flows.md`` what the plans say of each flow: ``python docs/flows.py``.

Schedules, steps, retries and tables come from ``flows/plan.py``, the streams of the sources and the default settings;
a test holds the page to them.
"""
# ruff: noqa: INP001 - a script

from collections.abc import Iterator
from pathlib import Path

from tickvault.core.settings import Settings
from tickvault.core.stream import Area
from tickvault.flows.plan import PLANS, Plan, staged
from tickvault.flows.stage import Stage
from tickvault.runners.step import Step
from tickvault.transfer import catalog

PAGE = Path(__file__).parent / "prefect_flows.md"
BEGIN, END = "<!-- {}: python docs/flows.py -->", "<!-- /{} -->"
EVERYTHING = {"snowflake_account": "any", "snowflake_password": "any", "trino_host": "any"}
"""Settings under which every step of a plan is there."""


def page() -> str:
    """Return the page with every flow's part as the plans are now."""
    text = PAGE.read_text(encoding="utf-8")
    for plan in PLANS:
        begin, end = BEGIN.format(plan.name), END.format(plan.name)
        before, _, rest = text.partition(begin)
        text = "\n".join([f"{before}{begin}", *_flow(plan), f"{end}{rest.partition(end)[2]}"])
    return text


def _flow(plan: Plan) -> Iterator[str]:
    settings = Settings.load(_env_file=None, **EVERYTHING)
    waits = ", ".join(f"{seconds:.0f}" for seconds in _waits(plan, settings))
    yield from ("| | |", "|---|---|")
    yield f"| Schedule | `{plan.cron}`, {plan.timezone} |"
    yield f"| Tags | {', '.join(plan.tags)} |"
    yield f"| Steps are tried again | {settings.flow_retries} times, after waits of {waits} seconds |"
    yield f"| By hand | `tickvault run {plan.name}` |"
    yield from ("", "| Stage | Steps, side by side | What each runs |", "|---|---|---|")
    for number, (stage, steps) in enumerate(staged(plan, settings), 1):
        yield _stage(number, stage, steps)
    yield from ("", "| Source | In the lake | PostgreSQL | Snowflake | One row per |", "|---|---|---|---|---|")
    for source in plan.sources:
        for stream in catalog.source(source).streams:
            schema = settings.snowflake_schema if stream.area is Area.BATCH else settings.snowflake_schema_staging
            key = ", ".join(f"`{column}`" for column in stream.primary_key)
            places = f"`{stream.lake_path}/` | `{stream.name}` | `{schema}.{stream.warehouse_table}`"
            yield f"| `{source}` | {places} | {key} |"


def _waits(plan: Plan, settings: Settings) -> tuple[float, ...]:
    return staged(plan, settings)[0][1][0].retry_delays


def _stage(number: int, stage: Stage, steps: tuple[Step, ...]) -> str:
    names = "<br>".join(f"`{step.name}`" for step in steps)
    runs = "<br>".join(f"`tickvault {' '.join(step.argv)}`" for step in steps)
    return f"| {number} {type(stage).__name__.lower()} | {names} | {runs} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
