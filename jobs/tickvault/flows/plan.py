"""What each flow consists of: plain data, so that the charts, the deployments and the runner read the same.

Names, schedule and zone are the reference's.
"""

import difflib
from dataclasses import dataclass

from tickvault.errors import ConfigError


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


def plan(name: str) -> Plan:
    """Return a flow's plan.

    Raises:
        ConfigError: There is no flow of this name.
    """
    for candidate in PLANS:
        if candidate.name == name:
            return candidate
    names = [p.name for p in PLANS]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(names)}"
    raise ConfigError(f"there is no flow '{name}'; {hint}")
