"""How long is kept what neither a reader nor a replay needs."""

from pydantic import Field

from tickvault.core.settings.part import Part


class RetentionSettings(Part):
    """How long is kept what neither a reader nor a replay needs; ``tickvault retention`` removes what is older."""

    title = "Retention"

    retention_run_days: int = Field(400, ge=0, description="Days runs are kept after they ended; 0: for ever")
    retention_log_days: int = Field(90, ge=0, description="Days logs are kept in the lake; 0: for ever")
    retention_build_days: int = Field(
        400, ge=0, description="Days builds are kept, and longer where a later one is judged by them; 0: for ever"
    )
    retention_model_days: int = Field(
        90, ge=0, description="Days it is kept what each node of a build did; that of the newest stays; 0: for ever"
    )
    retention_publication_days: int = Field(
        90, ge=0, description="Days notes on published generations are kept; those still held stay; 0: for ever"
    )
    retention_alert_days: int = Field(400, ge=0, description="Days alerts are kept after they ended; 0: for ever")
    retention_reject_days: int = Field(
        400, ge=0, description="Days rejects are kept after they were replayed; open ones stay; 0: for ever"
    )
    retention_change_days: int = Field(
        400,
        ge=0,
        description="Days states are kept that a raw table held before, once every target's builds have them; 0: for"
        " ever",
    )
    retention_orphan_days: int = Field(
        7, ge=0, description="Days it is kept in the lake what attempts left that never sealed it; 0: for ever"
    )
