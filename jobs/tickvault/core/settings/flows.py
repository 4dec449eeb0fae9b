"""How a flow runs its steps."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from tickvault.core.engine import ENGINES, WAREHOUSES
from tickvault.core.settings.part import Part

_BOTH = ("snowflake", "trino")
"""What ``both`` stands for: it is older than the list."""
_CHOICE = f"both ({' and '.join(_BOTH)}), or a comma separated list of {', '.join(WAREHOUSES)}"
_WORDS = {"off", "all", "both"}


def _engines(value: str) -> str:
    if value not in _WORDS and not set(_words(value)) <= set(WAREHOUSES):
        raise ValueError(f"should be off, all, {_CHOICE}")
    return value


def _words(value: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in value.split(","))


class FlowSettings(Part):
    """How a flow runs its steps."""

    title = "Flows"

    tickvault_runner: Literal["process", "kubernetes"] = Field("process", description="Where flows start their steps")
    tickvault_namespace: str = Field("tickvault", description="Namespace of the jobs, for the kubernetes runner")
    tickvault_flows_namespace: str | None = Field(
        None, description="Namespace of the flows' pods, where it is not TICKVAULT_NAMESPACE"
    )
    tickvault_build: Annotated[str, AfterValidator(_engines)] = Field(
        "all", description=f"Engines the warehouse is built on: off, all (every one that is set up), {_CHOICE}"
    )
    flow_retries: int = Field(3, ge=0, description="Further attempts of a flow's step that failed for the moment")
    flow_retry_delay_seconds: float = Field(300.0, ge=0, description="Wait before the first of them; doubles each time")
    flow_retry_delay_max_seconds: float = Field(1800.0, ge=0, description="The longest wait between two attempts")
    step_timeout_seconds: float = Field(3600.0, gt=0, description="The longest a flow's step may take")

    @property
    def build_engines(self) -> tuple[str, ...]:
        """The engines of ``TICKVAULT_BUILD``."""
        if self.tickvault_build == "off":
            return ()
        if self.tickvault_build == "all":
            return tuple(name for name in WAREHOUSES if ENGINES[name].is_on(self))
        return _BOTH if self.tickvault_build == "both" else _words(self.tickvault_build)
