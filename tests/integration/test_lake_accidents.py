"""What is lost, altered or claims to be something else stops nothing else, is named with its way out, and gets out."""

import json
import random
import string
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from tickvault.cli import lake as lake_commands
from tickvault.core.batch import Batch
from tickvault.core.package import Outcome, OutcomeStatus, Package, Reject
from tickvault.core.slot import Slot
from tickvault.core.stream import INSTANT
from tickvault.engines.http.client import HttpClient
from tickvault.engines.storage import open_storage
from tickvault.lake import Lake
from tickvault.ledger import Ledger
from tickvault.market.streams import CRYPTO_COINGECKO as STREAM
from tickvault.market.streams import NEWS
from tickvault.operations.orphans import Cleaning, Scope
from tickvault.runs.entry import run_job
from tickvault.transfer.extraction import Extraction
from tickvault.transfer.loading import Loading
from tickvault.transfer.replay import Replay

CASES = Path(__file__).parents[1] / "fixtures/cases"
LETTERS = string.ascii_letters + string.digits
NOON = Slot(datetime(2026, 11, 16, 12, tzinfo=UTC))
ONE = Slot(datetime(2026, 11, 16, 13, tzinfo=UTC))
TWO = Slot(datetime(2026, 11, 16, 14, tzinfo=UTC))


class World:
    """A platform of one test; the provider's price tells which answer a row came from."""

    def __init__(self, settings, monkeypatch):
        self.settings = settings
        self.lake = Lake(open_storage(settings))
        self.price = 1
        self.asked: list[str] = []
        monkeypatch.setattr(lake_commands, "load_settings", lambda: self.settings)

    def answer(self, ids):
        rest = dict.fromkeys(
            ("price_change_24h", "price_change_percentage_24h", "high_24h", "low_24h", "market_cap", "total_volume")
        )
        now = self.settings.tickvault_clock.isoformat()
        return [rest | {"id": i, "current_price": self.price, "last_updated": now} for i in ids.split(",")]

    def extract(self, slot=ONE, symbols="BTC,ETH", hour=None, choice=None, **fields):
        update = {"crypto_symbols": symbols, "tickvault_clock": hour or TWO.time}
        self.settings = self.settings.model_copy(update=update)
        return run_job(Extraction("coingecko", choice, **fields), self.settings, slot)

    def load(self):
        return run_job(Loading("postgres"), self.settings, TWO)

    def gc(self):
        with Ledger.open(self.settings) as ledger:
            cleaning = Cleaning(self.lake, ledger, Scope(datetime(2030, 1, 1, tzinfo=UTC), None))
            removed = cleaning.settle(cleaning.findings())
        return removed, cleaning.damaged

    def repair(self, *arguments):
        done = CliRunner().invoke(lake_commands.command, ["repair", *arguments], catch_exceptions=False)
        return done.exit_code, done.output

    def rows(self, sql, *values):
        with Ledger.open(self.settings) as ledger:
            return ledger._db.rows(sql, *values)

    def prices(self):
        ((schema,),) = self.rows("SELECT schemaname FROM pg_tables WHERE tablename = %s", STREAM.name)
        return self.rows(f"SELECT symbol, price::int FROM {schema}.{STREAM.name} ORDER BY symbol, row_version")

    def loaded(self):
        return [i for (i,) in self.rows("SELECT package_id FROM data_platform.loads ORDER BY 1")]

    def pending(self):
        with Ledger.open(self.settings) as ledger:
            return [p.package_id for p in ledger.loads.pending("postgres")]

    def said(self, job="load-postgres"):
        return self.rows("SELECT outcome FROM data_platform.runs WHERE job = %s ORDER BY started_at DESC", job)[0][0]

    def path(self, slot=ONE, revision=0):
        return self.settings.lake_path / "tickvault" / f"{STREAM.lake_path}/dt={slot.date}/{slot.id}/r{revision}"


def package_id(slot=ONE, revision=0):
    return f"coingecko.{STREAM.name}.{slot.id}.r{revision}"


@pytest.fixture
def world(make_settings, postgres_uri, tmp_path, monkeypatch):
    from tickvault.local import postgres
    from tickvault.local.engines import postgres_environment

    name = f"accidents_{uuid.uuid4().hex[:8]}"
    postgres.create_database(postgres_uri, name)
    fields = postgres_environment(postgres_uri.replace("/postgres?", f"/{name}?"))
    settings = make_settings(
        **{k.lower(): v for k, v in fields.items()}, lake_path=tmp_path / "lake", tickvault_clock=TWO.time
    )
    world = World(settings, monkeypatch)

    def get_json(self, provider, url, params=None, headers=None, *, cost=1):
        world.asked.append(params["ids"])
        return world.answer(params["ids"])

    monkeypatch.setattr(HttpClient, "get_json", get_json)
    return world


