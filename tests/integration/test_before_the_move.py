"""A lake and a ledger that the code before the restructuring left are opened, loaded and gone on with.

``made_by.py`` beside the fixture says how the old code made it. In ``facts.json`` it noted what it left, and what it
made of a copy when it went on itself: row by row this code has to come to the same. A market simulated otherwise on
purpose (its model, ``asset_info.csv``, the faker's people) changes what going on comes to, and nothing else here.
"""

import json
import os
import re
import tarfile
import uuid
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from forked import tickvault

from tickvault.core.slot import Slot
from tickvault.ledger import Ledger
from tickvault.local import postgres
from tickvault.local.engines import postgres_environment
from tickvault.local.simulator import start
from tickvault.transfer import catalog

ROOT = Path(__file__).parents[2]
FIXTURE = ROOT / "tests" / "fixtures" / "before_the_move"
FACTS = json.loads((FIXTURE / "facts.json").read_text(encoding="utf-8"))
FIRST, SECOND, THIRD = FACTS["slots"]
MARKETS = "/api/v3/coins/markets"
UNKNOWN = f"freecryptoapi.raw_cryptoprices_freecryptoapi.{SECOND}.r0"
"""Sealed in the lake, but its run was killed before it told the ledger."""
COMPLETED = f"coingecko.raw_cryptoprices_coingecko.{SECOND}.r1"
REJECTED = f"binance.raw_cryptobars.{FIRST}.r0"


VERSION = "coalesce(last_seen_version, row_version)"
LAST = {
    "row_version": VERSION,
    "package_id": f"regexp_replace(package_id, '[^.]+[.]r[0-9]+$', split_part({VERSION}, '|', 2) || '.r' ||"
    f" substr(split_part({VERSION}, '|', 3), 2)::int)",
}
"""What the old code wrote over a row that was read again with nothing new: that version, and the package it is of."""


class Platform:
    """The command line on a restored lake and ledger, each of a test's own."""

    def __init__(self, folder, uri, simulator, settings):
        self.folder, self.uri, self.simulator, self.settings = folder, uri, simulator, settings
        places = {"LAKE_PATH": folder / "lake", "TICKVAULT_HOME": folder / "home", "SEEDS_PATH": ROOT / "seeds"}
        given = simulator.environment() | postgres_environment(uri) | FACTS["settings"]
        self.environment = os.environ | given | {name: str(path) for name, path in places.items()}

    def call(self, *arguments, slot=SECOND, code=0, **more):
        """Run ``tickvault`` at a slot's own time and return what it prints."""
        time = Slot.parse(slot).time
        self.simulator.set_clock(time)
        environment = self.environment | {"TICKVAULT_CLOCK": time.isoformat()} | more
        ended, said, errors = tickvault(list(arguments), environment, self.folder)
        assert ended == code, said + errors
        return said

    def run(self, *arguments, slot=SECOND, **more):
        """Extract or load for a slot and return what the run says at its end."""
        return json.loads(self.call(*arguments, "--slot", slot, "--json", slot=slot, **more))

    def packages(self):
        """Return each sealed package's rows, rejects and number of things it lacks."""
        found = json.loads(self.call("lake", "ls", "--limit", "1000", "--json"))
        return {p["package"]: (p["rows"], p["rejected"], p["failed"]) for p in found}

    def registered(self):
        """Return the packages the ledger knows."""
        return {name for (name,) in self.query("SELECT package_id FROM data_platform.packages")}

    def query(self, sql):
        """Run SQL past the platform; times read as UTC."""
        connecting = closing(psycopg.connect(self.uri, options="-c timezone=UTC"))
        with connecting as connection, connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def tables(self):
        """Count each raw table and add up its rows' hashes, whenever they were loaded."""
        names = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        return {name: self.table(name) for (name,) in self.query(names) if not name.endswith("_changes")}

    def columns(self):
        """Return each raw table's columns as it has them now, numbers with the digits they had in those days."""
        found = self.query(
            """SELECT table_name, string_agg(quote_ident(column_name)
                || CASE data_type WHEN 'numeric' THEN '::numeric(38,10)' ELSE '' END, ', ' ORDER BY ordinal_position)
            FROM information_schema.columns
            WHERE table_schema = 'public' AND column_name <> 'load_timestamp' GROUP BY table_name"""
        )
        return dict(found)

    def table(self, name):
        columns = (self.columns() | self.columns_then)[name]
        if name.startswith("raw_") and "last_seen_version" in self.columns()[name]:
            columns = re.sub("row_version|package_id", lambda found: LAST[found[0]], columns)
        of_all = f"SELECT count(*), sum(hashtextextended(t::text, 0)) FROM (SELECT {columns} FROM public.{name}) t"
        ((rows, checksum),) = self.query(of_all)
        return {"rows": rows, "hash": str(checksum)}


