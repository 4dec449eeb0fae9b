"""Killed at any point on its way into the lake and run again, an extract leaves what an undisturbed one leaves."""

import os
import random
import signal
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.ledger import Ledger
from tickvault.local import postgres
from tickvault.local.engines import postgres_environment
from tickvault.local.simulator import Simulator, start
from tickvault.runs.entry import run_job
from tickvault.runs.session import Job
from tickvault.transfer.extraction import Extraction
from tickvault.transfer.loading import Loading

SLOT = Slot.parse("20261116T130000Z")
CHECKSUM = "SELECT md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM (SELECT {columns} FROM {table}) t"
COLUMNS = {
    "raw_cryptobars": "symbol, source, date, open, high, low, close, volume, observed_at, row_version, package_id",
    "raw_cryptoprices_binance": "symbol, quote_currency, price, volume, observed_at, row_version, package_id",
}
TICKER = "/api/v3/ticker/24hr"


@dataclass(frozen=True)
class Platform:
    """An empty lake, an empty database and a market that stands still."""

    settings: Callable[..., Settings]

    def run(self, job: Job, fault_at: str | None = None, kill_after: float | None = None) -> int:
        """Run a job as a process of its own, killed after so many seconds, and return how it ended."""
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = run_job(job, self.settings(fault_at=fault_at), SLOT)
            finally:
                os._exit(code)
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(child, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def extract(self, fault_at: str | None = None) -> int:
        return self.run(Extraction("binance"), fault_at)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with Ledger.open(self.settings()) as ledger:
            return ledger._db.rows(sql)

    def checksums(self) -> list[tuple[Any, ...]]:
        assert self.run(Loading("postgres")) == 0
        return [self.query(CHECKSUM.format(columns=columns, table=table))[0] for table, columns in COLUMNS.items()]


@pytest.fixture(scope="module")
def simulator():
    with start(now=SLOT.time) as running:
        yield running


@pytest.fixture
def platform(simulator: Simulator, postgres_uri: str, tmp_path: Path) -> Platform:
    return make_platform(simulator, postgres_uri, tmp_path)


def make_platform(simulator: Simulator, postgres_uri: str, folder: Path) -> Platform:
    name = f"crash_{uuid.uuid4().hex[:8]}"
    postgres.create_database(postgres_uri, name)
    simulator.clear_faults()
    simulator.forget_requests()
    fields = simulator.environment() | postgres_environment(postgres_uri.replace("/postgres?", f"/{name}?"))
    chosen = {
        "tickvault_home": folder / "home",
        "lake_path": folder,
        "tickvault_clock": SLOT.time,
        "crypto_symbols": "BTC,ETH,SOL",
        "history_days": 30,
    }

    def settings(**more: Any) -> Settings:
        return Settings.load(_env_file=None, **{k.lower(): v for k, v in fields.items()} | chosen | more)

    return Platform(settings)


@pytest.fixture(scope="module")
def undisturbed(
    simulator: Simulator, postgres_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Any, ...]]:
    """What the tables hold after a run that nothing disturbed."""
    platform = make_platform(simulator, postgres_uri, tmp_path_factory.mktemp("undisturbed"))
    assert platform.extract() == 0
    return platform.checksums()


def test_run_twice_is_run_once(platform, undisturbed):
    assert platform.extract() == 0
    assert platform.checksums() == undisturbed
    assert platform.extract() == 0
    assert platform.checksums() == undisturbed


@pytest.mark.parametrize("point", ["after_extract", "mid_part", "before_manifest", "between_manifest_and_ledger"])
def test_killed_and_run_again(undisturbed, platform, simulator, point):
    assert platform.extract(fault_at=point) == 137
    before = simulator.requests()["binance"][TICKER]
    assert platform.extract() == 0
    after = simulator.requests()["binance"][TICKER]
    # A manifest that was written is adopted: its slot is sealed and is not fetched again.
    assert after == before + (point != "between_manifest_and_ledger")
    assert platform.checksums() == undisturbed


def test_killed_at_random_moments_and_run_again(undisturbed, platform):
    """Kill extract and load whenever, as often as ``SOAK_KILLS`` says; ``SOAK_SEED`` repeats the moments of a run."""
    seed = int(os.environ.get("SOAK_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
    chance = random.Random(seed)
    for _ in range(int(os.environ.get("SOAK_KILLS", "5"))):
        job = chance.choice([Extraction("binance"), Loading("postgres")])
        assert platform.run(job, kill_after=chance.uniform(0, 0.8)) in {-signal.SIGKILL, 0}, seed
    assert platform.extract() == 0
    assert platform.checksums() == undisturbed, f"SOAK_SEED={seed}"


def test_a_sealed_slot_is_never_fetched_again_and_says_so(platform, simulator):
    assert platform.extract() == 0
    simulator.forget_requests()
    assert platform.extract() == 0
    assert simulator.requests().get("binance", {}) == {}
    notes = platform.query("SELECT outcome ->> 'notes' FROM data_platform.runs")[0][0]
    assert f"package binance.raw_cryptoprices_binance.{SLOT}.r0" in notes
    assert "--force" in notes


def test_a_partial_slot_is_completed_by_a_revision_that_asks_only_for_what_was_missing(platform, simulator):
    simulator.fault("binance", "missing_symbols", symbols=["ETH"], path=TICKER)
    assert platform.extract() == 10
    missing = platform.query("SELECT outcome ->> 'missing' FROM data_platform.runs")[0][0]
    assert "ETH" in missing
    simulator.clear_faults()
    simulator.forget_requests()
    assert platform.extract() == 0
    assert simulator.requests()["binance"] == {TICKER: 1}
    rows = platform.query("SELECT stream, revision, rows FROM data_platform.packages ORDER BY 1, 2")
    assert rows == [
        ("raw_cryptobars", 0, 90),
        ("raw_cryptoprices_binance", 0, 2),
        ("raw_cryptoprices_binance", 1, 1),
    ]


def test_a_forced_run_reads_again_as_a_further_revision_and_changes_no_row(platform):
    assert platform.extract() == 0
    before = platform.query("SELECT count(*) FROM data_platform.packages")[0][0]
    assert platform.run(Loading("postgres")) == 0
    assert platform.run(Extraction("binance", force=True)) == 0
    assert platform.run(Loading("postgres")) == 0
    assert platform.query("SELECT count(*) FROM data_platform.packages")[0][0] == 2 * before
    counted = platform.query(
        "SELECT sum(rows_inserted + rows_updated) FROM data_platform.loads WHERE package_id LIKE '%.r1'"
    )
    assert counted[0][0] == 0
