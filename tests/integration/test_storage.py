"""The lake's guarantee, on a folder and on the real MinIO: one writer creates a key, and nothing is overwritten."""

import errno
import http.client
import os
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3.exceptions
import pytest
import s3transfer.exceptions
import urllib3
from boto3.exceptions import S3UploadFailedError
from botocore import exceptions as botocore
from botocore.exceptions import ClientError

from tickvault.core.errors import ConfigError, SinkUnavailableError
from tickvault.engines.storage import Storage, open_storage

MINIO = "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z"
SECRET = "tickvault-test"


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def minio() -> Iterator[str]:
    """The URL of a MinIO in a container, with the bucket ``tickvault``."""
    try:
        _docker("image", "inspect", MINIO)
    except (OSError, subprocess.CalledProcessError):
        if os.environ.get("REQUIRE_ENGINES") == "1":
            pytest.fail(f"REQUIRE_ENGINES=1, but image {MINIO} is not here")
        pytest.skip(f"image {MINIO} is not here")
    name = f"tickvault-test-{uuid.uuid4().hex[:8]}"
    login = ("-e", "MINIO_ROOT_USER=tickvault", "-e", f"MINIO_ROOT_PASSWORD={SECRET}")
    _docker("run", "--detach", "--rm", "--name", name, "-p", "127.0.0.1::9000", *login, MINIO, "server", "/data")
    try:
        url = f"http://{_docker('port', name, '9000/tcp').splitlines()[0]}"
        _make_bucket(url)
        yield url
    finally:
        _docker("kill", name)


def _make_bucket(url: str) -> None:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.client(
        "s3", endpoint_url=url, aws_access_key_id="tickvault", aws_secret_access_key=SECRET, region_name="us-east-1"
    )
    deadline = time.monotonic() + 600
    while True:
        try:
            client.create_bucket(Bucket="tickvault")
        except (BotoCoreError, ClientError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def _s3(url: str, **more: str) -> dict[str, str]:
    return {"minio_endpoint": url, "minio_access_key": "tickvault", "minio_secret_key": SECRET} | more


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.engine("minio"))])
def storage(request, tmp_path, make_settings) -> Storage:
    if request.param == "folder":
        return open_storage(make_settings(lake_path=tmp_path))
    return open_storage(make_settings(**_s3(request.getfixturevalue("minio"))))


def test_an_object_is_written_read_listed_and_removed(storage, tmp_path):
    prefix = f"raw-data/{uuid.uuid4().hex}"
    local = tmp_path / "part"
    local.write_bytes(b"rows")
    storage.put_file(f"{prefix}/b/part", local)
    assert storage.put_if_absent(f"{prefix}/a", b"manifest")
    assert list(storage.keys(prefix)) == [f"{prefix}/a", f"{prefix}/b/part"]
    ((_, written),) = storage.written(f"{prefix}/b")
    assert abs(datetime.now(UTC) - written) < timedelta(hours=1)
    assert storage.get(f"{prefix}/a") == b"manifest"
    assert storage.fetch(f"{prefix}/b/part", tmp_path).read_bytes() == b"rows"
    storage.delete(f"{prefix}/a")
    storage.delete(f"{prefix}/a")
    assert storage.get(f"{prefix}/a") is None
    with pytest.raises(FileNotFoundError):
        storage.fetch(f"{prefix}/a", tmp_path)


def test_a_prefix_is_a_folder_not_the_start_of_a_name(storage):
    prefix = f"raw-data/{uuid.uuid4().hex}"
    storage.put_if_absent(f"{prefix}/crypto/x", b"")
    storage.put_if_absent(f"{prefix}/crypto_news/y", b"")
    assert list(storage.keys(f"{prefix}/crypto")) == [f"{prefix}/crypto/x"]


def test_what_is_listed_is_sorted_as_text_and_not_listed_further_than_it_is_taken(storage):
    prefix = f"raw-data/{uuid.uuid4().hex}"
    names = ["a-b/x", "a/y", "a/z/deep", "a.b", "b"]
    for name in names:
        storage.put_if_absent(f"{prefix}/{name}", b"")
    assert [key.removeprefix(f"{prefix}/") for key in storage.keys(prefix)] == sorted(names)
    assert next(storage.keys(prefix)) == f"{prefix}/a-b/x"
    assert storage.folders(prefix) == ["a-b", "a"], "as their keys are: a slash follows"
    assert storage.folders(f"{prefix}/a") == ["z"]
    assert storage.folders(f"{prefix}/nowhere") == []


def test_many_are_removed_at_once(storage):
    prefix = f"raw-data/{uuid.uuid4().hex}"
    keys = [f"{prefix}/{n}/part" for n in range(30)]
    for key in keys:
        storage.put_if_absent(key, b"")
    storage.delete_all([*keys[:20], f"{prefix}/nothing"])
    storage.delete_all(keys[10:20])
    assert list(storage.keys(prefix)) == sorted(keys[20:])
    assert storage.folders(prefix) == [str(n) for n in range(20, 30)]


