"""What a run is, and where it reports."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from tickvault.core.settings.part import Part


def _zoned(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("must name its time zone, for instance 2026-11-20T13:00:00Z")
    return value


class RunSettings(Part):
    """What a run is, and where it reports."""

    title = "Runs"

    tickvault_slot: str | None = Field(None, description="The slot to run, as 20261120T130000Z or ISO 8601")
    tickvault_schedule: str = Field("0 20 * * *", description="Cron expression a slot is derived from")
    tickvault_timezone: str = Field("Asia/Ho_Chi_Minh", description="Time zone of TICKVAULT_SCHEDULE")
    tickvault_job_name: str | None = Field(None, description="Name of the Kubernetes Job, by the downward API")
    tickvault_clock: Annotated[datetime, AfterValidator(_zoned)] | None = Field(
        None, description="A simulated now, ISO 8601 UTC; for tests and the demo"
    )
    tickvault_home: Path = Field(Path(".tickvault"), description="Folder of the embedded engines' data")
    tickvault_local_idle_minutes: float = Field(
        30.0, gt=0, description="Minutes after which the embedded engines end when nobody uses them"
    )
    service_drain_seconds: float = Field(
        25.0, ge=0, description="Seconds a service may take to finish its work once it is told to stop"
    )
    tickvault_termination_log: Path | None = Field(None, description="Write a run's outcome as JSON to this file")
    tickvault_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Log level")
    tickvault_log_format: Literal["json", "text"] = Field("json", description="json for machines, text for people")
    lock_wait_seconds: float = Field(30.0, ge=0, description="Seconds a job waits for another one of its name")
    pushgateway_url: str | None = Field(None, description="Prometheus Pushgateway; empty pushes nothing")
    fault_at: str | None = Field(None, description="Test only: end the process with 137 at this named point")

    def now(self) -> datetime:
        """Return what the run takes for now: the simulated clock where one is set."""
        return self.tickvault_clock or datetime.now(UTC)
