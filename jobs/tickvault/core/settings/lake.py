"""Where the lake is."""

from pathlib import Path

from pydantic import Field, SecretStr

from tickvault.core.settings.part import Part


class LakeSettings(Part):
    """Where the lake is."""

    title = "Lake"

    minio_endpoint: str | None = Field(None, description="S3 endpoint URL; empty with LAKE_PATH set uses a folder")
    minio_access_key: SecretStr | None = Field(None, description="S3 access key")
    minio_secret_key: SecretStr | None = Field(None, description="S3 secret key")
    minio_bucket: str = Field("tickvault", description="Bucket of the lake, also the folder's name in LAKE_PATH")
    minio_region: str = Field("us-east-1", description="S3 region")
    lake_path: Path | None = Field(None, description="Keep the lake in this folder instead of S3")
