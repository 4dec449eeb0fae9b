"""Where Trino is."""

from typing import Literal

from pydantic import Field, SecretStr

from tickvault.core.settings.part import Part


class TrinoSettings(Part):
    """Where Trino is."""

    title = "Trino"

    trino_host: str | None = Field(None, description="Trino coordinator; empty switches Trino off")
    trino_port: int = Field(8080, description="Port of TRINO_HOST")
    trino_user: str = Field("tickvault", description="User that builds and queries")
    trino_password: SecretStr | None = Field(None, description="Password; needs TRINO_SCHEME=https")
    trino_scheme: Literal["http", "https"] = Field("http", description="Protocol of TRINO_HOST")
    trino_lake_catalog: str = Field("lake", description="Iceberg catalogue the warehouse is built in")
    trino_raw_catalog: str = Field("postgres", description="Catalogue through which the raw tables are read")
