"""The engines that answer in SQL, and which of them the warehouse is built on: the one list of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine.

    Args:
        name: Its name, also in the names of jobs and as the tag of the dbt models built on it.
        setting: The setting without which it is off.
        sink: The sink whose loads the warehouse is built from; None where no warehouse is built on it.
    """

    name: str
    setting: str
    sink: str | None = None

    def is_on(self, settings: object) -> bool:
        """Whether the settings name it."""
        return bool(getattr(settings, self.setting))


ENGINES = {
    engine.name: engine
    for engine in (
        Engine("postgres", "postgres_host", sink="postgres"),
        Engine("snowflake", "snowflake_account", sink="snowflake"),
        Engine("trino", "trino_host", sink="postgres"),
    )
}
WAREHOUSES = tuple(engine.name for engine in ENGINES.values() if engine.sink)
