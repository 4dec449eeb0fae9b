"""Packages are sealed once, by one writer, and read back as they were written."""

import dataclasses
import errno
import os
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice

import pyarrow as pa
import pytest

from tickvault.core.batch import Batch
from tickvault.core.errors import LoadRejectedError, SchemaMismatchError, SinkUnavailableError, SourceUnavailableError
from tickvault.core.package import Outcome, OutcomeStatus, Package, Reject
from tickvault.core.slot import Slot
from tickvault.engines.storage import FolderStorage
from tickvault.lake import Lake
from tickvault.market.streams import BARS_BINANCE, CRYPTO_BINANCE

SLOT = Slot.parse("20261120T130000Z")


def prices(*symbols: str, price: str = "1.5") -> pa.RecordBatch:
    at = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
    row = {
        "base_currency": "B",
        "quote_currency": "USDT",
        "price": Decimal(price),
        "source": "binance",
        "observed_at": at,
    }
    return pa.RecordBatch.from_pylist([row | {"symbol": s} for s in symbols], CRYPTO_BINANCE.schema)


def batch(*symbols: str, **more) -> Batch:
    return Batch(CRYPTO_BINANCE, prices(*symbols), dict.fromkeys(symbols, "2026-11-20"), **more)


@pytest.fixture
def lake(tmp_path):
    return Lake(FolderStorage(tmp_path / "bucket"))


def orphans(lake, older_than) -> list[str]:
    path = CRYPTO_BINANCE.lake_path
    folders = (folder for day in lake.days(path) for folder in lake.folders(f"{path}/dt={day}"))
    return [key for folder in folders for key in lake.orphans(folder, older_than)]


def land(lake, *batches, revision=0, slot=SLOT):
    return lake.land("binance", CRYPTO_BINANCE, batches, slot, "run", revision)


def test_what_lands_is_read_back_with_its_version(lake):
    package = land(lake, batch("BTC", "ETH"), batch("SOL"))
    rows = pa.Table.from_batches(lake.scan(package)).to_pylist()
    assert [r["symbol"] for r in rows] == ["BTC", "ETH", "SOL"]
    assert {r["row_version"] for r in rows} == {"2026-11-20T12:00:00.123456Z|20261120T130000Z|r0000"}
    assert package.rows == 3
    assert package.cursor == {"BTC": "2026-11-20", "ETH": "2026-11-20", "SOL": "2026-11-20"}
    assert package.id == "binance.raw_cryptoprices_binance.20261120T130000Z.r0"


def test_paths_are_those_of_the_design(lake):
    package = land(lake, batch("BTC"))
    folder = "raw-data/crypto/binance/dt=2026-11-20/20261120T130000Z/r0/"
    assert package.manifest_key == folder + "manifest.json"
    assert package.parts[0].key.startswith(folder)
    assert package.parts[0].key.endswith("-00000.parquet")


def test_a_manifest_tells_everything_of_a_package(lake):
    outcomes = (Outcome("XYZ", OutcomeStatus.FAILED, "no answer"),)
    package = land(lake, batch("BTC", outcomes=outcomes, rejects=(Reject("Q", "price", "is NaN", {"price": "NaN"}),)))
    assert Package.from_json(package.to_json()) == package
    assert lake.sealed(CRYPTO_BINANCE, SLOT) == package
    assert list(lake.rejects(package)) == [Reject("Q", "price", "is NaN", {"price": "NaN"})]
    assert [o.item for o in package.failed] == ["XYZ"]


def test_an_empty_read_is_a_package_too(lake):
    package = land(lake, batch())
    assert (package.rows, package.parts) == (0, ())
    assert lake.sealed(CRYPTO_BINANCE, SLOT) is not None


