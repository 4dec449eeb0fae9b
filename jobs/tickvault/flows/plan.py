"""What each flow consists of: plain data, so that the charts, the deployments and the runner read the same.

Names, schedule and zone are the reference's.
"""

from dataclasses import dataclass

from tickvault.core.errors import ConfigError
from tickvault.core.settings import Settings
from tickvault.core.suggestion import suggestion
from tickvault.runners.step import Step


@dataclass(frozen=True, slots=True)
class Plan:
    """A flow: extract all sources side by side, load both targets, then ask for a build.

    Args:
        name: The flow's name.
        sources: Sources it extracts.
        cron: Its schedule.
        timezone: The schedule's zone.
        tags: Tags of its deployment.
        sinks: Targets it loads.
    """

    name: str
    sources: tuple[str, ...]
    tags: tuple[str, ...]
    cron: str = "0 20 * * *"
    timezone: str = "Asia/Ho_Chi_Minh"
    sinks: tuple[str, ...] = ("postgres", "snowflake")


PLANS = (
    Plan("batch-data-pipeline", ("faker_market", "crypto_news"), ("batch", "daily")),
    Plan(
        "prices-crypto-pipeline",
        ("binance", "coingecko", "yfinance_crypto", "freecryptoapi"),
        ("prices", "crypto", "daily"),
    ),
    Plan("prices-stock-pipeline", ("yfinance_stock",), ("prices", "stock", "daily")),
)


BUILDS = {"snowflake": "snowflake", "trino": "postgres"}
"""Each dbt target by the sink it reads from."""


def plan(name: str) -> Plan:
    """Return a flow's plan.

    Raises:
        ConfigError: There is no flow of this name.
    """
    for candidate in PLANS:
        if candidate.name == name:
            return candidate
    raise ConfigError(f"there is no flow '{name}'; {suggestion(name, (p.name for p in PLANS), cutoff=0.4)}")


def stages(flow: Plan, settings: Settings, *, force: bool = False) -> tuple[tuple[Step, ...], ...]:
    """Return a flow's steps: those of one stage run side by side, and every stage waits for the one before.

    Args:
        flow: The plan.
        settings: Tell which targets there are, which of them are built, and how often to try again.
        force: Read sources again although the slot is complete.
    """
    delays = tuple(
        min(settings.flow_retry_delay_seconds * 2**n, settings.flow_retry_delay_max_seconds)
        for n in range(settings.flow_retries)
    )

    def step(job: str, argv: tuple[str, ...], after: str | None = None, *, shared: bool = True) -> Step:
        # Loads and builds of different flows are different Jobs: one must not take the other's result for its own.
        name = f"{job}-{flow.name}" if shared else job
        return Step(name, job, argv, len(delays), delays, after)

    extracts = [
        step(f"extract-{s.replace('_', '-')}", ("extract", s, *(["--force"] if force else [])), shared=False)
        for s in flow.sources
    ]
    sinks = [s for s in flow.sinks if s != "snowflake" or settings.snowflake_account]
    loads = [step(f"load-{s}", ("load", s, "--flow", flow.name)) for s in sinks]
    wanted = ("snowflake", "trino") if settings.tickvault_build == "both" else (settings.tickvault_build,)
    builds = [
        step(f"dbt-{engine}", ("dbt", "build", "--target", f"dev-{engine}"), f"load-{sink}-{flow.name}")
        for engine, sink in BUILDS.items()
        if engine in wanted and sink in sinks
    ]
    return tuple(tuple(stage) for stage in (extracts, loads, builds) if stage)
