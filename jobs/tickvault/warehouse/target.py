"""The dbt targets: where the warehouse is built, and from what."""

from dataclasses import dataclass

from tickvault.core.errors import ConfigError
from tickvault.core.settings import Settings
from tickvault.core.suggestion import suggestion


@dataclass(frozen=True, slots=True)
class Target:
    """One target of the dbt project.

    Args:
        name: Its name in ``profiles.yml``.
        engine: The engine it builds on, and the tag of what it builds.
        sink: The sink whose loads it builds from.
    """

    name: str
    engine: str
    sink: str

    @property
    def job(self) -> str:
        """The name of the job that builds it, and of its lock."""
        return f"dbt-{self.engine}"


TARGETS = (Target("dev-snowflake", "snowflake", "snowflake"), Target("dev-trino", "trino", "postgres"))
ENGINES = tuple(t.engine for t in TARGETS)


def target(name: str) -> Target:
    """Return a target by its name.

    Raises:
        ConfigError: There is none of this name.
    """
    for candidate in TARGETS:
        if candidate.name == name:
            return candidate
    raise ConfigError(f"there is no dbt target '{name}'; {suggestion(name, (t.name for t in TARGETS))}")


def default_engine(settings: Settings) -> str:
    """Return the engine to ask when nobody said which: the first that is set up.

    Raises:
        ConfigError: None is.
    """
    if settings.snowflake_account:
        return "snowflake"
    if settings.trino_host:
        return "trino"
    raise ConfigError("no warehouse is set up: set SNOWFLAKE_ACCOUNT or TRINO_HOST (after a demo: tickvault local …)")
