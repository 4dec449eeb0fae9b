"""Where Snowflake, or its emulator, is."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from tickvault.core.settings.part import Part


class SnowflakeSettings(Part):
    """Where Snowflake, or its emulator, is."""

    title = "Snowflake"

    snowflake_account: str | None = Field(None, description="Account identifier; without it nothing loads to Snowflake")
    snowflake_user: str = Field("TICKVAULT_LOADER", description="User that loads")
    snowflake_password: SecretStr | None = Field(None, description="Password; not needed with a private key")
    snowflake_private_key: SecretStr | None = Field(None, description="PEM text of the user's private key")
    snowflake_private_key_path: Path | None = Field(None, description="File with the user's private key")
    snowflake_private_key_passphrase: SecretStr | None = Field(None, description="Passphrase of the private key")
    snowflake_role: str = Field("TICKVAULT_ROLE", description="Role")
    snowflake_warehouse: str = Field("TICKVAULT_WH", description="Virtual warehouse")
    snowflake_database: str = Field("TICKVAULT", description="Database")
    snowflake_schema: str = Field("RAW", description="Schema of the batch tables")
    snowflake_schema_staging: str = Field("STAGING", description="Schema of the price tables")
    snowflake_reader_role: str = Field("TICKVAULT_READER", description="Role that may read what is published")
    snowflake_host: str | None = Field(None, description="Host of the emulator; empty for a real account")
    snowflake_port: int = Field(443, description="Port of SNOWFLAKE_HOST")
    snowflake_protocol: Literal["http", "https"] = Field("https", description="Protocol of SNOWFLAKE_HOST")
    snowflake_network_timeout: int = Field(120, description="Seconds one statement may hang before it is given up")
