"""What a flow consists of, and what its steps amount to."""

import pytest

from tickvault.core.errors import ConfigError
from tickvault.core.slot import Schedule, Slot
from tickvault.flows import backfill
from tickvault.flows.plan import PLANS, Plan, plan, stages
from tickvault.flows.stage import Build, Extract, Load
from tickvault.flows.verdict import SKIPPED, StepResult, judge
from tickvault.runners.runner import StepEnd
from tickvault.transfer import catalog


def test_every_source_of_a_plan_exists_and_belongs_to_one_flow():
    sources = [s for p in PLANS for s in p.sources]
    assert sorted(sources) == catalog.source_names()
    assert {s for p in PLANS for s in p.sinks} <= set(catalog.sink_names())


def test_stages_without_snowflake_and_build(make_settings):
    extracts, loads = stages(plan("prices-stock-pipeline"), make_settings(tickvault_build="off"))
    assert [s.argv for s in extracts] == [("extract", "yfinance_stock")]
    assert [s.argv for s in loads] == [("load", "postgres", "--flow", "prices-stock-pipeline")]
    assert extracts[0].retry_delays == (300, 600, 1200)


def test_stages_with_everything(make_settings):
    settings = make_settings(snowflake_account="x", tickvault_build="both", flow_retries=5)
    extracts, loads, builds = stages(plan("batch-data-pipeline"), settings, force=True)
    assert [s.argv[-1] for s in extracts] == ["--force", "--force"]
    assert [s.job for s in loads] == ["load-postgres", "load-snowflake"]
    assert [(s.argv, s.after) for s in builds] == [
        (("dbt", "build", "--target", "dev-snowflake"), "load-snowflake-batch-data-pipeline"),
        (("dbt", "build", "--target", "dev-trino"), "load-postgres-batch-data-pipeline"),
    ]
    assert extracts[0].retry_delays == (300, 600, 1200, 1800, 1800)  # doubling, to 30 minutes at most


def test_a_build_follows_the_list_of_engines(make_settings):
    def built(build: str) -> tuple[str, ...]:
        return make_settings(tickvault_build=build).build_engines

    assert [built(b) for b in ("off", "both", "trino")] == [(), ("snowflake", "trino"), ("trino",)]
    assert make_settings().build_engines == ("postgres",), "every engine that is set up"
    assert make_settings(trino_host="trino").build_engines == ("postgres", "trino")
    assert built("trino, snowflake") == ("trino", "snowflake")
    for wrong in ("bot", "off,trino", "trino,", "postgresql"):
        with pytest.raises(ConfigError, match=r"TICKVAULT_BUILD.*comma separated list of postgres, snowflake, trino"):
            built(wrong)
    settings = make_settings(snowflake_account="x", tickvault_build="trino")
    *_, builds = stages(plan("batch-data-pipeline"), settings)
    assert [s.name for s in builds] == ["dbt-trino-batch-data-pipeline"]


def test_stages_are_data(make_settings):
    settings = make_settings(tickvault_build="both")
    turned = Plan("turned", (Load(("postgres",)), Extract(("binance",)), Build(), Extract(("coingecko",))))
    assert [[s.name for s in stage] for stage in stages(turned, settings)] == [
        ["load-postgres-turned"],
        ["extract-binance"],
        ["dbt-trino-turned"],
        ["extract-coingecko"],
    ]
    assert (turned.sources, turned.sinks) == (("binance", "coingecko"), ("postgres",))
    assert stages(Plan("nothing", (Build(),)), settings) == ()  # without a load there is nothing new to build from


def test_a_build_needs_its_target(make_settings):
    assert len(stages(plan("batch-data-pipeline"), make_settings(tickvault_build="snowflake"))) == 2


def test_names_fit_kubernetes_and_no_two_flows_share_a_load(make_settings):
    settings = make_settings(snowflake_account="x", tickvault_build="both")
    names = [s.name for p in PLANS for stage in stages(p, settings) for s in stage]
    assert len(set(names)) == len(names)
    assert max(len(f"{n}-20261120t130000z-49") for n in names) <= 63


def result(name: str, code: int, **report: object) -> StepResult:
    return StepResult(name, StepEnd(code, report))


@pytest.mark.parametrize(
    ("results", "name", "code", "said"),
    [
        ([result("extract-a", 0), result("load-x", 0, rows_loaded=1234)], "Complete", 0, "1,234 rows"),
        ([result("extract-a", 0, off="no key"), result("load-x", 0)], "Complete", 0, "extract-a: off"),
        ([result("extract-a", 10, missing=["ETH: no answer"]), result("load-x", 0)], "Partial", 10, "ETH: no answer"),
        ([result("extract-a", 75), result("extract-b", 0)], "Partial", 75, "extract-a failed"),
        ([result("extract-a", 10), result("extract-b", 10)], "Partial", 10, "extract-b partial"),
        ([result("extract-a", 137), result("load-x", 65)], "Failed", 65, "load-x failed"),
        ([result("load-x", 78), result("dbt-x", SKIPPED)], "Failed", 78, "dbt-x skipped"),
    ],
)
def test_verdicts(results, name, code, said):
    verdict = judge(results)
    assert (verdict.name, verdict.exit_code) == (name, code)
    assert said in verdict.message


def test_only_what_may_pass_is_tried_again():
    assert [c for c in (0, 1, 10, 65, 75, 78, 137, 143) if StepEnd(c).may_pass] == [1, 75, 137, 143]


def test_backfill_lists_the_slots_of_the_flows_schedule(make_settings):
    schedule = Schedule("0 20 * * *", "Asia/Ho_Chi_Minh")
    now = Slot.parse("2026-11-20T13:00:00Z").time
    slots = backfill.slots(schedule, Slot.parse("2026-11-18"), Slot.parse("2026-11-19"), now)
    assert [s.id for s in slots] == ["20261118T130000Z", "20261119T130000Z"]
    assert backfill.slots(schedule, Slot.parse("2026-11-20"), None, now) == [Slot(now)]
    with pytest.raises(ConfigError, match="no slot from"):
        backfill.slots(schedule, Slot.parse("2026-11-21"), None, now)


def test_backfill_of_a_source_extracts_each_slot_and_loads_its_packages_once(make_settings):
    slots = [Slot.parse("2026-11-18T13:00:00Z"), Slot.parse("2026-11-19T13:00:00Z")]
    work = backfill.steps(
        backfill.plan_of("yfinance_stock"), slots, make_settings(snowflake_account="x", tickvault_build="off")
    )
    assert [(s.id, step.argv) for s, step in work] == [
        ("20261118T130000Z", ("extract", "yfinance_stock")),
        ("20261119T130000Z", ("extract", "yfinance_stock")),
        ("20261119T130000Z", ("load", "postgres", "--source", "yfinance_stock")),
        ("20261119T130000Z", ("load", "snowflake", "--source", "yfinance_stock")),
    ]


def test_backfill_of_nothing_known():
    with pytest.raises(ConfigError, match="did you mean 'batch-data-pipeline'"):
        backfill.plan_of("batch-dat-pipeline")
    with pytest.raises(ConfigError, match="did you mean 'binance'"):
        backfill.plan_of("binanc")