def test_a_folder_that_is_cleaned_up_meanwhile_is_made_again(tmp_path, make_settings):
    """Whoever removes the last file of a folder removes the folder, while others begin to write into it."""
    storage, stop = open_storage(make_settings(lake_path=tmp_path)), threading.Event()

    def clean() -> None:
        storage.put_if_absent("a/b/old", b"")
        while not stop.is_set():
            storage.delete("a/b/old")
            time.sleep(0.0005)

    with ThreadPoolExecutor(2) as pool:
        cleaners = [pool.submit(clean) for _ in range(2)]
        try:
            for n in range(100):
                assert storage.put_if_absent(f"a/b/{n}", b"")
                storage.delete(f"a/b/{n}")
        finally:
            stop.set()
        assert [cleaner.result() for cleaner in cleaners] == [None, None]


def test_of_eight_writers_one_creates_the_key(storage):
    for _ in range(5):
        key, start, won = f"raw-data/{uuid.uuid4().hex}", threading.Barrier(8), []

        def write(n: int, key: str = key, start: threading.Barrier = start, won: list[int] = won) -> None:
            start.wait()
            if storage.put_if_absent(key, str(n).encode()):
                won.append(n)

        threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert storage.get(key) == str(won[0]).encode()


@pytest.mark.engine("minio")
def test_a_wrong_key_or_bucket_is_configuration_a_silent_endpoint_is_not(minio, make_settings):
    with pytest.raises(ConfigError, match="MINIO_ACCESS_KEY"):
        open_storage(make_settings(**_s3(minio, minio_secret_key="wrong-wrong"))).put_if_absent("k", b"")
    with pytest.raises(ConfigError, match="MINIO_BUCKET"):
        open_storage(make_settings(**_s3(minio, minio_bucket="nowhere"))).put_if_absent("k", b"")


def test_an_endpoint_that_is_not_there_is_transient(make_settings):
    storage = open_storage(make_settings(**_s3("http://127.0.0.1:1")))
    with pytest.raises(SinkUnavailableError, match=r"127\.0\.0\.1:1"):
        storage.put_if_absent("k", b"")


def _answer(status: int, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")


def _wrapped(cause: Exception) -> Exception:
    error = S3UploadFailedError("Failed to upload")
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    ("raised", "meant"),
    [
        (boto3.exceptions.RetriesExceededError(TimeoutError("read")), SinkUnavailableError),
        (s3transfer.exceptions.RetriesExceededError(TimeoutError("read")), SinkUnavailableError),
        (s3transfer.exceptions.TransferNotDoneError("cancelled"), SinkUnavailableError),
        (botocore.ReadTimeoutError(endpoint_url="http://lake"), SinkUnavailableError),
        (botocore.ConnectionClosedError(endpoint_url="http://lake"), SinkUnavailableError),
        (botocore.EndpointConnectionError(endpoint_url="http://lake"), SinkUnavailableError),
        (botocore.IncompleteReadError(actual_bytes=1, expected_bytes=2), SinkUnavailableError),
        (urllib3.exceptions.ProtocolError("connection broken"), SinkUnavailableError),
        (http.client.IncompleteRead(b""), SinkUnavailableError),
        (ConnectionResetError("reset by peer"), SinkUnavailableError),
        (_answer(503, "SlowDown"), SinkUnavailableError),
        (_answer(400, "RequestTimeout"), SinkUnavailableError),
        (_answer(507, "XMinioStorageFull"), SinkUnavailableError),
        (_wrapped(_answer(503, "ServiceUnavailable")), SinkUnavailableError),
        (_wrapped(_answer(403, "AccessDenied")), ConfigError),
        (_answer(404, "NoSuchBucket"), ConfigError),
        (_answer(301, "PermanentRedirect"), ConfigError),
        (botocore.NoCredentialsError(), ConfigError),
        (botocore.PartialCredentialsError(provider="env", cred_var="secret"), ConfigError),
        (OSError(errno.EROFS, os.strerror(errno.EROFS)), ConfigError),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), SinkUnavailableError),
    ],
)
def test_whatever_a_storage_client_gives_up_with_is_mapped(make_settings, monkeypatch, tmp_path, raised, meant):
    storage = open_storage(make_settings(**_s3("http://127.0.0.1:1")))

    def give_up(*_: object, **__: object) -> None:
        raise raised

    for name in ("upload_file", "download_file", "get_object", "put_object", "head_bucket"):
        monkeypatch.setattr(storage.client, name, give_up)
    part = tmp_path / "part"
    part.write_bytes(b"rows")
    for call in (
        lambda: storage.put_file("k", part),
        lambda: storage.put_if_absent("k", b""),
        lambda: storage.get("k"),
        lambda: storage.fetch("k", tmp_path),
        storage.require,
    ):
        with pytest.raises(meant):
            call()


