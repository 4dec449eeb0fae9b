"""What a load does with packages that fail, a stop in between, and a target that is not the one it knew."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import ClassVar

import psycopg
import pytest

from tickvault.core.batch import LoadResult, Rows
from tickvault.core.claim import Claim
from tickvault.core.errors import (
    ConfigError,
    InterruptedRunError,
    LoadRejectedError,
    PlatformError,
    SinkUnavailableError,
)
from tickvault.core.holding import Holding
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.core.stream import Stream
from tickvault.engines.storage import open_storage
from tickvault.lake import Lake
from tickvault.ledger import Ledger
from tickvault.market import streams
from tickvault.runs.entry import run_job
from tickvault.sinks import Sink
from tickvault.sinks.snowflake import SnowflakeSink
from tickvault.transfer import catalog
from tickvault.transfer.loading import Loading

SLOT = Slot.of(datetime(2026, 11, 20, 13, tzinfo=UTC))
BARS = "raw_cryptobars.20261120T130000Z.r0"
PRICES = "coingecko.raw_cryptoprices_coingecko.20261120T130000Z.r0"
PACKAGES = [f"binance.{BARS}", f"yfinance_crypto.{BARS}", PRICES]


class Warehouse(Sink):
    """A target with a ledger of its own, kept here; ``breaks`` says what goes wrong with which package."""

    name = "warehouse"
    databases: ClassVar[dict[str, list[str]]] = {}
    breaks: ClassVar[dict[str, PlatformError]] = {}
    tried: ClassVar[list[str]] = []
    opened: ClassVar[int] = 0

    def __init__(self, settings: Settings, lake: Lake) -> None:
        super().__init__(settings, lake)
        Warehouse.opened += 1

    @classmethod
    def target(cls, settings: Settings) -> str | None:
        return settings.snowflake_database

    def load(self, stream: Stream, rows: Rows, claim: Claim) -> LoadResult:
        self.tried.append(claim.id)
        if claim.id in self.breaks:
            raise self.breaks[claim.id]
        held = self.databases.setdefault(self.settings.snowflake_database, [])
        if claim.id in held:
            return LoadResult(already=True)
        held.append(claim.id)
        return LoadResult()

    def count(self) -> int:
        return len(self.loaded())

    def held(self, stream: Stream, identity: str = "") -> Holding:
        return Holding(stream.name, frozenset(stream.schema.names), "", 0)

    def forget(self, stream: Stream) -> None:
        raise NotImplementedError

    def count_changes(self, before: datetime) -> int:
        raise NotImplementedError

    def prune_changes(self, before: datetime, limit: int) -> int:
        raise NotImplementedError

    def loaded(self) -> set[str]:
        return set(self.databases.get(self.settings.snowflake_database, ()))

    def close(self) -> None:
        pass


@pytest.fixture
def settings(
    make_settings: Callable[..., Settings],
    postgres_settings: dict[str, str],
    tmp_path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Settings]:
    """Three packages have landed: two of one stream from two sources, one of another stream."""
    for name, empty in (("databases", {}), ("breaks", {}), ("tried", []), ("opened", 0)):
        monkeypatch.setattr(Warehouse, name, empty)
    monkeypatch.setattr(catalog, "sink", lambda _: Warehouse)
    settings = make_settings(**postgres_settings, lake_path=tmp_path, lock_wait_seconds=0.0)
    lake = Lake(open_storage(settings))
    landings = [
        ("binance", streams.BARS_BINANCE),
        ("yfinance_crypto", streams.BARS_YFINANCE),
        ("coingecko", streams.CRYPTO_COINGECKO),
    ]
    with Ledger.open(settings) as ledger:
        for table in ("runs", "packages", "loads"):
            ledger._db.rows(f"DELETE FROM data_platform.{table} RETURNING 1")
        for source, stream in landings:
            ledger.packages.register(stream, lake.land(source, stream, [], SLOT, "run"), ())
    return settings


def load(settings: Settings) -> int:
    return run_job(Loading("warehouse"), settings, SLOT)


def held(database: str = "TICKVAULT") -> list[str]:
    return sorted(Warehouse.databases.get(database, []))


def test_a_rejected_package_stops_no_other(settings: Settings) -> None:
    Warehouse.breaks[PACKAGES[0]] = LoadRejectedError("row 7 is odd")
    assert load(settings) == 65
    assert held() == sorted(PACKAGES[1:])
    with Ledger.open(settings) as ledger:
        assert [p.package_id for p in ledger.loads.pending("warehouse", None, "TICKVAULT")] == [PACKAGES[0]]
        ((outcome,),) = ledger._db.rows("SELECT outcome FROM data_platform.runs")
    assert outcome["failed"] == [f"{PACKAGES[0]}: row 7 is odd"]


def test_what_a_person_must_put_right_stops_its_stream_alone(settings: Settings) -> None:
    Warehouse.breaks[PACKAGES[0]] = ConfigError("no grant on this table")
    assert load(settings) == 78
    assert Warehouse.tried == [PACKAGES[0], PRICES]


@pytest.mark.parametrize("error", [InterruptedRunError("stopped by SIGTERM"), SinkUnavailableError("gone")])
def test_a_stop_and_a_target_that_is_gone_end_the_run_at_once(settings: Settings, error: PlatformError) -> None:
    Warehouse.breaks[PACKAGES[0]] = error
    assert load(settings) == 75
    assert Warehouse.tried == PACKAGES[:1]
    with Ledger.open(settings) as ledger:
        interrupted = isinstance(error, InterruptedRunError)
        assert ledger._db.rows("SELECT status FROM data_platform.runs") == [
            ("interrupted" if interrupted else "failed",)
        ]


def test_a_stream_another_loader_is_at_is_left_to_it(settings: Settings) -> None:
    with Ledger.open(settings) as other, other.lock("load-warehouse-raw_cryptobars", 0):
        assert load(settings) == 75
    assert Warehouse.tried == [PRICES]


def test_with_nothing_pending_the_target_is_not_asked(settings: Settings) -> None:
    assert (load(settings), Warehouse.opened) == (0, 1)
    assert (load(settings), Warehouse.opened) == (0, 1)


def test_another_target_gets_everything_and_the_first_keeps_its_own(settings: Settings) -> None:
    other = settings.model_copy(update={"snowflake_database": "OTHER"})
    assert [load(settings), load(other)] == [0, 0]
    assert held("TICKVAULT") == held("OTHER") == sorted(PACKAGES)
    Warehouse.tried.clear()
    assert load(settings) == 0
    assert Warehouse.tried == [], "what the first target holds is read from its own ledger"
    assert held() == sorted(PACKAGES)


def test_a_target_that_lost_its_data_gets_it_again_with_the_next_package(settings: Settings) -> None:
    assert load(settings) == 0
    Warehouse.databases.clear()
    with Ledger.open(settings) as ledger:
        package = Lake(open_storage(settings)).land("binance", streams.CRYPTO_BINANCE, [], SLOT, "run")
        ledger.packages.register(streams.CRYPTO_BINANCE, package, ())
    assert load(settings) == 0
    assert held() == sorted([*PACKAGES, package.id])
    with Ledger.open(settings) as ledger:
        assert ledger.loads.pending("warehouse", None, "TICKVAULT") == []


def test_what_another_loader_adds_meanwhile_is_not_taken_for_lost(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    Warehouse.databases["TICKVAULT"] = ["a package this ledger never heard of"]  # so that the two are compared
    ask = Warehouse.loaded

    def slowly(self: Warehouse) -> set[str]:
        monkeypatch.setattr(Warehouse, "loaded", ask)
        held = ask(self)
        assert run_job(Loading("warehouse", ("coingecko",), "other"), settings, SLOT) == 0
        return held

    monkeypatch.setattr(Warehouse, "loaded", slowly)
    assert run_job(Loading("warehouse", ("binance",)), settings, SLOT) == 0
    assert Warehouse.tried == [PRICES, PACKAGES[0]]
    with Ledger.open(settings) as ledger:
        assert [p.package_id for p in ledger.loads.pending("warehouse", None, "TICKVAULT")] == [PACKAGES[1]]


def test_snowflakes_target_is_the_account_and_the_database(make_settings: Callable[..., Settings]) -> None:
    account = make_settings(snowflake_account="ab12", snowflake_database="tickvault")
    emulator = account.model_copy(update={"snowflake_host": "localhost"})
    other = account.model_copy(update={"snowflake_database": "OTHER"})
    same = account.model_copy(update={"snowflake_database": "TICKVAULT"})
    assert len({SnowflakeSink.target(s) for s in (account, emulator, other, same)}) == 3


def test_a_role_that_may_not_create_the_ledger_is_configuration(settings: Settings) -> None:
    with psycopg.connect(settings.postgres_dsn()) as owner, owner.cursor() as cursor:
        cursor.execute("DROP SCHEMA data_platform CASCADE; DROP ROLE IF EXISTS ledger_reader")
        cursor.execute("CREATE ROLE ledger_reader LOGIN")
    owner.close()
    reader = settings.model_copy(update={"postgres_user": "ledger_reader"})
    with pytest.raises(ConfigError, match=r"permission denied.*POSTGRES_USER"):
        Ledger.open(reader)
    with Ledger.open(settings) as ledger, pytest.raises(PlatformError, match="refuses"):
        ledger._db.rows("SELECT 1/0")
