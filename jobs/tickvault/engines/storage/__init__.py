"""Objects under keys, on a folder or on S3, with the one guarantee the lake rests on: create only if absent."""

from tickvault.core.errors import ConfigError
from tickvault.core.settings import Settings
from tickvault.engines.storage.bucket import Storage
from tickvault.engines.storage.folder import FolderStorage
from tickvault.engines.storage.s3 import S3Storage

__all__ = ["FolderStorage", "S3Storage", "Storage", "open_storage"]


def open_storage(settings: Settings) -> Storage:
    """Open the lake's storage: the folder ``LAKE_PATH``, else the bucket at ``MINIO_ENDPOINT``.

    Raises:
        ConfigError: Neither is set, or the bucket does not exist or may not be used.
        SinkUnavailableError: The endpoint does not answer.
    """
    if settings.lake_path:
        return FolderStorage(settings.lake_path / settings.minio_bucket)
    if not (settings.minio_endpoint and settings.minio_access_key and settings.minio_secret_key):
        raise ConfigError(
            "no lake: set MINIO_ENDPOINT, MINIO_ACCESS_KEY and MINIO_SECRET_KEY, or LAKE_PATH for a folder"
        )
    import boto3
    from botocore.config import Config

    try:
        client = boto3.client(
            "s3",
            endpoint_url=settings.minio_endpoint,
            aws_access_key_id=settings.minio_access_key.get_secret_value(),
            aws_secret_access_key=settings.minio_secret_key.get_secret_value(),
            region_name=settings.minio_region,
            config=Config(
                connect_timeout=5,
                read_timeout=60,
                retries={"mode": "standard", "total_max_attempts": 4},
                s3={"addressing_style": "path"},
            ),
        )
    except ValueError as error:
        raise ConfigError(f"MINIO_ENDPOINT is '{settings.minio_endpoint}': {error}") from error
    return S3Storage(client, settings.minio_bucket)