def cut_off(world):
    manifest = world.path() / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:300])


def of_another_kind(world):
    (world.path() / "manifest.json").write_bytes(b'["no", {"manifest": 1}]')


def lost(world):
    (world.path() / "manifest.json").unlink()


def part_lost(world):
    next(world.path().glob("*.parquet")).unlink()


def part_altered(world):
    part = next(world.path().glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-1] + b"!")


def foreign(world):
    (world.path() / "manifest.json").write_bytes((world.path(NOON) / "manifest.json").read_bytes())


ACCIDENTS = [cut_off, of_another_kind, lost, part_lost, part_altered, foreign]


@pytest.mark.parametrize("accident", ACCIDENTS)
@pytest.mark.parametrize("way_out", ["repair", "force"])
def test_a_damaged_package_stops_no_other_and_has_a_way_out(world, accident, way_out):
    assert world.extract(NOON, "SOL", NOON.time) == 0
    assert world.extract(ONE, "BTC,ETH", ONE.time) == 0
    accident(world)
    assert world.load() == 65
    assert world.loaded() == [package_id(NOON)], "the others load, and what is damaged not under another's id"
    (failure,) = world.said()["failed"]
    assert failure.startswith(package_id(ONE))
    assert f"tickvault lake repair --slot {ONE}" in failure
    evidence = {p.name: p.read_bytes() for p in world.path().iterdir()}
    world.gc()
    world.price = 7
    if way_out == "repair":
        code, said = world.repair()
        assert code == 0
        assert "2 package(s) looked at, 1 damaged" in said
    else:
        assert world.extract(ONE, force=True) == 0
    assert world.pending() == [package_id(ONE, 1)]
    assert world.load() == 0
    assert world.prices() == [("BTC", 7), ("ETH", 7), ("SOL", 1)]
    assert {p.name: p.read_bytes() for p in world.path().iterdir()} == evidence
    assert world.lake.slot(STREAM, ONE).found[1].supersedes == (package_id(ONE),)
    assert (world.extract(ONE), world.load(), world.repair()[0], world.gc()[0]) == (0, 0, 0, 0)
    assert len(world.asked) == 3, "the slot is complete again"


@pytest.mark.parametrize("accident", [cut_off, lost, foreign])
def test_a_scheduled_run_of_a_damaged_slot_names_the_way_out_and_reads_nothing(world, accident):
    assert world.extract(NOON, hour=NOON.time) == world.extract(ONE) == 0
    accident(world)
    assert world.extract(ONE) == 65
    assert f"tickvault lake repair --slot {ONE}" in world.said("extract-coingecko")["error"]["message"]
    assert len(world.asked) == 2


def test_a_manifest_of_a_newer_version_is_named_and_left_to_that_version(world):
    assert world.extract(NOON, "SOL", NOON.time) == world.extract(ONE, hour=ONE.time) == 0
    manifest = world.path() / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"encrypted_with": "k1"}))
    assert world.load() == 65
    assert world.loaded() == [package_id(NOON)]
    assert "of a newer version, it has the field 'encrypted_with'" in world.said()["failed"][0]
    assert "update Tickvault" in world.said()["failed"][0]
    assert world.repair()[0] == 0
    assert world.pending() == [package_id(ONE)], "it is whole, and waits for the update"
    assert world.repair("coingecko", "--slot", ONE.id, "--anyway")[0] == 0
    assert (world.pending(), world.load()) == ([package_id(ONE, 1)], 0)


def test_what_the_ledger_never_knew_and_nobody_can_read_keeps_gc_from_nothing_else(world):
    assert world.extract(NOON, hour=NOON.time) == world.extract(ONE) == 0
    world.rows("DELETE FROM data_platform.packages RETURNING 1")
    cut_off(world)
    parts = set(world.path().iterdir())
    removed, damaged = world.gc()
    assert removed == 0
    assert len(damaged) == 1
    assert "tickvault lake repair" in damaged[0]
    assert set(world.path().iterdir()) == parts
    assert world.pending() == [package_id(NOON)]
    listed = CliRunner().invoke(lake_commands.command, ["ls", "coingecko"])
    assert listed.exit_code == 0
    assert package_id(NOON) in listed.output


def test_a_ledger_made_anew_learns_what_was_superseded_in_any_order(world):
    assert world.extract(ONE) == 0
    part_lost(world)
    assert world.extract(ONE, force=True) == 0
    world.rows("DELETE FROM data_platform.packages RETURNING 1")
    world.gc()
    assert world.pending() == [package_id(ONE, 1)]


