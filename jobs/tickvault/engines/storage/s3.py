"""A bucket behind any S3 endpoint as the storage."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickvault.core.errors import PlatformError, SinkUnavailableError
from tickvault.engines.storage.bucket import Storage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_AT_ONCE = 1000
"""How many objects S3 removes in one request."""


class S3Storage(Storage):
    """A bucket behind any S3 endpoint that honours ``If-None-Match: *`` (MinIO and AWS do)."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self.client, self.bucket = client, bucket

    def put_file(self, key: str, path: Path) -> None:
        """Upload a file, in parts where it is large."""
        with _mapped(self.where()):
            self.client.upload_file(str(path), self.bucket, key)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Send a conditional PUT."""
        from botocore.exceptions import ClientError

        with _mapped(self.where()):
            try:
                self.client.put_object(Bucket=self.bucket, Key=key, Body=data, IfNoneMatch="*")
            except ClientError as error:
                if _status(error) in (409, 412):  # 409: two conditional writers met; the other one goes first
                    return False
                raise
        return True

    def get(self, key: str) -> bytes | None:
        """Read an object."""
        from botocore.exceptions import ClientError

        with _mapped(self.where()):
            try:
                return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            except ClientError as error:
                if _is_absent(error):
                    return None
                raise

    def fetch(self, key: str, folder: Path) -> Path:
        """Download into the folder."""
        from botocore.exceptions import ClientError

        place = folder / key.replace("/", "_")
        with _mapped(self.where()):
            try:
                self.client.download_file(self.bucket, key, str(place))
            except ClientError as error:
                if _is_absent(error):
                    self.client.head_bucket(Bucket=self.bucket)  # HEAD, which a download begins with, tells no code
                    raise FileNotFoundError(key) from error
                raise
        return place

    def written(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """List page by page; S3 sorts by key."""
        with _mapped(self.where()):
            folder = prefix.rstrip("/") + "/" if prefix else ""
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=folder):
                for item in page.get("Contents", []):
                    yield item["Key"], item["LastModified"]

    def folders(self, prefix: str) -> list[str]:
        """List with a delimiter: S3 then names what lies deeper by its first part."""
        folder = prefix.rstrip("/") + "/" if prefix else ""
        found: list[str] = []
        with _mapped(self.where()):
            pages = self.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=folder, Delimiter="/"):
                found += [item["Prefix"].removeprefix(folder).rstrip("/") for item in page.get("CommonPrefixes", [])]
        return found

    def delete_all(self, keys: Sequence[str]) -> None:
        """Send a request per 1,000."""
        for start in range(0, len(keys), _AT_ONCE):
            objects: Any = [{"Key": key} for key in keys[start : start + _AT_ONCE]]
            with _mapped(self.where()):
                answer = self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True})
            if errors := answer.get("Errors"):
                first = errors[0]
                raise SinkUnavailableError(f"{self.where()} does not remove {first.get('Key')}: {first.get('Code')}")

    def require(self) -> None:
        """Ask for the bucket."""
        with _mapped(self.where()):
            self.client.head_bucket(Bucket=self.bucket)

    def where(self) -> str:
        """Return endpoint and bucket."""
        return f"bucket {self.bucket} at {self.client.meta.endpoint_url}"


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _is_absent(error: Any) -> bool:
    """Tell whether a key is not there; that the bucket is not there is another thing."""
    return _status(error) == 404 and error.response.get("Error", {}).get("Code") != "NoSuchBucket"  # noqa: PLR2004


class _mapped:  # noqa: N801 - reads as a statement
    """Map what a storage client raises to the platform's errors."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, PlatformError | FileNotFoundError):
            from tickvault.engines.storage.s3_errors import refused

            mapped = refused(error, self.where)
            if mapped is not None:
                raise mapped from error