@pytest.fixture(scope="module")
def simulator():
    with start(now=Slot.parse(SECOND).time) as running:
        yield running


@pytest.fixture
def platform(simulator, postgres_uri, make_settings, tmp_path):
    name = f"before_{uuid.uuid4().hex[:8]}"
    postgres.create_database(postgres_uri, name)
    uri = postgres_uri.replace("/postgres?", f"/{name}?")
    with tarfile.open(FIXTURE / "lake.tar.gz") as archive:
        archive.extractall(tmp_path / "lake", filter="data")
    fields = {name.lower(): value for name, value in postgres_environment(uri).items()}
    platform = Platform(tmp_path, uri, simulator, make_settings(**fields, lake_path=tmp_path / "lake"))
    platform.query((FIXTURE / "ledger.sql").read_text(encoding="utf-8"))
    platform.columns_then = platform.columns()
    simulator.clear_faults()
    simulator.forget_requests()
    return platform


def facts(packages):
    return {name: (p["rows"], p["rejected"], len(p["failed"])) for name, p in FACTS[packages].items()}


def test_the_ledger_knows_what_it_knew(platform):
    pending = json.loads(platform.call("load", "postgres", "--dry-run", "--json"))
    assert [p["package"] for p in pending] == FACTS["pending"]["postgres"]
    marks = json.loads(platform.call("status", "--watermarks", "--limit", "100", "--json"))
    assert {name: mark for name, *mark in (m.values() for m in marks)} == FACTS["watermarks"]
    assert platform.registered() == set(FACTS["registered"])
    runs = platform.query("SELECT job, slot, status, attempts FROM data_platform.runs")
    assert {f"{job} {Slot.of(time)}": [status, n] for job, time, status, n in runs} == FACTS["runs"]
    assert platform.packages() == facts("packages")
    assert platform.tables() == FACTS["tables"]


def cursors(ledger, slot, *, inclusive):
    """Return where each stream the old code knew would resume."""
    streams = {f"{name}.{s.name}": (name, s) for name in catalog.source_names() for s in catalog.source(name).streams}
    resumed = {key: streams[key] for key in FACTS["cursors"]}
    return {key: ledger.packages.resume_from(*of, Slot.parse(slot), inclusive=inclusive) for key, of in resumed.items()}


def test_every_stream_resumes_where_the_old_code_would_have_resumed(platform):
    with Ledger.open(platform.settings) as ledger:
        assert cursors(ledger, SECOND, inclusive=False) == FACTS["cursors_before_second"]
        assert cursors(ledger, FIRST, inclusive=True) == FACTS["cursors_before_second"]
        assert cursors(ledger, SECOND, inclusive=True) == FACTS["cursors"]
        assert cursors(ledger, THIRD, inclusive=True) == FACTS["cursors"]
        assert not any(cursors(ledger, FIRST, inclusive=False).values())


def test_a_sealed_slot_is_adopted_and_nothing_is_read(platform):
    for source in ("binance", "freecryptoapi", "yfinance_stock", "yfinance_crypto", "faker_market", "crypto_news"):
        done = platform.run("extract", source)
        assert "is complete already" in done["notes"][0]
        assert set(done["packages"]) <= facts("packages").keys()
    assert platform.simulator.requests() == {}
    assert platform.packages() == facts("packages")
    assert platform.registered() == {*FACTS["registered"], UNKNOWN}
    job = "SELECT status, attempts FROM data_platform.runs WHERE job = 'extract-freecryptoapi' ORDER BY slot DESC"
    assert platform.query(job)[0] == ("complete", 2)


def test_a_partial_slot_is_completed_by_asking_only_for_what_is_missing(platform):
    platform.simulator.fault("coingecko", "401", symbols=["BTC", "SOL"])  # so it fails if it asks for these
    done = platform.run("extract", "coingecko")
    assert (done["packages"], done["missing"]) == ([COMPLETED], [])
    assert platform.simulator.requests() == {"coingecko": {MARKETS: 1}}
    assert platform.packages() == facts("packages") | {COMPLETED: (1, 0, 0)}
    outcomes = f"SELECT outcomes FROM data_platform.packages WHERE package_id = '{COMPLETED}'"
    assert [(o["item"], o["status"]) for o in platform.query(outcomes)[0][0]] == [("ETH", "ok")]


def test_what_was_pending_is_loaded_and_nothing_else(platform):
    done = platform.run("load", "postgres")
    assert sorted(done["packages"]) == sorted(FACTS["pending"]["postgres"])
    assert done["rows_read"] == sum(facts("packages")[name][0] for name in FACTS["pending"]["postgres"])
    assert platform.tables() == FACTS["loaded"]
    assert platform.run("load", "postgres")["notes"] == ["nothing is pending for postgres"]


