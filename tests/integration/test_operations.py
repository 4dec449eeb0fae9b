"""What an operator does by hand: look, export, clean up, replay what was put aside."""

import csv
import json

import psycopg
import pytest
from click.testing import CliRunner

from tickvault.cli import root
from tickvault.cli.replay_rejects import Replay
from tickvault.core import revisions
from tickvault.core.batch import Batch
from tickvault.core.package import Outcome, OutcomeStatus
from tickvault.core.records import CONFLICT, RecordBuilder
from tickvault.core.slot import Slot
from tickvault.engines.storage import FolderStorage
from tickvault.lake import Lake
from tickvault.ledger import Ledger
from tickvault.local.simulator import start
from tickvault.market.streams import CRYPTO_COINGECKO
from tickvault.runs.entry import run_job
from tickvault.transfer.extraction import Extraction
from tickvault.transfer.loading import Loading

SLOT = Slot.parse("20261116T130000Z")


@pytest.fixture(scope="module")
def simulator():
    with start(now=SLOT.time) as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("operations")


@pytest.fixture
def call(simulator, postgres_settings, folder, monkeypatch):
    """Call the command line with the environment of this module's platform."""
    chosen = {"lake_path": folder / "lake", "tickvault_clock": "2026-11-16T13:00:00Z", "crypto_symbols": "BTC,ETH"}
    fields = {k.lower(): v for k, v in simulator.environment().items()} | postgres_settings | chosen
    for name, value in fields.items():
        monkeypatch.setenv(name.upper(), str(value))
    monkeypatch.chdir(folder)

    def run(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(root, arguments)
        assert done.exit_code == code, done.output + repr(done.exception)
        return done.stdout

    return run


@pytest.fixture(scope="module")
def landed(simulator, postgres_settings, folder):
    """One slot of CoinGecko and Binance; CoinGecko's first record has a price that is no number."""
    from tickvault.core.settings import Settings

    fields = {k.lower(): v for k, v in simulator.environment().items()} | postgres_settings
    settings = Settings.load(
        _env_file=None,
        **fields,
        lake_path=folder / "lake",
        tickvault_clock=SLOT.time,
        crypto_symbols="BTC,ETH",
        max_reject_share=1.0,
        history_days=5,
    )
    simulator.fault("coingecko", "negative", times=1)
    code = run_job(Extraction("coingecko"), settings, SLOT)
    simulator.clear_faults()
    assert code == 10
    assert run_job(Extraction("binance"), settings, SLOT) == 0
    assert run_job(Loading("postgres"), settings, SLOT) == 0
    return settings


def test_status_shows_runs_packages_rejects_and_watermarks(call, landed):
    runs = json.loads(call("status", "--json"))
    assert {(r["job"], r["status"]) for r in runs} >= {
        ("extract-coingecko", "partial"),
        ("extract-binance", "complete"),
    }
    packages = json.loads(call("status", "--packages", "--json"))
    assert all(p["loaded into"] == "postgres" for p in packages)
    (reject,) = json.loads(call("status", "--rejects", "--json"))
    assert reject["column"] == "price"
    assert reject["reason"].startswith("price is -")
    marks = {m["source_name"]: m for m in json.loads(call("status", "--watermarks", "--json"))}
    assert marks["binance.raw_cryptobars"]["watermark_column"] == "observed_at"
    assert marks["binance.raw_cryptobars"]["watermark_value"].startswith("2026-11-15")


def test_extract_and_load_say_their_end_for_machines(call, landed):
    (read, nothing) = (json.loads(call(*words, "--json")) for words in (("extract", "binance"), ("load", "postgres")))
    assert (read["job"], read["exit_code"], read["missing"]) == ("extract-binance", 0, [])
    assert len(read["packages"]) == 2
    assert nothing["notes"] == ["nothing is pending for postgres"]
    (sentence, _) = json.loads(call("extract", "binance", "--dry-run", "--json"))
    assert "would read nothing" in sentence


def test_query_reads_and_only_reads(call, landed):
    (row,) = json.loads(call("query", "select count(*) as n from raw_cryptobars", "--json"))
    assert row == {"n": 10}
    done = CliRunner().invoke(root, ["query", "delete from raw_cryptobars"])
    assert "only one statement that reads is run" in str(done.exception)
    assert json.loads(call("query", "select count(*) as n from raw_cryptobars", "--json")) == [{"n": 10}]


def test_export_writes_the_references_file_names(call, landed, folder):
    planned = call("lake", "export", "binance", "--csv", "out", "--dry-run")
    assert planned.count("would write") == 2
    assert not (folder / "out").exists()
    call("lake", "export", "binance", "--csv", "out")
    assert sorted(p.name for p in (folder / "out").iterdir()) == [
        "crypto_binance_20261116_130000.csv",
        "crypto_binance_bars_20261116_130000.csv",
    ]
    with (folder / "out" / "crypto_binance_20261116_130000.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {r["symbol"] for r in rows} == {"BTC", "ETH"}
    assert list(rows[0])[:7] == [
        "symbol",
        "base_currency",
        "quote_currency",
        "price",
        "volume",
        "source",
        "observed_at",
    ]


def test_gc_removes_orphans_and_keeps_what_a_manifest_names(call, landed, folder):
    lake = Lake(FolderStorage(folder / "lake" / "tickvault"))
    before = set(lake.storage.keys("raw-data"))
    orphan = f"raw-data/crypto/binance/dt=2026-11-16/{SLOT.id}/r0/dead-00000.parquet"
    lake.storage.put_if_absent(orphan, b"left by a killed attempt")
    assert f"would remove {orphan}" in call("lake", "gc", "--dry-run")
    assert orphan in set(lake.storage.keys("raw-data"))
    assert f"removed {orphan}" in call("lake", "gc")
    assert set(lake.storage.keys("raw-data")) == before


def test_gc_tells_the_ledger_of_a_package_it_does_not_know(call, landed):
    with psycopg.connect(landed.postgres_dsn()) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM data_platform.packages WHERE package_id LIKE 'binance.raw_cryptobars%'")
    assert "registered binance.raw_cryptobars" in call("lake", "gc")
    assert call("load", "postgres") == ""
    assert json.loads(call("query", "select count(*) as n from raw_cryptobars", "--json")) == [{"n": 10}]


def test_rejects_are_replayed_when_the_record_fits(call, landed):
    assert "0 of 1 record(s) fit now" in call("replay-rejects", "--dry-run")
    with psycopg.connect(landed.postgres_dsn()) as connection, connection.cursor() as cursor:
        # What a person would do: put the record right, with the reason for it at hand.
        cursor.execute("UPDATE data_platform.rejects SET record = jsonb_set(record, '{price}', '\"123.45\"')")
    assert "1 of 1 record(s) fit now" in call("replay-rejects")
    call("load", "postgres")
    rows = json.loads(call("query", "select price::text, package_id from raw_cryptoprices_coingecko", "--json"))
    assert [r["price"] for r in rows if r["package_id"].endswith(".r1")] == ["123.450000000000000000"]
    (reject,) = json.loads(call("status", "--rejects", "--json"))
    assert reject["replayed by"].endswith(".r1")
    assert call("replay-rejects") == ""


def price(symbol, amount, observed_at="2026-11-15T12:00:00Z"):
    named = {"symbol": symbol, "base_currency": symbol, "quote_currency": "USD", "source": "x"}
    return named | {"price": amount, "observed_at": observed_at}


def test_of_two_records_with_one_key_neither_is_replayed_and_what_fits_settles_its_symbol(call, landed):
    slot = Slot.parse("20261115T130000Z")
    rows = [price("BTC", "5"), price("BTC", "6"), price("ETH", "-1")]
    records = RecordBuilder(CRYPTO_COINGECKO, slot.time).build(rows)
    assert [r.column for r in records.rejects] == [CONFLICT, "price"]
    outcomes = (Outcome("BTC", OutcomeStatus.OK), Outcome("ETH", OutcomeStatus.FAILED, "put aside"))
    lake = Lake(FolderStorage(landed.lake_path / landed.minio_bucket))
    batch = Batch(CRYPTO_COINGECKO, records.batch, None, outcomes, records.rejects)
    package = lake.land("coingecko", CRYPTO_COINGECKO, [batch], slot, "run")
    with Ledger.open(landed) as ledger:
        ledger.packages.register(CRYPTO_COINGECKO, package, lake.rejects(package))
    with psycopg.connect(landed.postgres_dsn()) as connection, connection.cursor() as cursor:
        cursor.execute(
            """UPDATE data_platform.rejects SET record = jsonb_set(record, '{price}', '"7"') WHERE item = 'ETH'"""
        )
    with Ledger.open(landed) as other, other.lock("extract-coingecko", 0):
        hurried = landed.model_copy(update={"lock_wait_seconds": 0.2})
        assert run_job(Replay(slot.id), hurried, slot) == 75  # an extract of the source is under way
    assert len(lake.revisions(CRYPTO_COINGECKO, slot)) == 1
    assert "1 of 2 record(s) fit now; 1 share a key" in call("replay-rejects", slot.id)
    first, second = lake.revisions(CRYPTO_COINGECKO, slot)
    assert [row["symbol"] for part in lake.scan(second) for row in part.to_pylist()] == ["ETH"]
    assert [r.record["price"] for r in lake.rejects(second)] == ["6"]
    assert revisions.missing([first]) == ("ETH",)
    assert revisions.missing([first, second]) == ()
    assert "0 of 1 record(s) fit now; 1 share a key" in call("replay-rejects", slot.id)
