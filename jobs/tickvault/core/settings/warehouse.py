"""How dbt builds."""

from pathlib import Path

from pydantic import Field

from tickvault.core.settings.part import Part


class WarehouseSettings(Part):
    """How dbt builds."""

    title = "Warehouse"

    dbt_project_dir: Path = Field(Path("dbt"), description="Folder of the dbt project")
    dbt_target_path: Path | None = Field(None, description="Folder dbt writes to [default: dbt in TICKVAULT_HOME]")
    dbt_lock_wait_seconds: float = Field(3600.0, ge=0, description="Seconds a build waits for the one before it")
    dbt_settle_seconds: float = Field(
        90.0, ge=0, description="Seconds a build waits at most for reads and loads under way, so that it sees them too"
    )