def test_what_nobody_can_read_again_is_given_up(world):
    assert world.extract(ONE) == 0
    part_altered(world)
    assert world.repair("--give-up")[0] == 0
    assert len(world.asked) == 1
    assert world.load() == 0
    assert world.loaded() == [package_id(ONE, 1)]


def test_a_package_that_a_target_refuses_is_superseded_on_demand(world):
    assert world.extract(ONE) == 0
    code, _ = world.repair("coingecko", "--slot", ONE.id, "--anyway")
    assert code == 0
    assert world.pending() == [package_id(ONE, 1)]
    assert CliRunner().invoke(lake_commands.command, ["repair", "--anyway"]).exit_code != 0


def test_dry_run_says_and_does_nothing(world):
    assert world.extract(ONE) == 0
    part_altered(world)
    code, said = world.repair("--dry-run")
    assert code == 0
    assert "1 package(s) looked at, 1 damaged" in said
    assert "sha256" in said
    assert len(world.asked) == 1


def test_a_repair_that_reads_nothing_leaves_everything_as_it_was(world, monkeypatch):
    assert world.extract(ONE) == 0
    part_altered(world)
    monkeypatch.setattr(world, "answer", lambda _: {"error": "maintenance"})
    assert world.repair()[0] == 65
    assert world.pending() == [package_id(ONE)]
    assert not world.path(ONE, 1).exists()


def test_a_choice_does_not_complete_a_slot(world):
    assert world.extract(ONE, choice=("BTC",)) == 0
    assert world.extract(ONE, choice=("BTC",)) == 0
    assert world.asked == ["bitcoin"], "the same choice is complete"
    assert world.extract(ONE, choice=("ETH",)) == 0
    assert world.extract(ONE) == 0, "the scheduled run of that slot"
    assert world.asked == ["bitcoin", "ethereum", "bitcoin,ethereum"]
    assert world.extract(ONE) == world.extract(ONE, choice=("ETH",)) == 0
    assert len(world.asked) == 3, "and now it is complete, also for a choice"
    assert [p.choice and p.choice.symbols for p in world.lake.revisions(STREAM, ONE)] == [("BTC",), ("ETH",), None]
    assert world.load() == 0
    assert world.prices() == [("BTC", 1), ("ETH", 1)]


def test_days_of_ones_own_do_not_complete_a_slot_either(world):
    assert world.extract(ONE, days=7) == 0
    assert world.extract(ONE) == 0
    assert len(world.asked) == 2
    assert world.extract(ONE) == world.extract(ONE, days=7) == 0
    assert len(world.asked) == 2


