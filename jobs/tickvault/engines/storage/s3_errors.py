"""What the errors of an S3 client mean to the platform; botocore, boto3, s3transfer and urllib3 each have their own."""

import http.client
import ssl
from collections.abc import Iterator

from boto3.exceptions import Boto3Error
from botocore import exceptions as botocore
from s3transfer import exceptions as s3transfer
from urllib3.exceptions import HTTPError

from tickvault.core.errors import ConfigError, PlatformError, SinkUnavailableError
from tickvault.engines.storage.folder import refused as refused_by_system

_SET_WRONGLY = (
    botocore.NoCredentialsError,
    botocore.PartialCredentialsError,
    botocore.CredentialRetrievalError,
    botocore.NoRegionError,
    botocore.InvalidRegionError,
    botocore.BaseEndpointResolverError,
    botocore.EndpointProviderError,
    botocore.ParamValidationError,
    botocore.UnsupportedSignatureVersionError,
)
_GAVE_UP = (
    botocore.BotoCoreError,
    botocore.ClientError,
    Boto3Error,
    s3transfer.RetriesExceededError,
    s3transfer.S3UploadFailedError,
    s3transfer.S3DownloadFailedError,
    s3transfer.TransferNotDoneError,
    s3transfer.CancelledError,
    HTTPError,
    http.client.HTTPException,
)
_NETWORK = (ConnectionError, TimeoutError, ssl.SSLError)
_PASSING = {"RequestTimeout", "IncompleteBody", "SlowDown", "Throttling", "OperationAborted", "BadDigest"}
"""Codes S3 answers with 4xx although the same request may well succeed now."""
_REFUSALS = (301, 400, 401, 403, 404, 405, 501)


def refused(error: Exception, where: str) -> PlatformError | None:
    """Return the platform's error for one of a storage client's, None where it is no such error.

    The client wraps: an upload that is refused arrives as a transfer that failed, whose cause says why.
    """
    for cause in _causes(error):
        if isinstance(cause, botocore.ClientError):
            return _answered(cause, where)
        if isinstance(cause, botocore.SSLError) and "CERTIFICATE" in str(cause).upper():
            return ConfigError(f"{where} shows a certificate nobody here trusts: {cause}; check MINIO_ENDPOINT")
        if isinstance(cause, _SET_WRONGLY):
            return ConfigError(
                f"{where} cannot be asked: {cause}; check MINIO_ENDPOINT, MINIO_REGION, MINIO_ACCESS_KEY and"
                " MINIO_SECRET_KEY"
            )
    if isinstance(error, _GAVE_UP + _NETWORK):
        return SinkUnavailableError(f"{where} does not answer: {error}")
    if isinstance(error, OSError):  # the local end of a transfer
        return refused_by_system(error, f"the folder for what {where} sends")
    return None


def _answered(error: botocore.ClientError, where: str) -> PlatformError:
    code = error.response.get("Error", {}).get("Code", "")
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "NoSuchBucket":
        return ConfigError(f"{where} does not exist: check MINIO_BUCKET, or make the bucket")
    if status in _REFUSALS and code not in _PASSING:
        return ConfigError(f"{where} refuses ({code}): check MINIO_ACCESS_KEY, MINIO_BUCKET and its policy")
    return SinkUnavailableError(f"{where} does not answer: {error}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
