"""The dbt targets: where the warehouse is built, and from what."""

from dataclasses import dataclass

from tickvault.core.engine import ENGINES, WAREHOUSES
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

    @property
    def argv(self) -> tuple[str, ...]:
        """The arguments of ``tickvault`` that build it."""
        return ("dbt", "build", "--target", self.name)


TARGETS = tuple(Target(f"dev-{e.name}", e.name, e.sink) for e in ENGINES.values() if e.sink)


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
    """Return the engine to ask when nobody said which: the first that is built and set up, else the first set up.

    Raises:
        ConfigError: None is.
    """
    on = [name for name in WAREHOUSES if ENGINES[name].is_on(settings)]
    for name in (*(n for n in on if n in settings.build_engines), *on):
        return name
    needed = " or ".join(ENGINES[name].setting.upper() for name in WAREHOUSES)
    raise ConfigError(f"no warehouse is set up: set {needed} (after a demo: tickvault local …)")
