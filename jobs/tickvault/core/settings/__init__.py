"""The one place that reads the environment; only ``core.program`` hands on how it was called.

Field names are the environment variables of the reference documents, lower case. One module beside this per part;
``docs/settings.md`` and ``.env.example`` are made from the parts (``tickvault settings``), and a test holds them to it.
"""

import os
from collections.abc import Mapping
from typing import Any, Self

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from tickvault.core import redaction
from tickvault.core.errors import ConfigError
from tickvault.core.settings.alerts import AlertSettings
from tickvault.core.settings.flows import FlowSettings
from tickvault.core.settings.lake import LakeSettings
from tickvault.core.settings.market import MarketSettings
from tickvault.core.settings.part import Part
from tickvault.core.settings.postgres import PostgresSettings
from tickvault.core.settings.retention import RetentionSettings
from tickvault.core.settings.runs import RunSettings
from tickvault.core.settings.snowflake import SnowflakeSettings
from tickvault.core.settings.sources import SourceSettings
from tickvault.core.settings.trino import TrinoSettings
from tickvault.core.settings.warehouse import WarehouseSettings


class Settings(
    RetentionSettings,
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
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - what pydantic-settings asks for
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the environment, then ``.env``, as they were read."""
        return (init_settings, _Found(settings_cls, env_settings), _Found(settings_cls, dotenv_settings))

    def model_post_init(self, context: Any, /) -> None:
        """Have every secret blotted out from now on, wherever something is said."""
        del context
        for name, value in self:
            if isinstance(value, SecretStr):
                redaction.know([value.get_secret_value()], sent=name in SourceSettings.__annotations__)
            elif isinstance(value, str) and (password := redaction.in_address(value)):
                redaction.know([password])


class _Found(PydanticBaseSettingsSource):
    """The variables there are, of the names of fields, as text.

    Pydantic's own sources ask for each field in turn, and whether it is JSON: most of the time a start took to read
    its settings, more with each further one.
    """

    def __init__(self, settings_cls: type[BaseSettings], source: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        self._variables = source.env_vars if isinstance(source, EnvSettingsSource) else {}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Give one field's variable, as the base class wants it."""
        del field
        return self._variables.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Give all of them."""
        return {name: text for name, text in self._variables.items() if name in self.settings_cls.model_fields}


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
