"""The one place that reads the environment.

Field names are the environment variables of the reference documents, lower case. One module beside this per part;
``docs/settings.md`` and ``.env.example`` are made from the parts (``tickvault settings``), and a test holds them to it.
"""

import os
from collections.abc import Mapping
from typing import Any, Self

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from tickvault.core.errors import ConfigError
from tickvault.core.settings.alerts import AlertSettings
from tickvault.core.settings.flows import FlowSettings
from tickvault.core.settings.lake import LakeSettings
from tickvault.core.settings.market import MarketSettings
from tickvault.core.settings.part import Part
from tickvault.core.settings.postgres import PostgresSettings
from tickvault.core.settings.runs import RunSettings
from tickvault.core.settings.snowflake import SnowflakeSettings
from tickvault.core.settings.sources import SourceSettings
from tickvault.core.settings.trino import TrinoSettings
from tickvault.core.settings.warehouse import WarehouseSettings


class Settings(
    AlertSettings,
    FlowSettings,
    RunSettings,
    MarketSettings,
    SourceSettings,
    WarehouseSettings,
    TrinoSettings,
    SnowflakeSettings,
    PostgresSettings,
    LakeSettings,
    BaseSettings,
):
    """Everything that can be set from outside; secrets are ``SecretStr`` and never printed.

    The part that is listed last comes first, since fields are collected from the end of a class's ancestry.
    """

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the environment and ``.env``; keyword arguments win.

        Raises:
            ConfigError: A variable has a value that does not fit; every one is named.
        """
        try:
            return cls(**overrides)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
            raise ConfigError(f"settings do not fit: {wrong}") from error

    @classmethod
    def parts(cls) -> dict[str, list[str]]:
        """Return the names of each part's fields by the part's title, all in the order of the fields."""
        parts = (base for base in reversed(cls.__bases__) if issubclass(base, Part))
        return {part.title: list(part.__annotations__) for part in parts}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - what pydantic-settings asks for
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Look only where something is: going through a ``.env`` that is not there took half of a start's reading."""
        written = isinstance(dotenv_settings, DotEnvSettingsSource) and dotenv_settings.env_vars
        return (init_settings, env_settings, *([dotenv_settings] if written else []))

    def secrets(self) -> list[str]:
        """Return every secret value, for the log's redaction."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return [v.get_secret_value() for v in values if isinstance(v, SecretStr) and v.get_secret_value()]


def export(environment: Mapping[str, str]) -> None:
    """Set variables for this process and those it starts; an empty value counts as not set."""
    os.environ.update(environment)


def environment() -> dict[str, str]:
    """Return this process's variables, for one it starts."""
    return dict(os.environ)


def replace_environment(variables: Mapping[str, str]) -> None:
    """Give this process, a fork, the variables of the process it stands in for."""
    os.environ.clear()
    os.environ.update(variables)
