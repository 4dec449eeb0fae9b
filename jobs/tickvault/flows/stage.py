"""What a flow consists of: stages, each a piece of data that knows the steps it stands for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

from tickvault.core.engine import ENGINES
from tickvault.core.settings import Settings
from tickvault.runners.step import Step
from tickvault.warehouse.target import TARGETS


class Stage(Protocol):
    """Steps of a flow that run side by side."""

    each_slot: ClassVar[bool]
    """Whether a backfill runs them for every slot; if not, once at its end."""

    def steps(self, flow: str, settings: Settings, *, force: bool) -> Iterator[Step]:
        """Yield the steps; how often each is tried is up to the flow.

        A step's name holds the flow's where several flows share its job: one must not take the other's result for its
        own. A step that is to run only ``after`` another is left out of a flow that does not have the other.
        """
        ...


@dataclass(frozen=True, slots=True)
class Extract:
    """Read sources into the lake.

    Args:
        sources: Their names.
    """

    each_slot: ClassVar[bool] = True
    sources: tuple[str, ...]

    def steps(self, flow: str, settings: Settings, *, force: bool) -> Iterator[Step]:
        """Yield one step per source, the same in every flow."""
        del flow, settings
        for source in self.sources:
            job = f"extract-{source.replace('_', '-')}"
            yield Step(job, job, ("extract", source, *(["--force"] if force else [])))


@dataclass(frozen=True, slots=True)
class Load:
    """Load what landed.

    Args:
        sinks: Targets to load; one whose engine is off is left out.
        source: Load this source's packages instead of those of the flow.
    """

    each_slot: ClassVar[bool] = False
    sinks: tuple[str, ...] = ("postgres", "snowflake")
    source: str | None = None

    def steps(self, flow: str, settings: Settings, *, force: bool) -> Iterator[Step]:
        """Yield one step per sink."""
        del force
        which = ("--source", self.source) if self.source else ("--flow", flow)
        for sink in self.sinks:
            if sink not in ENGINES or ENGINES[sink].is_on(settings):
                yield Step(load_name(sink, flow), f"load-{sink}", ("load", sink, *which))


@dataclass(frozen=True, slots=True)
class Build:
    """Build the warehouse from what was loaded, on the engines the settings want built."""

    each_slot: ClassVar[bool] = False

    def steps(self, flow: str, settings: Settings, *, force: bool) -> Iterator[Step]:
        """Yield one step per dbt target, after the load it builds from."""
        del force
        for target in TARGETS:
            if target.engine in settings.build_engines:
                yield Step(f"{target.job}-{flow}", target.job, target.argv, after=load_name(target.sink, flow))


def load_name(sink: str, flow: str) -> str:
    """Return the name of a flow's load."""
    return f"load-{sink}-{flow}"
