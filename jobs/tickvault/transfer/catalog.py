"""Finds sources and sinks by their modules' names; a module is imported only when it is used."""

import importlib
import pkgutil
from types import ModuleType
from typing import Any

from tickvault.core.errors import ConfigError
from tickvault.core.stream import Stream
from tickvault.core.suggestion import suggestion
from tickvault.market import streams
from tickvault.sinks import Sink
from tickvault.sources import Source


def source_names() -> list[str]:
    """Return the names of all sources, without importing one."""
    return _names("tickvault.sources")


def sink_names() -> list[str]:
    """Return the names of all sinks, without importing one."""
    return _names("tickvault.sinks")


def source(name: str) -> type[Source]:
    """Import a source by its name.

    Raises:
        ConfigError: There is none of this name.
    """
    return _class("tickvault.sources", "source", name, Source)


def sink(name: str) -> type[Sink]:
    """Import a sink by its name.

    Raises:
        ConfigError: There is none of this name.
    """
    return _class("tickvault.sinks", "sink", name, Sink)


def stream(source_name: str, stream_name: str) -> Stream:
    """Return the stream of a source, without importing the source where the platform's own list knows it."""
    known = [s for s in streams.ALL if s.name == stream_name]
    if len(known) == 1:
        return known[0]
    for candidate in source(source_name).streams:
        if candidate.name == stream_name:
            return candidate
    raise ConfigError(f"source '{source_name}' has no stream '{stream_name}'")


def _names(package: str) -> list[str]:
    """List the modules that are a source or a sink: those that define a class whose ``name`` is the module's."""
    path = importlib.import_module(package).__path__
    return sorted(m.name for m in pkgutil.iter_modules(path) if not m.ispkg and not m.name.startswith("_"))


def _class(package: str, kind: str, name: str, base: type[Any]) -> type[Any]:
    names = _names(package)
    if name not in names:
        raise ConfigError(f"there is no {kind} '{name}'; {suggestion(name, names)}")
    module: ModuleType = importlib.import_module(f"{package}.{name}")
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, base) and getattr(value, "name", None) == name:
            return value
    raise ConfigError(f"{package}.{name} defines no {kind} whose name is '{name}'")