def test_what_was_pending_is_still_loaded_when_the_ledger_was_migrated_long_ago(platform):
    platform.call("status")  # whatever opens the ledger migrates it
    platform.query("UPDATE data_platform.packages SET registered_at = registered_at - interval '1 day'")
    assert sorted(platform.run("load", "postgres")["packages"]) == sorted(FACTS["pending"]["postgres"])
    assert platform.tables() == FACTS["loaded"]


def test_another_snowflake_gets_everything(platform, snowflake_settings):
    platform.environment |= {name.upper(): str(value) for name, value in snowflake_settings.items()}
    assert sorted(platform.run("load", "snowflake")["packages"]) == sorted(FACTS["registered"])
    counts = {name: table["rows"] for name, table in FACTS["loaded"].items()}
    personal, corporate = (counts.pop(f"raw_transactions_{who}") for who in ("personal", "corporate"))
    batch = {"raw_customers", "raw_corporates", "raw_news", "raw_transactions"}
    rows = {name.upper(): n for name, n in (counts | {"raw_transactions": personal + corporate}).items()}
    places = {name: f"{'RAW' if name.lower() in batch else 'STAGING'}.{name}" for name in rows}
    count = " UNION ALL ".join(f"SELECT '{name}' AS name, count(*) AS n FROM {place}" for name, place in places.items())
    found = json.loads(platform.call("query", "--on", "snowflake", "--json", count))
    assert dict(row.values() for row in found) == rows


def test_open_rejects_are_found_and_replayed_once_they_fit(platform):
    assert platform.call("replay-rejects", "--dry-run") == f"{REJECTED}: 0 of 1 record(s) fit now\n"
    open_ = "WHERE replayed_by IS NULL"
    put_right = """UPDATE data_platform.rejects SET record = jsonb_set(record, '{close}', '"95449.54"') """
    platform.query(put_right + open_)
    assert platform.call("replay-rejects") == f"{REJECTED}: 1 of 1 record(s) fit now\n"
    again = REJECTED.replace(".r0", ".r1")
    assert platform.packages() == facts("packages") | {again: (1, 0, 0)}
    assert platform.query(f"SELECT count(*) FROM data_platform.rejects {open_}") == [(0,)]
    assert again in platform.run("load", "postgres")["packages"]
    closes = f"SELECT symbol, close::text FROM raw_cryptobars WHERE package_id = '{again}'"
    assert platform.query(closes) == [("BTC", "95449.540000000000000000")]


def test_what_a_killed_run_left_is_swept_up(platform):
    said = platform.call("lake", "gc")
    assert f"registered {UNKNOWN}, 3 rows\n" in said
    (orphan,) = (line.removeprefix("removed ") for line in said.splitlines() if line.startswith("removed "))
    assert orphan.startswith(f"raw-data/crypto/coingecko/dt=2026-11-18/{THIRD}/r0/")
    assert platform.packages() == facts("packages")


KNOWN = {
    "raw_cryptoprices_coingecko": "SELECT symbol, observed_at, price, package_id FROM raw_cryptoprices_coingecko",
    "raw_cryptoprices_yfinance": "SELECT symbol, observed_at, price, package_id FROM raw_cryptoprices_yfinance",
    "raw_cryptobars": "SELECT symbol, source, date, open, high, low, close FROM raw_cryptobars",
    "raw_stock_prices_yfinance": "SELECT ticker, date, open_price, close_price, adj_close_price, volume, dividends"
    " FROM raw_stock_prices_yfinance",
}
"""Tables that grow otherwise now: days are read once more, since cursors of those days do not say what was read, and
CoinGecko is asked for all digits; what Yahoo calls a coin's volume is money, and is in ``quote_volume`` now."""


def test_going_on_comes_to_what_the_old_code_came_to(platform):
    platform.run("extract", "coingecko")
    platform.run("extract", "freecryptoapi")
    platform.run("load", "postgres", slot=THIRD)
    known = {table: set(platform.query(sql)) for table, sql in KNOWN.items()}
    sources = ("binance", "coingecko", "freecryptoapi", "yfinance_stock", "yfinance_crypto", "faker_market")
    for source in sources:
        platform.run("extract", source, slot=THIRD)
    platform.run("load", "postgres", slot=THIRD)
    once_more = {name: (12, 0, 0) for name in facts("packages_gone_on") if "cryptobars" in name or "stock" in name}
    assert platform.packages() == facts("packages") | facts("packages_gone_on") | once_more
    came, then = platform.tables(), FACTS["gone_on"]
    for table, sql in KNOWN.items():
        assert came.pop(table)["rows"] >= then[table]["rows"]
        assert known[table] < set(platform.query(sql))
    assert came == {name: facts for name, facts in then.items() if name not in KNOWN}
