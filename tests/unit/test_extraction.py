"""What holds for a slot is said by every run of it: it stops when asked to, and no repetition turns it green."""

import os
import signal
import uuid
from datetime import UTC, datetime

import pytest

from tickvault.core.slot import Slot
from tickvault.engines.http.client import HttpClient
from tickvault.ledger import Ledger
from tickvault.runs.entry import run_job
from tickvault.transfer import catalog
from tickvault.transfer.extraction import Extraction

PRICE = {"current_price": 5, "total_volume": 1, "last_updated": "2026-11-16T12:00:00Z"}
PRICE |= dict.fromkeys(
    ("price_change_24h", "price_change_percentage_24h", "high_24h", "low_24h", "market_cap"),
)
IDS = {"BTC": "bitcoin", "ETH": "ethereum", "SOL": "solana"}


def coin(symbol, **changes):
    return PRICE | {"id": IDS[symbol]} | changes


class World:
    """A platform of one test: what the provider answers, and the slot, which no other test has."""

    def __init__(self, settings):
        self.settings = settings
        self.slot = Slot(datetime(2026, 11, 16, 13, tzinfo=UTC))
        self.answer = []
        self.asked = []

    def run(self, source="coingecko", *, symbols="BTC,ETH", **fields):
        settings = self.settings.model_copy(update={"crypto_symbols": symbols})
        return run_job(Extraction(source, **fields), settings, self.slot)

    def outcome(self):
        with Ledger.open(self.settings) as ledger:
            return ledger._db.rows("SELECT status, outcome FROM data_platform.runs")[0]

    def packages(self):
        with Ledger.open(self.settings) as ledger:
            return ledger._db.rows("SELECT count(*) FROM data_platform.packages")[0][0]


@pytest.fixture
def world(make_settings, postgres_uri, tmp_path, monkeypatch):
    from tickvault.local import postgres
    from tickvault.local.engines import postgres_environment

    name = f"extraction_{uuid.uuid4().hex[:8]}"
    postgres.create_database(postgres_uri, name)
    fields = postgres_environment(postgres_uri.replace("/postgres?", f"/{name}?"))
    clock = datetime(2026, 11, 16, 13, tzinfo=UTC)
    world = World(
        make_settings(**{k.lower(): v for k, v in fields.items()}, lake_path=tmp_path / "lake", tickvault_clock=clock)
    )

    def get_json(self, provider, url, params=None, headers=None, *, cost=1):
        world.asked.append(params.get("ids") or url)
        return world.answer() if callable(world.answer) else world.answer

    monkeypatch.setattr(HttpClient, "get_json", get_json)
    return world


def test_sigterm_stops_an_extract_before_its_next_stream(world):
    assert len(catalog.source("binance").streams) == 2
    world.answer = lambda: os.kill(os.getpid(), signal.SIGTERM)
    assert world.run("binance") == 75
    assert world.outcome()[0] == "interrupted"
    assert len(world.asked) == 1
    assert world.packages() == 0


def test_too_many_rejects_fail_every_repetition_until_a_revision_betters_it(world):
    world.answer = [coin("BTC"), coin("ETH"), coin("ETH", current_price=-1, last_updated="2026-11-16T11:00:00Z")]
    said = []
    for _ in range(3):
        assert world.run() == 65
        said.append(world.outcome()[1]["error"])
    assert said[0] == said[1] == said[2]
    assert "1 of the slot's 3 records are put aside" in said[0]["message"]
    assert len(world.asked) == 1  # and it is not fetched again
    world.answer = [coin("BTC"), coin("ETH")]
    assert world.run(force=True) == 0
    assert world.run() == 0


def test_a_further_revision_does_not_hide_what_a_slot_still_lacks(world):
    world.answer = [coin("BTC")]
    assert world.run() == 10
    assert world.run(force=True, symbols="BTC") == 10
    assert world.outcome()[1]["missing"] == ["raw_cryptoprices_coingecko ETH: missing in the answer"]
    world.answer = [coin("ETH")]
    assert world.run() == 0
    assert world.asked[-1] == "ethereum"
    assert world.run() == 0


def test_a_slip_of_the_pen_in_the_list_is_cured_by_putting_it_right(world):
    world.answer = [coin("BTC")]
    assert world.run(symbols="BTC,XYZZY") == 10
    assert world.run(symbols="BTC,XYZZY") == 78  # it says again what is wrong
    assert world.run(symbols="BTC") == 0
    assert len(world.asked) == 1
    assert world.run(symbols="BTC") == 0
    assert world.packages() == 2
