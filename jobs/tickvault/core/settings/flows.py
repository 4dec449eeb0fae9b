"""How a flow runs its steps."""

from typing import Literal

from pydantic import Field

from tickvault.core.settings.part import Part


class FlowSettings(Part):
    """How a flow runs its steps."""

    title = "Flows"

    tickvault_runner: Literal["process", "kubernetes"] = Field("process", description="Where flows start their steps")
    tickvault_namespace: str = Field("tickvault", description="Namespace of the jobs, for the kubernetes runner")
    tickvault_flows_namespace: str | None = Field(
        None, description="Namespace of the flows' pods, where it is not TICKVAULT_NAMESPACE"
    )
    tickvault_build: Literal["off", "snowflake", "trino", "both"] = Field(
        "off", description="Targets a flow asks for a dbt build after its loads"
    )
    flow_retries: int = Field(3, ge=0, description="Further attempts of a flow's step that failed for the moment")
    flow_retry_delay_seconds: float = Field(300.0, ge=0, description="Wait before the first of them; doubles each time")
    flow_retry_delay_max_seconds: float = Field(1800.0, ge=0, description="The longest wait between two attempts")
    step_timeout_seconds: float = Field(3600.0, gt=0, description="The longest a flow's step may take")
