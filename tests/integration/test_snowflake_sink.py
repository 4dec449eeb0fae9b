"""What only the Snowflake sink has: its statements, its lock, lost answers. The contract suite holds the rest."""

import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from tickvault.core.batch import Batch, LoadResult
from tickvault.core.errors import ConfigError, SinkUnavailableError
from tickvault.core.package import Package
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.core.stream import Stream
from tickvault.engines.snowflake.session import Connection, LockedError
from tickvault.lake import Lake
from tickvault.market import streams
from tickvault.sinks.snowflake import SnowflakeSink

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
    return sink._run(f"SELECT {columns} FROM {sink.names.table(stream)} ORDER BY {', '.join(stream.primary_key)}")


def test_values_arrive_as_they_left(sink: SnowflakeSink, lake: Lake) -> None:
    assert sink.write(STREAM, land(lake, bars()), "run-1") == LoadResult(read=3, inserted=3)
    stored = {row[0]: dict(zip([*STREAM.landed_schema.names, "package_id"], row, strict=True)) for row in rows(sink)}
    odd = stored[ODD]
    assert odd["close_price"] == Decimal("10.5000000000")
    assert odd["company_name"] == f"{ODD} — «Inc»\n%s"
    assert odd["volume"] is None
    assert odd["observed_at"] == NOON.replace(tzinfo=None), "UTC without a zone"
    assert odd["date"] == date(2026, 11, 19)
    assert odd["row_version"] == "2026-11-19|20261120T120000Z|r0000"
    assert odd["package_id"] == "yfinance_stock.raw_stock_prices_yfinance.20261120T120000Z.r0"


def test_no_ddl_after_begin(sink: SnowflakeSink, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    run = Connection.run
    monkeypatch.setattr(Connection, "run", lambda self, sql, *values: (said.append(sql), run(self, sql, *values))[1])
    for revision in (0, 2, 1):
        sink.write(STREAM, land(lake, bars(str(revision + 1)), revision=revision), "run-1")
    verbs = [sql.split()[0].upper() for sql in said]
    assert verbs.count("BEGIN") == verbs.count("COMMIT") == 3
    inside = False
    for verb, sql in zip(verbs, said, strict=True):
        inside = verb == "BEGIN" or (inside and verb not in {"COMMIT", "ROLLBACK"})
        if inside:
            assert verb in {"BEGIN", "UPDATE", "SELECT", "MERGE", "INSERT", "DELETE"}, sql
    puts = [sql for sql in said if sql.startswith("PUT")]
    assert len(puts) == len({sql.split(" @")[1] for sql in puts}) == 3, "no staged name is used twice"
    assert verbs.count("DROP") == 3, "staging tables are dropped"
    assert not sink._run(f"LIST @{sink.names.stage}"), "staged files are removed"


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
        holder._begin(holder.names.table(STREAM), "somebody")
        waiting = pool.submit(sink.write, STREAM, package, "run-2")
        while "is locked by another loader" not in caplog.text:
            holder._run("SELECT 1")  # who is at work is not taken for dead
            assert not waiting.done()
        holder._run("ROLLBACK")
        assert waiting.result(120) == LoadResult(read=3, updated=3)
        holder._begin(holder.names.table(STREAM), "somebody")
        monkeypatch.setattr(SnowflakeSink, "orphan_seconds", 0.0)
        with pytest.raises(LockedError):
            sink._begin(sink.names.table(STREAM), "impatient")


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
    with pytest.raises(SinkUnavailableError, match="the ledger does not hold it"):
        sink.write(STREAM, land(lake, bars()), "run-1")
    monkeypatch.undo()
    assert rows(sink) == []


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
