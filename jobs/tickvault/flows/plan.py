"""What each flow consists of: plain data, so that the charts, the deployments and the runner read the same.

Names, schedule and zone are the reference's.
"""

from dataclasses import dataclass, replace

from tickvault.core.errors import ConfigError
from tickvault.core.settings import Settings
from tickvault.core.suggestion import suggestion
from tickvault.flows.stage import Build, Extract, Load, Stage
from tickvault.runners.step import Step


@dataclass(frozen=True, slots=True)
class Plan:
    """A flow.

    Args:
        name: Its name.
        stages: What it does: every stage waits for the one before.
        tags: Tags of its deployment.
        cron: Its schedule.
        timezone: The schedule's zone.
    """

    name: str
    stages: tuple[Stage, ...]
    tags: tuple[str, ...] = ()
    cron: str = "0 20 * * *"
    timezone: str = "Asia/Ho_Chi_Minh"

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources it extracts."""
        return tuple(name for stage in self.stages if isinstance(stage, Extract) for name in stage.sources)

    @property
    def sinks(self) -> tuple[str, ...]:
        """The targets it loads."""
        return tuple(name for stage in self.stages if isinstance(stage, Load) for name in stage.sinks)


PLANS = (
    Plan(
        "batch-data-pipeline",
        (Extract(("faker_market", "crypto_news")), Load(), Build()),
        ("batch", "daily"),
    ),
    Plan(
        "prices-crypto-pipeline",
        (Extract(("binance", "coingecko", "yfinance_crypto", "freecryptoapi")), Load(), Build()),
        ("prices", "crypto", "daily"),
    ),
    Plan(
        "prices-stock-pipeline",
        (Extract(("yfinance_stock",)), Load(), Build()),
        ("prices", "stock", "daily"),
    ),
)


def plan(name: str) -> Plan:
    """Return a flow's plan.

    Raises:
        ConfigError: There is no flow of this name.
    """
    for candidate in PLANS:
        if candidate.name == name:
            return candidate
    raise ConfigError(f"there is no flow '{name}'; {suggestion(name, (p.name for p in PLANS), cutoff=0.4)}")


def staged(flow: Plan, settings: Settings, *, force: bool = False) -> list[tuple[Stage, tuple[Step, ...]]]:
    """Return a flow's stages that have something to do, each with its steps, which run side by side.

    Args:
        flow: The plan.
        settings: Tell which targets there are, which of them are built, and how often to try again.
        force: Read sources again although the slot is complete.
    """
    delays = tuple(
        min(settings.flow_retry_delay_seconds * 2**n, settings.flow_retry_delay_max_seconds)
        for n in range(settings.flow_retries)
    )
    found = [(stage, tuple(stage.steps(flow.name, settings, force=force))) for stage in flow.stages]
    names = {step.name for _, steps in found for step in steps}
    sensible = [(stage, [s for s in steps if s.after is None or s.after in names]) for stage, steps in found]
    return [
        (stage, tuple(replace(step, retries=len(delays), retry_delays=delays) for step in steps))
        for stage, steps in sensible
        if steps
    ]


def stages(flow: Plan, settings: Settings, *, force: bool = False) -> tuple[tuple[Step, ...], ...]:
    """Return the steps of ``staged`` alone: every stage waits for the one before."""
    return tuple(steps for _, steps in staged(flow, settings, force=force))
