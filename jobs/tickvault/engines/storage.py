"""Objects under keys, on a folder or on S3, with the one guarantee the lake rests on: create only if absent."""

import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickvault.core.errors import ConfigError, PlatformError, SinkUnavailableError
from tickvault.core.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Storage(ABC):
    """A bucket. Keys use ``/``; nothing is ever overwritten except by ``put`` of a name that is the writer's own."""

    @abstractmethod
    def put_file(self, key: str, path: Path) -> None:
        """Store a local file; the local file may be moved away."""

    @abstractmethod
    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Create an object, atomically and durably; False when the key exists already."""

    @abstractmethod
    def get(self, key: str) -> bytes | None:
        """Return an object's bytes, or None when there is none."""

    @abstractmethod
    def fetch(self, key: str, folder: Path) -> Path:
        """Return a local file with the object's bytes, made in ``folder`` unless it is local already.

        Raises:
            FileNotFoundError: There is no such object.
        """

    @abstractmethod
    def written(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """Yield the keys below a prefix, sorted, each with the time it was written."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys below a prefix, sorted."""
        for key, _ in self.written(prefix):
            yield key

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object; none there is fine."""

    @abstractmethod
    def where(self) -> str:
        """Say in words where this is, for messages."""


class FolderStorage(Storage):
    """A folder of the local file system."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put_file(self, key: str, path: Path) -> None:
        """Move a file in and make it durable."""
        place = self._path(key)
        with _mapped_folder(self.where()):
            place.parent.mkdir(parents=True, exist_ok=True)
            with path.open("rb") as file:
                os.fsync(file.fileno())
            shutil.move(path, place)
            _sync_folder(place.parent)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write aside, then link: a hard link is made by one writer only."""
        place = self._path(key)
        with _mapped_folder(self.where()):
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".new-") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                try:
                    os.link(file.name, place)
                except FileExistsError:
                    return False
            _sync_folder(place.parent)
        return True

    def get(self, key: str) -> bytes | None:
        """Read a file."""
        try:
            with _mapped_folder(self.where()):
                return self._path(key).read_bytes()
        except FileNotFoundError:
            return None

    def fetch(self, key: str, folder: Path) -> Path:
        """Return the file itself."""
        _ = folder
        path = self._path(key)
        if not path.exists():
            raise FileNotFoundError(key)
        return path

    def written(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """Walk the folder, leaving out what is half written."""
        files = (p for p in self._path(prefix).rglob("*") if p.is_file() and not p.name.startswith(".new-"))
        for key in sorted(p.relative_to(self.root).as_posix() for p in files):
            with suppress(FileNotFoundError):  # somebody else cleans up too
                yield key, datetime.fromtimestamp(self._path(key).stat().st_mtime, UTC)

    def delete(self, key: str) -> None:
        """Unlink a file."""
        with _mapped_folder(self.where()):
            self._path(key).unlink(missing_ok=True)

    def where(self) -> str:
        """Return the folder."""
        return f"folder {self.root}"

    def _path(self, key: str) -> Path:
        return self.root / key


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
                if _status(error) == 404:  # noqa: PLR2004 - HTTP's own number
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
                if _status(error) == 404:  # noqa: PLR2004 - HTTP's own number
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

    def delete(self, key: str) -> None:
        """Remove an object."""
        with _mapped(self.where()):
            self.client.delete_object(Bucket=self.bucket, Key=key)

    def where(self) -> str:
        """Return endpoint and bucket."""
        return f"bucket {self.bucket} at {self.client.meta.endpoint_url}"


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
    return S3Storage(client, settings.minio_bucket)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for files on their way, removed at the end.

    Raises:
        SinkUnavailableError: There is no room for it.
    """
    with ExitStack() as stack:
        with _mapped_folder("the folder for temporary files, TMPDIR,"):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tickvault-", ignore_cleanup_errors=True))
        yield Path(folder)


@contextmanager
def _mapped_folder(where: str) -> Iterator[None]:
    """Map the operating system's errors to the platform's, except that a file is not there."""
    try:
        yield
    except FileNotFoundError:
        raise
    except PermissionError as error:
        raise ConfigError(f"{where} may not be used: {error}; check its owner and mode") from error
    except OSError as error:
        raise SinkUnavailableError(f"cannot write to {where}: {error}; free some space and try again") from error


def _sync_folder(folder: Path) -> None:
    """Make a new name durable: on POSIX a directory entry needs its own fsync."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


class _mapped:  # noqa: N801 - reads as a statement
    """Map botocore's errors to the platform's."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if error is None or isinstance(error, PlatformError):
            return
        from boto3.exceptions import S3UploadFailedError
        from botocore.exceptions import BotoCoreError, ClientError

        cause = error.__context__ if isinstance(error, S3UploadFailedError) else error
        if isinstance(cause, ClientError) and _status(cause) in (400, 401, 403, 404):
            code = cause.response.get("Error", {}).get("Code", "")
            raise ConfigError(
                f"{self.where} refuses ({code}): check MINIO_ACCESS_KEY, MINIO_BUCKET and its policy"
            ) from error
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):  # the local end of a download
            raise SinkUnavailableError(f"cannot keep what {self.where} sends: {error}") from error
        if isinstance(error, BotoCoreError | ClientError | S3UploadFailedError):
            raise SinkUnavailableError(f"{self.where} does not answer: {error}") from error
