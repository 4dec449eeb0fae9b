"""The Snowflake sink: whatever happens while it loads, a package counts once."""

import hashlib
import multiprocessing
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

from tickvault import faults, streams
from tickvault.errors import ConfigError, LoadRejectedError, SchemaMismatchError, SinkUnavailableError
from tickvault.lake import Lake
from tickvault.package import Package
from tickvault.settings import Settings
from tickvault.sink import LoadResult
from tickvault.sinks.snowflake import SnowflakeSink
from tickvault.slot import Slot
from tickvault.snowflake.connection import Connection, LockedError
from tickvault.source import Batch
from tickvault.stream import Stream, WriteMode

STREAM = streams.STOCK_YFINANCE
ODD = "ÄÖ'\\\""
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def settings(make_settings: Callable[..., Settings], snowflake_settings: dict[str, str], emulator: object) -> Settings:
    """Every test has a database of its own."""
    return make_settings(**snowflake_settings | {"snowflake_database": f"T_{uuid.uuid4().hex[:10]}".upper()})


@pytest.fixture
def sink(settings: Settings, lake: Lake) -> Iterator[SnowflakeSink]:
    with SnowflakeSink(settings, lake) as sink:
        yield sink


def bars(close: str = "10.5", tickers: tuple[str, ...] = ("AAPL", "MSFT", ODD), at: datetime = NOON) -> pa.RecordBatch:
    rows = [
        {"ticker": t, "date": date(2026, 11, 19), "close_price": Decimal(close), "company_name": f"{t} — «Inc»\n%s",
         "volume": None, "source": "test", "observed_at": at}
        for t in tickers
    ]  # fmt: skip
    return pa.RecordBatch.from_pylist(rows, schema=STREAM.schema)


def land(
    lake: Lake, *batches: pa.RecordBatch, slot: datetime = NOON, stream: Stream = STREAM, revision: int = 0
) -> Package:
    return lake.land("yfinance_stock", stream, [Batch(stream, b) for b in batches], Slot.of(slot), "run-1", revision)


def rows(sink: SnowflakeSink, stream: Stream = STREAM) -> list[tuple]:
    columns = ", ".join([*stream.landed_schema.names, "package_id"])
    return sink._run(f"SELECT {columns} FROM {sink.names.target(stream)} ORDER BY {', '.join(stream.primary_key)}")


def checksum(sink: SnowflakeSink) -> str:
    return hashlib.sha256(repr(rows(sink)).encode()).hexdigest()


def test_values_arrive_as_they_left(sink: SnowflakeSink, lake: Lake) -> None:
    assert sink.write(STREAM, land(lake, bars()), "run-1") == LoadResult(read=3, inserted=3)
    stored = {row[0]: dict(zip([*STREAM.landed_schema.names, "package_id"], row, strict=True)) for row in rows(sink)}
    odd = stored[ODD]
    assert odd["close_price"] == Decimal("10.5000000000")
    assert odd["company_name"] == f"{ODD} — «Inc»\n%s"
    assert odd["volume"] is None
    assert odd["observed_at"] == NOON.replace(tzinfo=None), "UTC without a zone"
    assert odd["date"] == date(2026, 11, 19)
    assert odd["row_version"] == "2026-11-20T12:00:00.000000Z|20261120T120000Z|r0000"
    assert odd["package_id"] == "yfinance_stock.raw_stock_prices_yfinance.20261120T120000Z.r0"


def test_the_same_package_twice_is_loaded_once(sink: SnowflakeSink, lake: Lake, settings: Settings) -> None:
    package = land(lake, bars())
    first = sink.write(STREAM, package, "run-1")
    before = checksum(sink)
    assert sink.write(STREAM, package, "run-2") == replace(first, already=True)
    with SnowflakeSink(settings, lake) as another:
        assert another.write(STREAM, package, "run-3") == replace(first, already=True)
        assert another.loaded() == {package.id}
    assert checksum(sink) == before


def test_every_row_is_accounted_for(sink: SnowflakeSink, lake: Lake) -> None:
    sink.write(STREAM, land(lake, bars("10", ("A", "B", "C"))), "run-1")
    later = NOON + timedelta(days=1)
    mixed = [bars("11", ("A",), later), bars("10", ("B",), later), bars("9", ("C",), NOON - timedelta(days=1)),
             bars("12", ("D", "D"), later)]  # fmt: skip
    result = sink.write(STREAM, land(lake, *mixed, slot=later), "run-2")
    # B's content but for the time of observation is the same; that time is content too.
    assert result == LoadResult(read=5, inserted=1, updated=2, superseded=1, duplicates=1)
    again = sink.write(STREAM, land(lake, bars("11", ("A",), later), slot=later, revision=1), "run-3")
    assert again == LoadResult(read=1, unchanged=1), "equal content, higher revision"
    assert [(r[0], r[5]) for r in rows(sink)] == [("A", 11), ("B", 10), ("C", 10), ("D", 12)]
    assert rows(sink)[0][-1].endswith("r1"), "the newer version and package stay even when nothing else changed"