def test_a_bucket_that_is_not_there_is_not_a_key_that_is_not_there(make_settings, monkeypatch, tmp_path):
    """HEAD, with which a download begins, has no body that could tell the two apart."""
    storage = open_storage(make_settings(**_s3("http://127.0.0.1:1")))

    def head_says(error: Exception) -> None:
        def fail(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(storage.client, "download_file", fail)

    head_says(_answer(404, "404"))
    monkeypatch.setattr(storage.client, "head_bucket", lambda **_: {})
    with pytest.raises(FileNotFoundError):
        storage.fetch("k", tmp_path)

    def no_bucket(**_: object) -> None:
        raise _answer(404, "404")

    monkeypatch.setattr(storage.client, "head_bucket", no_bucket)
    with pytest.raises(ConfigError, match="MINIO_BUCKET"):
        storage.fetch("k", tmp_path)
    with pytest.raises(ConfigError, match="MINIO_BUCKET"):
        storage.require()


def test_an_endpoint_that_is_no_address_is_configuration(make_settings):
    with pytest.raises(ConfigError, match="MINIO_ENDPOINT"):
        open_storage(make_settings(**_s3("minio:9000")))


@pytest.mark.parametrize(
    ("number", "meant", "advice"),
    [
        (errno.EROFS, ConfigError, "read-only"),
        (errno.EACCES, ConfigError, "owner and mode"),
        (errno.EPERM, ConfigError, "owner and mode"),
        (errno.ENOTDIR, ConfigError, "check what lies there"),
        (errno.ENOSPC, SinkUnavailableError, "free some space"),
        (errno.EDQUOT, SinkUnavailableError, "free some space"),
        (errno.EIO, SinkUnavailableError, "look at its disk"),
    ],
)
def test_only_a_full_folder_advises_to_free_space(make_settings, tmp_path, monkeypatch, number, meant, advice):
    storage, part = open_storage(make_settings(lake_path=tmp_path)), tmp_path / "part"
    part.write_bytes(b"rows")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    for call in (lambda: storage.put_file("k", part), lambda: storage.put_if_absent("k", b"")):
        with pytest.raises(meant, match=advice) as said:
            call()
        assert ("free some space" in str(said.value)) == (advice == "free some space")


@pytest.mark.parametrize("other_device", [False, True])
def test_bytes_and_names_are_on_the_disk_before_a_part_counts_as_stored(
    make_settings, tmp_path, monkeypatch, other_device
):
    """A log of what is synced and named, in its order; the folders above are new, so their names are synced too."""
    storage, part, log = open_storage(make_settings(lake_path=tmp_path / "lake")), tmp_path / "part", []
    part.write_bytes(b"rows")
    fsync, link, rename = os.fsync, os.link, Path.rename

    def logged_fsync(handle: int) -> None:
        place = Path(f"/proc/self/fd/{handle}").readlink()
        log.append(("sync", place if place.is_dir() else "bytes", os.fstat(handle).st_size))
        fsync(handle)

    def logged_rename(path: Path, place: Path) -> Path:
        if other_device:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        log.append(("name", place, 0))
        return rename(path, place)

    def logged_link(path: str, place: Path) -> None:
        log.append(("name", place, 0))
        link(path, place)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(os, "link", logged_link)
    monkeypatch.setattr(Path, "rename", logged_rename)
    storage.put_file("a/b/part", part)
    place = storage.root / "a/b/part"
    assert place.read_bytes() == b"rows"
    assert not part.exists()
    assert [p.name for p in place.parent.iterdir()] == ["part"]
    named = [entry[0] for entry in log].index("name")
    assert [entry[1:] for entry in log[:named]] == [("bytes", 4)] * (2 if other_device else 1)
    synced = [entry[1] for entry in log[named + 1 :]]
    assert synced == [place.parent, *place.parent.parents][: len(synced)]
    assert synced[-1] == storage.root.parent


def test_a_folder_that_does_not_exist_is_said_where_it_is_needed(make_settings, tmp_path):
    with pytest.raises(ConfigError, match="LAKE_PATH"):
        open_storage(make_settings(lake_path=tmp_path / "not-mounted")).require()


def test_no_lake_at_all_names_the_settings(make_settings):
    with pytest.raises(ConfigError, match=r"MINIO_ENDPOINT.*LAKE_PATH"):
        open_storage(make_settings())


def test_a_full_disk_is_said_and_leaves_nothing_sealed(tmp_path: Path, make_settings):
    """The kernel refuses to write more than some bytes, as a full disk does."""
    child = os.fork()
    if child == 0:
        os._exit(_land_on_a_full_disk(make_settings(lake_path=tmp_path)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _land_on_a_full_disk(settings) -> int:
    import resource
    import signal

    import pyarrow as pa

    from tickvault.core.batch import Batch
    from tickvault.core.slot import Slot
    from tickvault.core.stream import Area, Stream
    from tickvault.lake import Lake

    stream = Stream("raw_x", pa.schema([pa.field("k", pa.string())]), ("k",), None, "raw-data/x", "RAW_X", Area.BATCH)
    rows = pa.RecordBatch.from_pydict({"k": [uuid.uuid4().hex for _ in range(50_000)]}, stream.schema)
    lake, slot = Lake(open_storage(settings)), Slot.parse("20261120T130000Z")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        lake.land("x", stream, [Batch(stream, rows)], slot, "run")
    except SinkUnavailableError as error:
        return 0 if "cannot write" in str(error) and lake.sealed(stream, slot) is None else 2
    return 3
