"""Where a question goes when no settings name an engine: to the demo's, where they run."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tickvault.core.engine import ENGINES
from tickvault.core.errors import ConfigError, SinkUnavailableError
from tickvault.core.settings import Settings, export
from tickvault.local.engines import are_running, use
from tickvault.local.home import Home


@contextmanager
def within_reach(settings: Settings, arguments: Sequence[str]) -> Iterator[Settings]:
    """Give settings that name an engine: these, or else those of the demo's engines while they are used.

    Where none is named and none of the demo's runs, the defaults may still do; if they do not, the error says what
    ``tickvault local`` is and what to paste.

    Args:
        settings: As they were loaded.
        arguments: The command as it was typed, without ``tickvault``.
    """
    if names_an_engine(settings):
        yield settings
        return
    home = Home.of(settings.tickvault_home, live=False)
    if home.folder.exists() and are_running(home):
        who, idle = shlex.join(["tickvault", *arguments[:1]]), settings.tickvault_local_idle_minutes
        with use(home, who, idle_minutes=idle) as engines:
            export(engines.environment)
            yield Settings.load()
        return
    try:
        yield settings
    except (ConfigError, SinkUnavailableError) as error:
        raise type(error)(f"{error}\n{advice(settings, arguments)}") from error


def names_an_engine(settings: Settings) -> bool:
    """Tell whether any engine's address is set rather than left at its default."""
    return not settings.model_fields_set.isdisjoint(engine.setting for engine in ENGINES.values())


def advice(settings: Settings, arguments: Sequence[str]) -> str:
    """Say that no engine is named, what ``local`` is, and what to paste."""
    made = Home.of(settings.tickvault_home, live=False).folder.exists()
    once = "" if made else ", which is made once by 'tickvault demo'"
    return (
        "No engine is named: POSTGRES_HOST is not set. 'tickvault local' runs a command against the demo's engines"
        f" on this machine{once}:\n  tickvault local {shlex.join(arguments)}"
    )