def test_an_older_package_that_comes_last_changes_nothing(sink: SnowflakeSink, lake: Lake) -> None:
    later = NOON + timedelta(days=1)
    older, newer = land(lake, bars("1")), land(lake, bars("2", at=later), slot=later)
    sink.write(STREAM, newer, "run-1")
    before = checksum(sink)
    assert sink.write(STREAM, older, "run-2") == LoadResult(read=3, superseded=3)
    assert checksum(sink) == before


def test_no_ddl_after_begin(sink: SnowflakeSink, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    run = Connection.run
    monkeypatch.setattr(Connection, "run", lambda self, sql, *values: (said.append(sql), run(self, sql, *values))[1])
    for revision in range(2):
        sink.write(STREAM, land(lake, bars(str(revision + 1)), revision=revision), "run-1")
    verbs = [sql.split()[0].upper() for sql in said]
    assert verbs.count("BEGIN") == verbs.count("COMMIT") == 2
    inside = False
    for verb, sql in zip(verbs, said, strict=True):
        inside = verb == "BEGIN" or (inside and verb not in {"COMMIT", "ROLLBACK"})
        if inside:
            assert verb in {"BEGIN", "UPDATE", "SELECT", "MERGE", "INSERT"}, sql
    puts = [sql for sql in said if sql.startswith("PUT")]
    assert len(puts) == len({sql.split(" @")[1] for sql in puts}) == 2, "no staged name is used twice"
    assert verbs.count("DROP") == 2, "staging tables are dropped"
    assert not sink._run(f"LIST @{sink.names.stage}"), "staged files are removed"


def crash(settings: Settings, lake: Lake, package: Package, point: str) -> None:
    def load() -> None:
        faults.arm(point)
        with SnowflakeSink(settings, lake) as sink:
            sink.write(STREAM, package, "run-killed")

    process = multiprocessing.get_context("fork").Process(target=load)
    process.start()
    process.join(60)
    assert process.exitcode == 137


@pytest.mark.parametrize("point", ["after_put", "after_copy", "after_lock", "between_merge_and_commit", "after_commit"])
def test_killed_anywhere_and_run_again_is_as_if_undisturbed(
    point: str, settings: Settings, sink: SnowflakeSink, lake: Lake
) -> None:
    first, later = land(lake, bars("1")), NOON + timedelta(days=1)
    second = land(lake, bars("2", ("AAPL", "NEW"), later), slot=later)
    undisturbed = replace_database(settings)
    with SnowflakeSink(undisturbed, lake) as other:
        for package in (first, second):
            other.write(STREAM, package, "run-1")
        expected = checksum(other)
    sink.write(STREAM, first, "run-1")
    crash(settings, lake, second, point)
    result = sink.write(STREAM, second, "run-2")
    assert result == LoadResult(read=2, inserted=1, updated=1, already=point == "after_commit")
    assert checksum(sink) == expected
    assert sink._run(f"SELECT COUNT(*) FROM {sink.names.loads}") == [(2,)]


def test_a_lock_that_is_held_is_waited_for_and_said_so(
    settings: Settings,
    sink: SnowflakeSink,
    lake: Lake,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sink.write(STREAM, land(lake, bars("1")), "run-1")
    package = land(lake, bars("2"), revision=1)
    with SnowflakeSink(settings, lake) as holder, ThreadPoolExecutor(1) as pool:
        holder._begin(holder.names.target(STREAM), "somebody")
        waiting = pool.submit(sink.write, STREAM, package, "run-2")
        while "is locked by another loader" not in caplog.text:
            holder._run("SELECT 1")  # who is at work is not taken for dead
            assert not waiting.done()
        holder._run("ROLLBACK")
        assert waiting.result(120) == LoadResult(read=3, updated=3)
        holder._begin(holder.names.target(STREAM), "somebody")
        monkeypatch.setattr(SnowflakeSink, "orphan_seconds", 0.0)
        with pytest.raises(LockedError):
            sink._begin(sink.names.target(STREAM), "impatient")


def replace_database(settings: Settings) -> Settings:
    return settings.model_copy(update={"snowflake_database": f"T_{uuid.uuid4().hex[:10]}".upper()})


def test_three_loaders_at_once(settings: Settings, sink: SnowflakeSink, lake: Lake) -> None:
    packages = [land(lake, bars(str(n), at=NOON + timedelta(days=n)), slot=NOON + timedelta(days=n)) for n in range(3)]

    def load(order: list[int]) -> list[LoadResult]:
        with SnowflakeSink(settings, lake) as own:
            return [own.write(STREAM, packages[n], "run") for n in order]

    with ThreadPoolExecutor(3) as pool:
        results = [r for loaded in pool.map(load, ([0, 1, 2], [2, 1, 0], [1, 0, 2])) for r in loaded]
    assert len(results) == 9
    assert sum(not r.already for r in results) == 3, "each package was loaded by one of them"
    assert [r[5] for r in rows(sink)] == [2, 2, 2], "the newest wins in whatever order"
    assert sink._run(f"SELECT COUNT(*) FROM {sink.names.loads}") == [(3,)]


@pytest.mark.parametrize("reached", [True, False])
def test_an_unanswered_commit_is_settled_by_the_ledger(
    reached: bool, sink: SnowflakeSink, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.write(STREAM, land(lake, bars("1")), "run-1")
    run = Connection.run

    def cut(self: Connection, sql: str, *values: object) -> list[tuple]:
        if sql == "COMMIT":
            if reached:
                run(self, sql)
            self.close()
            raise SinkUnavailableError("connection reset")
        return run(self, sql, *values)

    package = land(lake, bars("2"), revision=1)
    monkeypatch.setattr(Connection, "run", cut)
    if reached:
        assert sink.write(STREAM, package, "run-2") == LoadResult(read=3, updated=3)
    else:
        with pytest.raises(SinkUnavailableError, match="nothing was loaded"):
            sink.write(STREAM, package, "run-2")
    monkeypatch.undo()
    assert sink.write(STREAM, package, "run-3") == LoadResult(read=3, updated=3, already=reached)
    assert {r[5] for r in rows(sink)} == {2}


class Wire:
    """A TCP proxy that can lose one answer of the server."""

    def __init__(self, port: int) -> None:
        self._server_port, self.lose_next = port, False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                for source, sink, is_answer in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._copy, args=(source, sink, is_answer), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if is_answer and self.lose_next:
                    self.lose_next = False
                    break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.mark.parametrize("verb", ["PUT", "BEGIN", "MERGE", "INSERT", "COMMIT"])
def test_a_lost_answer_changes_nothing_in_the_end(
    verb: str, settings: Settings, sink: SnowflakeSink, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.write(STREAM, land(lake, bars("1")), "run-1")
    wire = Wire(settings.snowflake_port)
    run = Connection.run
    lost: list[str] = []

    def losing(self: Connection, sql: str, *values: object) -> list[tuple]:
        about = sql.startswith(verb) and ("LOADS" in sql or verb != "INSERT")
        if about and not lost:
            lost.append(sql)
            wire.lose_next = True
        return run(self, sql, *values)

    monkeypatch.setattr(Connection, "run", losing)
    package = land(lake, bars("2", ("AAPL", "NEW")), revision=1)
    with closing(wire), SnowflakeSink(settings.model_copy(update={"snowflake_port": wire.port}), lake) as behind:
        for _ in range(2):  # the connector repeats a request whose answer is lost; if that fails, the job comes again
            with suppress(SinkUnavailableError):
                behind.write(STREAM, package, "run-2")
    assert lost
    assert not wire.lose_next
    assert [(r[0], r[5]) for r in rows(sink)] == [("AAPL", 2), ("MSFT", 1), ("NEW", 2), (ODD, 1)]
    assert sink._run(f"SELECT COUNT(*), COUNT(DISTINCT PACKAGE_ID) FROM {sink.names.loads}") == [(2, 2)]
    assert sink._ledger(package.id)[1] == LoadResult(read=2, inserted=1, updated=1, already=True)


def test_a_commit_without_its_transaction_is_noticed(
    sink: SnowflakeSink, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Connection.run

    def lost(self: Connection, sql: str, *values: object) -> list[tuple]:
        if sql == "COMMIT":
            run(self, "ROLLBACK")  # as if the server had ended the transaction: the COMMIT below still succeeds
        return run(self, sql, *values)

    monkeypatch.setattr(Connection, "run", lost)
    with pytest.raises(SinkUnavailableError, match="the ledger does not hold the package"):
        sink.write(STREAM, land(lake, bars()), "run-1")
    monkeypatch.undo()
    assert rows(sink) == []


def test_rows_that_do_not_all_arrive_are_refused(sink: SnowflakeSink, lake: Lake) -> None:
    package = replace(land(lake, bars()), rows=4)
    with pytest.raises(LoadRejectedError, match="manifest says 4 rows, 3 arrived"):
        sink.write(STREAM, package, "run-1")
    assert rows(sink) == []
    assert sink.loaded() == set()


def test_a_column_is_added_and_another_type_refused(sink: SnowflakeSink, lake: Lake, settings: Settings) -> None:
    sink.write(STREAM, land(lake, bars()), "run-1")
    wider = replace(STREAM, schema=STREAM.schema.append(pa.field("isin", pa.string())))
    batch = bars("3", at=NOON + timedelta(days=1)).append_column("isin", pa.array(["x", None, "z"]))
    package = land(lake, batch.cast(wider.schema), slot=NOON + timedelta(days=1), stream=wider)
    with SnowflakeSink(settings, lake) as own:
        assert own.write(wider, package, "run-2").updated == 3
        assert own._run(f"SELECT COUNT(isin) FROM {own.names.target(wider)}") == [(2,)]
    index = STREAM.schema.get_field_index("source")
    other = replace(STREAM, schema=STREAM.schema.set(index, pa.field("source", pa.int64())))
    with SnowflakeSink(settings, lake) as own, pytest.raises(SchemaMismatchError, match="source"):
        own.write(other, package, "run-3")


def test_both_transaction_streams_share_a_table(sink: SnowflakeSink, lake: Lake) -> None:
    both = {"personal": streams.TRANSACTIONS_PERSONAL, "corporate": streams.TRANSACTIONS_CORPORATE}
    amounts = dict.fromkeys(("quantity", "price_per_unit", "transaction_amount", "fee_amount"), Decimal(1))
    texts = dict.fromkeys(("customer_id", "asset_type", "asset_symbol", "transaction_type", "currency"), "x")
    for kind, stream in both.items():
        row = {"transaction_id": kind, "customer_type": kind, "transaction_timestamp": NOON} | amounts | texts
        batch = pa.RecordBatch.from_pylist([row], schema=stream.schema)
        assert sink.write(stream, land(lake, batch, stream=stream), "run-1") == LoadResult(read=1, inserted=1)
    table = f"{sink.names.database}.RAW.RAW_TRANSACTIONS"
    assert sink._run(f"SELECT CUSTOMER_TYPE FROM {table} ORDER BY 1") == [("corporate",), ("personal",)]


def test_rows_without_a_key_are_appended_once(sink: SnowflakeSink, lake: Lake) -> None:
    stream = replace(STREAM, primary_key=(), write_mode=WriteMode.APPEND)
    package = land(lake, bars(tickers=("A", "A")), stream=stream)
    assert sink.write(stream, package, "run-1") == LoadResult(read=2, inserted=2)
    assert sink.write(stream, package, "run-2").already
    assert sink._run(f"SELECT COUNT(*) FROM {sink.names.target(stream)}") == [(2,)]


def test_an_empty_package_is_noted(sink: SnowflakeSink, lake: Lake) -> None:
    package = land(lake, bars(tickers=()))
    assert sink.write(STREAM, package, "run-1") == LoadResult()
    assert sink.loaded() == {package.id}


def test_old_staging_tables_are_swept_up(sink: SnowflakeSink, lake: Lake, settings: Settings) -> None:
    sink.write(STREAM, land(lake, bars()), "run-1")
    recent = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
    for name in ("20200101000000_DEAD", f"{recent}_ALIVE"):
        sink._run(f"CREATE TRANSIENT TABLE {settings.snowflake_database}.DATA_PLATFORM.LOAD_{name} (A INT)")
    with SnowflakeSink(settings, lake) as later:
        later.write(STREAM, land(lake, bars("2"), revision=1), "run-2")
        names = later._run(
            f"SELECT TABLE_NAME FROM {settings.snowflake_database}.INFORMATION_SCHEMA.TABLES"
            " WHERE TABLE_SCHEMA = 'DATA_PLATFORM'"
        )
    assert {name for (name,) in names} == {f"LOAD_{recent}_ALIVE", "LOADS", "LOAD_LOCK"}


def test_nothing_set_and_nobody_there(make_settings: Callable[..., Settings], lake: Lake) -> None:
    with pytest.raises(ConfigError, match="SNOWFLAKE_ACCOUNT"):
        SnowflakeSink(make_settings(), lake).loaded()
    with pytest.raises(ConfigError, match="SNOWFLAKE_PASSWORD"):
        SnowflakeSink(make_settings(snowflake_account="x"), lake).loaded()
    nobody = make_settings(
        snowflake_account="fakesnow", snowflake_password="x", snowflake_host="127.0.0.1", snowflake_port=9,
        snowflake_protocol="http", snowflake_network_timeout=2,
    )  # fmt: skip
    with pytest.raises(SinkUnavailableError, match=r"127\.0\.0\.1:9 does not answer"):
        SnowflakeSink(nobody, lake).loaded()