def test_the_first_manifest_wins_and_the_loser_adopts_it(lake):
    start = threading.Barrier(8)
    landed: list[Package] = []

    def attempt(n: int) -> None:
        start.wait()
        landed.append(land(lake, Batch(CRYPTO_BINANCE, prices("BTC", price=str(n)))))

    threads = [threading.Thread(target=attempt, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len({p.parts[0].sha256 for p in landed}) == 1
    found = orphans(lake, datetime(2026, 1, 1, tzinfo=UTC))
    assert len(found) == 7
    assert landed[0].parts[0].key not in found


def test_orphans_of_an_unsealed_slot_are_kept_while_young(lake):
    def breaks():
        yield Batch(CRYPTO_BINANCE, prices(*map(str, range(10))))
        raise SourceUnavailableError("gone")

    lake.storage.put_if_absent("raw-data/crypto/binance/dt=2026-11-20/20261120T130000Z/r0/x-00000.parquet", b"")
    with pytest.raises(SourceUnavailableError):
        lake.land("binance", CRYPTO_BINANCE, breaks(), SLOT, "run")
    assert lake.sealed(CRYPTO_BINANCE, SLOT) is None
    now = datetime.now(UTC)
    assert orphans(lake, now - timedelta(days=7)) == []
    assert len(orphans(lake, now + timedelta(days=1))) == 1


def test_parts_of_a_run_for_a_slot_of_long_ago_are_young(lake):
    key = "raw-data/crypto/binance/dt=2016-01-01/20160101T130000Z/r0/x-00000.parquet"
    lake.storage.put_if_absent(key, b"")
    week_ago = datetime.now(UTC) - timedelta(days=7)
    assert orphans(lake, week_ago) == []
    os.utime(lake.storage.root / key, times=(0, 0))
    assert orphans(lake, week_ago) == [key]


@pytest.mark.parametrize("call", ["fsync", "link", "mkdtemp"])
def test_a_disk_that_is_full_at_any_step_is_said_and_leaves_nothing(lake, monkeypatch, call):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(tempfile if call == "mkdtemp" else os, call, full)
        with pytest.raises(SinkUnavailableError, match="No space left"):
            land(lake, batch())
    assert [p for p in lake.storage.root.rglob("*") if p.is_file()] == []
    assert lake.sealed(CRYPTO_BINANCE, SLOT) is None


def test_revisions_are_listed_in_order_and_streams_below_a_prefix_stay_apart(lake):
    land(lake, batch("BTC"))
    land(lake, batch("ETH"), revision=1)
    bars = Batch(BARS_BINANCE, pa.RecordBatch.from_pylist([], BARS_BINANCE.schema))
    lake.land("binance", BARS_BINANCE, [bars], SLOT, "run")
    assert [p.revision for p in lake.revisions(CRYPTO_BINANCE, SLOT)] == [0, 1]
    assert [p.id.split(".")[1] for p in lake.packages(CRYPTO_BINANCE)] == [CRYPTO_BINANCE.name] * 2


def test_the_newest_packages_are_found_without_reading_one_or_listing_older_days(lake, monkeypatch):
    for days in range(5):
        slot = dataclasses.replace(SLOT, time=SLOT.time - timedelta(days=days))
        land(lake, batch("BTC"), slot=slot)
    for revision in range(1, 11):
        land(lake, batch("BTC"), revision=revision)
    lake.storage.put_if_absent("raw-data/crypto/binance/dt=2026-11-20/20261120T140000Z/r0/killed-00000.parquet", b"")
    listed = []
    monkeypatch.setattr(FolderStorage, "get", lambda *_: pytest.fail("a manifest was read"))
    written = FolderStorage.written
    monkeypatch.setattr(
        FolderStorage, "written", lambda self, prefix: (listed.append(prefix), written(self, prefix))[1]
    )
    found = list(islice(lake.newest(CRYPTO_BINANCE), 12))
    assert [f.revision for f in found] == [*range(10, -1, -1), 0]
    assert [f.slot.id[:8] for f in found[-2:]] == ["20261120", "20261119"]
    assert {prefix.split("/")[3] for prefix in listed} == {"dt=2026-11-20", "dt=2026-11-19"}
    since = SLOT.time - timedelta(days=2)
    assert [f.slot.time for f in lake.newest(CRYPTO_BINANCE, since)][-1] == since
    assert list(lake.newest(CRYPTO_BINANCE, SLOT.time + timedelta(seconds=1))) == []


def test_a_part_that_is_not_the_one_sealed_is_refused(lake):
    package = land(lake, batch("BTC"))
    (lake.storage.root / package.parts[0].key).write_bytes(b"something else")
    with pytest.raises(LoadRejectedError, match="sha256"):
        list(lake.scan(package))
    (lake.storage.root / package.parts[0].key).unlink()
    with pytest.raises(LoadRejectedError, match="missing"):
        list(lake.scan(package))


def test_a_column_of_another_type_is_named(lake):
    wrong = prices("BTC")
    wrong = wrong.set_column(
        3, pa.field("price", pa.float64(), nullable=False), wrong.column("price").cast(pa.float64())
    )
    with pytest.raises(SchemaMismatchError, match=r"price: expected decimal128\(38, 18\), found double"):
        land(lake, Batch(CRYPTO_BINANCE, wrong))
    with pytest.raises(SchemaMismatchError, match="volume: expected"):
        land(lake, Batch(CRYPTO_BINANCE, prices("BTC").drop_columns(["volume"])))
    with pytest.raises(SchemaMismatchError, match="extra: expected no such column"):
        land(lake, Batch(CRYPTO_BINANCE, prices("BTC").append_column("extra", pa.array(["x"]))))


def test_parts_roll_over(lake, monkeypatch):
    monkeypatch.setattr("tickvault.lake.writer._PART_ROWS", 2)
    package = land(lake, batch("A", "B"), batch("C", "D"), batch("E"))
    assert [p.rows for p in package.parts] == [2, 2, 1]
    assert pa.Table.from_batches(lake.scan(package)).column("symbol").to_pylist() == list("ABCDE")


def test_row_versions_sort_by_source_time_then_slot_then_revision(lake):
    later = dataclasses.replace(SLOT, time=SLOT.time + timedelta(days=1))
    packages = [land(lake, batch("BTC")), land(lake, batch("BTC"), revision=1), land(lake, batch("BTC"), slot=later)]
    versions = [next(lake.scan(p)).column("row_version")[0].as_py() for p in packages]
    assert versions == sorted(versions)
    assert len(set(versions)) == 3