def test_a_choice_that_failed_is_asked_for_by_the_scheduled_run(world, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(world, "answer", lambda _: [])
        assert world.extract(ONE, choice=("BTC",)) == 10
    assert world.extract(ONE) == 0
    assert world.asked == ["bitcoin", "bitcoin,ethereum"]


@pytest.mark.parametrize(
    ("slot", "fields", "sentence"),
    [
        ("20261116T160000Z", {}, "lies in the future"),
        ("20261116T130000Z", {"days": 0}, "--days 0"),
        ("20261116T130000Z", {"days": -3}, "--days -3"),
        ("20261116T130000Z", {"days": 4_000_000}, "--days 4000000"),
        ("20261116T130000Z", {"choice": ()}, "--symbols names none"),
        ("20261116T130000Z", {"choice": (" ",)}, "--symbols names none"),
    ],
)
def test_a_slip_of_the_pen_is_refused_before_anything_is_asked_or_sealed(world, slot, fields, sentence):
    assert world.extract(Slot.parse(slot), **fields) == 78
    assert sentence in world.said("extract-coingecko")["error"]["message"]
    assert (world.asked, list(world.lake.storage.keys("raw-data"))) == ([], [])


HALF = json.loads((CASES / "03-half-a-character-in-address.json").read_text())[1]
SHOWN = HALF.encode("utf-8", "backslashreplace").decode()
NUL = "x\0y"


def test_whatever_a_source_says_is_sealed_so_that_the_ledger_takes_it(world):
    outcomes = (Outcome(HALF, OutcomeStatus.FAILED, NUL + "z" * 100_000), Outcome(NUL, OutcomeStatus.OK, HALF))
    record = {HALF: NUL, NUL: [HALF, float("nan"), {"deep": HALF}], "big": 10**4000, "n": 1}
    rejects = (Reject(HALF, "price", NUL, record), Reject("Q", "price", "long", {"body": "z" * 10_000_000}))
    batch = empty_batch(cursor={HALF: NUL, "BTC": {"n": float("inf")}}, outcomes=outcomes, rejects=rejects)
    package = world.lake.land("coingecko", STREAM, [batch], ONE, "run")
    assert world.gc() == (0, [])
    ((reason, kept),) = world.rows("SELECT reason, record FROM data_platform.rejects WHERE item = %s", SHOWN)
    assert (reason, kept["n"], kept[SHOWN]) == ("x␀y", 1, "x␀y")
    ((reason, size),) = world.rows("SELECT reason, pg_column_size(record) FROM data_platform.rejects WHERE item = 'Q'")
    assert "the record has 10,000,012 characters and begins" in reason
    assert size < 100
    assert package.cursor == {SHOWN: "x␀y", "BTC": {"n": "inf"}}
    assert [o.item for o in package.outcomes] == [SHOWN, "x␀y"]
    assert len(package.outcomes[0].detail) == 2_000
    assert world.load() == 0


def test_what_was_sealed_before_that_was_looked_at_gets_out_by_itself(world):
    package = world.lake.land("coingecko", STREAM, [empty_batch(cursor={"BTC": "2026"})], ONE, "run")
    manifest = world.path() / "manifest.json"
    body = json.loads(manifest.read_text())
    body["outcomes"] = [{"item": HALF, "status": "ok", "detail": NUL}]
    body["cursor"] = {"BTC": HALF, NUL: float("nan")}
    manifest.write_text(json.dumps(body))
    assert world.gc() == (0, [])
    assert world.pending() == [package.id]
    assert (world.load(), world.extract(ONE)) == (0, 0)
    assert Package.from_json(package.to_json()) == package


def empty_batch(**said):
    return Batch(STREAM, pa.RecordBatch.from_pylist([], STREAM.schema), **said)


ADDRESSES = json.loads((CASES / "04-address-of-4-kB.json").read_text())
LONG = ADDRESSES[1]
YEAR_0 = -62_135_596_800_000_001


@pytest.fixture
def news():
    at = datetime(2026, 11, 16, 12, tzinfo=UTC)

    def row(url, **more):
        row = {f.name: None for f in NEWS.schema} | {"cryptocurrency": "BTC", "url": url, "observed_at": at}
        row |= {f.name: "x" for f in NEWS.schema if not f.nullable and row[f.name] is None}
        return row | more

    rows = [row(address) for address in (*ADDRESSES, "https://news.example/of-the-year-0", "https://news.example/\0")]
    records = pa.RecordBatch.from_pylist(rows, NEWS.schema)
    number = NEWS.schema.get_field_index("observed_at")
    micros = records.column(number).cast(pa.int64()).to_pylist()
    times = pa.array([*micros[:3], YEAR_0, micros[4]], pa.int64()).cast(INSTANT)
    return Batch(NEWS, records.set_column(number, NEWS.schema.field(number), times))


@pytest.mark.parametrize("sink", ["postgres", "snowflake"])
def test_a_row_that_one_target_would_refuse_is_put_aside_for_both(world, news, sink, snowflake_settings):
    """Case 04: an index page of PostgreSQL's holds 2,704 bytes, Snowflake has no index and takes it all."""
    password = SecretStr(snowflake_settings["snowflake_password"])
    update = snowflake_settings | {"snowflake_password": password}
    world.settings = world.settings.model_copy(update=update)
    package = world.lake.land("crypto_news", NEWS, [news], ONE, "run")
    assert (package.rows, package.rejected) == (2, 3)
    world.gc()
    assert run_job(Loading(sink), world.settings, TWO) == 0
    assert world.rows("SELECT rows_inserted FROM data_platform.loads WHERE sink = %s", sink) == [(2,)]
    aside = world.rows("SELECT column_name, reason, record ->> 'url' FROM data_platform.rejects ORDER BY ordinal")
    assert aside[0] == ("url", "url makes the key longer than 2,000 bytes, which not every index holds", LONG)
    assert aside[1][:2] == ("observed_at", "observed_at is not between 0001-01-01 and 9999-12-31")
    assert aside[2] == ("url", "url contains the character NUL, which no database stores", "https://news.example/␀")
    assert run_job(Replay("news"), world.settings, TWO) == 0, "a replay does not take them for fitting"
    assert len(world.lake.revisions(NEWS, ONE)) == 1


@pytest.mark.parametrize(("length", "fits"), [(1_900, True), (2_001, False)])
def test_a_key_of_the_greatest_length_is_one_postgresql_takes(world, news, length, fits):
    """Of bytes that no compression shortens: an index page's limit is looked at after it."""
    row = news.records.slice(0, 1).to_pylist()[0] | {"url": "".join(random.Random(7).choices(LETTERS, k=length - 3))}
    batch = Batch(NEWS, pa.RecordBatch.from_pylist([row], NEWS.schema))
    assert world.lake.land("crypto_news", NEWS, [batch], ONE, "run").rows == fits
    world.gc()
    assert world.load() == 0
