"""The PostgreSQL sink where it meets the real server: lost connections, locks, privileges, tables made by others."""

import os
import re
import signal
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
from psycopg import Connection

from tickvault.core.batch import Batch, LoadResult
from tickvault.core.errors import ConfigError, LoadRejectedError, SchemaMismatchError, SinkUnavailableError
from tickvault.core.package import Package
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.core.stream import MONEY, PRICE, Stream, required
from tickvault.engines.postgres.errors import RetryableError
from tickvault.engines.postgres.session import PostgresSession
from tickvault.engines.postgres.tables import sql_type
from tickvault.lake import Lake
from tickvault.local import postgres
from tickvault.local.engines import postgres_environment
from tickvault.market import streams
from tickvault.sinks.postgres import PostgresSink

STREAM = streams.CRYPTO_BINANCE
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
OBSERVED = ["observed_at", "load_timestamp"]


@pytest.fixture
def settings(postgres_uri: str, make_settings: Callable[..., Settings]) -> Settings:
    """Every test has a database of its own."""
    name = f"sink_{uuid.uuid4().hex[:12]}"
    postgres.create_database(postgres_uri, name)
    environment = postgres_environment(postgres_uri.replace("/postgres?", f"/{name}?"))
    return make_settings(**{k.lower(): v for k, v in environment.items()}, lock_wait_seconds=10)


@pytest.fixture
def sink(settings: Settings, lake: Lake) -> Iterator[PostgresSink]:
    with PostgresSink(settings, lake) as sink:
        yield sink


@pytest.fixture
def other(settings: Settings) -> Iterator[Connection]:
    """A connection of somebody else."""
    with closing(psycopg.connect(settings.postgres_dsn())) as other:
        other.autocommit = True
        yield other


def land(lake: Lake, price: str = "1", symbols: tuple[str, ...] = ("BTC", "ETH"), revision: int = 0) -> Package:
    rows = [
        {"symbol": s, "base_currency": s, "quote_currency": "USDT", "price": Decimal(price), "source": "binance",
         "observed_at": NOON} for s in symbols
    ]  # fmt: skip
    batch = Batch(STREAM, pa.RecordBatch.from_pylist(rows, schema=STREAM.schema))
    return lake.land("binance", STREAM, [batch], Slot.of(NOON), "run", revision)


def ask(other: Connection, sql: str) -> list[tuple]:
    with other.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


def prices(other: Connection) -> list[Decimal]:
    return [price for (price,) in ask(other, f"SELECT price FROM {STREAM.name} ORDER BY symbol")]


# The tables


@pytest.mark.parametrize("stream", {s.name: s for s in streams.ALL}.values(), ids=lambda s: s.name)
def test_tables_have_the_streams_columns_in_order(
    stream: Stream, sink: PostgresSink, lake: Lake, other: Connection
) -> None:
    sink.write(stream, lake.land("source", stream, [], Slot.of(NOON), "run"), "run")
    found = ask(
        other,
        f"""SELECT attname, format_type(atttypid, atttypmod), attnotnull, c.collname
        FROM pg_attribute a LEFT JOIN pg_collation c ON c.oid = a.attcollation
        WHERE attrelid = '{stream.name}'::regclass AND attnum > 0 ORDER BY attnum""",
    )
    expected = {f.name: (f.name, sql_type(f.type), not f.nullable) for f in stream.schema} | {
        "row_version": ("row_version", "text", True),
        "package_id": ("package_id", "text", True),
        "load_timestamp": ("load_timestamp", "timestamp with time zone", True),
        "last_seen_version": ("last_seen_version", "text", False),
    }
    assert [row[:3] for row in found] == [expected[name] for name in stream.table_columns]
    names = [row[0] for row in found]
    if stream.name.startswith("raw_cryptoprices_"):
        assert names[:8] == [*stream.schema.names[:6], *OBSERVED]
    if stream is streams.STOCK_YFINANCE:
        assert names[:21] == [*stream.schema.names[:-3], *OBSERVED]
    assert next(row[3] for row in found if row[0] == "row_version") == "C"


def test_a_table_made_by_others_is_refused_by_name(sink: PostgresSink, lake: Lake, other: Connection) -> None:
    package = land(lake)
    sink.write(STREAM, package, "run")
    ask(other, f"ALTER TABLE {STREAM.name} ADD COLUMN remark text, ADD COLUMN kind text NOT NULL DEFAULT 'x'")
    with PostgresSink(sink.settings, lake) as another:
        assert another.write(STREAM, land(lake, "2", revision=1), "run").updated == 2, "such columns are no harm"
    ask(other, f"ALTER TABLE {STREAM.name} ALTER kind DROP DEFAULT")
    with PostgresSink(sink.settings, lake) as another, pytest.raises(SchemaMismatchError, match="kind"):
        another.write(STREAM, land(lake, "3", revision=2), "run")
    ask(other, f'ALTER TABLE {STREAM.name} DROP kind, ALTER row_version TYPE text COLLATE "default"')
    with PostgresSink(sink.settings, lake) as another, pytest.raises(SchemaMismatchError, match="row_version"):
        another.write(STREAM, land(lake, "4", revision=3), "run")
    ask(
        other,
        f'ALTER TABLE {STREAM.name} ALTER row_version TYPE text COLLATE "C", DROP CONSTRAINT {STREAM.name}_pkey',
    )
    with PostgresSink(sink.settings, lake) as another, pytest.raises(SchemaMismatchError, match="primary key"):
        another.write(STREAM, land(lake, "5", revision=4), "run")


def test_a_new_required_column_is_refused(sink: PostgresSink, lake: Lake) -> None:
    sink.write(STREAM, land(lake), "run")
    stricter = replace(STREAM, schema=STREAM.schema.append(required("venue", pa.string())))
    with pytest.raises(SchemaMismatchError, match="venue"):
        sink.write(stricter, lake.land("binance", stricter, [], Slot.of(NOON), "run", 1), "run")


def test_with_timescaledb_a_table_keyed_by_time_becomes_a_hypertable(
    settings: Settings, lake: Lake, other: Connection
) -> None:
    # The wheel has no TimescaleDB: an extension of its name and a function of its signature note what they are asked.
    ask(
        other,
        """SET allow_system_table_mods = on;
        INSERT INTO pg_extension SELECT 99999, 'timescaledb', extowner, extnamespace, false, '2.17', NULL, NULL
        FROM pg_extension WHERE extname = 'plpgsql';
        CREATE TABLE made (relation text, by text, checked boolean, migrated boolean);
        CREATE FUNCTION create_hypertable(
            relation regclass, time_column_name name, if_not_exists boolean, migrate_data boolean
        ) RETURNS void LANGUAGE sql AS 'INSERT INTO made VALUES ($1::text, $2::text, $3, $4)'""",
    )
    with PostgresSink(settings, lake) as sink:
        for stream in (STREAM, streams.STOCK_YFINANCE, streams.TRANSACTIONS_PERSONAL):
            sink.write(stream, lake.land("source", stream, [], Slot.of(NOON), "run"), "run")
    assert ask(other, "SELECT * FROM made ORDER BY 1") == [
        ("raw_cryptoprices_binance", "observed_at", True, True),
        ("raw_stock_prices_yfinance", "date", True, True),
    ]


# Rows and readers


def test_what_a_reader_raises_comes_out_as_itself(
    sink: PostgresSink, lake: Lake, other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = land(lake)
    whole = next(lake.scan(package))

    class OddError(Exception):
        pass

    def scan(_: Package) -> Iterator[pa.RecordBatch]:
        yield whole
        raise OddError("out of paper")

    monkeypatch.setattr(lake, "scan", scan)
    with pytest.raises(OddError, match=r"^out of paper$"):
        sink.write(STREAM, package, "run")
    assert prices(other) == []
    assert sink.loaded() == set()


def test_nul_and_a_null_key_are_rejected(
    sink: PostgresSink, lake: Lake, other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lake puts such rows aside; what was sealed before it did is refused by the target."""
    monkeypatch.setattr("tickvault.lake.writer.admitted", lambda _, records: (records, ()))
    with pytest.raises(LoadRejectedError, match="0x00"):
        sink.write(STREAM, land(lake, symbols=("B\0TC",)), "run")
    nullable = replace(
        STREAM, schema=pa.schema([f.with_nullable(True) for f in STREAM.schema]), lake_path="raw-data/nullable"
    )
    rows = pa.RecordBatch.from_pylist([{"symbol": None, "observed_at": NOON}], schema=nullable.schema)
    package = lake.land("binance", nullable, [Batch(nullable, rows)], Slot.of(NOON), "run", 1)
    with pytest.raises(LoadRejectedError, match="null value in column"):
        sink.write(STREAM, package, "run")
    assert prices(other) == []


def test_the_package_must_fit_the_stream(sink: PostgresSink, lake: Lake) -> None:
    for field, problem in ((pa.field("price", pa.string()), "price"), (pa.field("odd", pa.string()), "odd")):
        schema = pa.schema([*(f.with_nullable(True) for f in STREAM.schema if f.name != field.name), field])
        odd = replace(STREAM, schema=schema, lake_path=f"raw-data/{problem}")
        value = {"symbol": "BTC", "observed_at": NOON, field.name: "x"}
        batch = pa.RecordBatch.from_pylist([value], schema=schema)
        package = lake.land("binance", odd, [Batch(odd, batch)], Slot.of(NOON), "run")
        with pytest.raises(SchemaMismatchError, match=problem):
            sink.write(STREAM, package, "run")


def test_the_ledger_holds_the_counts(sink: PostgresSink, lake: Lake, other: Connection) -> None:
    sink.write(STREAM, land(lake, symbols=("BTC", "ETH", "ETH")), "run-7")
    row = ask(
        other,
        """SELECT package_id, sink, source, stream, slot, run_id, rows_read, rows_inserted, rows_duplicate,
            loaded_at = (SELECT max(load_timestamp) FROM raw_cryptoprices_binance) FROM data_platform.loads""",
    )
    package_id = f"binance.{STREAM.name}.20261120T120000Z.r0"
    assert row == [(package_id, "postgres", "binance", STREAM.name, NOON, "run-7", 3, 2, 1, True)]


# Connections and locks


class Proxy:
    """Stands between a client and the server's socket; cuts the connection around a message of the client's."""

    def __init__(self, server: str) -> None:
        self.server, self.cut_at, self.forward = server, b"", True
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, at: bytes, *, forward: bool) -> None:
        """Cut once at the client's message that holds ``at``: after passing it on, or instead of it."""
        self.cut_at, self.forward = at, forward

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            upstream = socket.socket(socket.AF_UNIX)
            upstream.connect(self.server)
            threading.Thread(target=self._pump, args=(client, upstream, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(upstream, client, False), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, from_client: bool) -> None:
        try:
            while data := source.recv(65536):
                if from_client and self.cut_at and self.cut_at in data:
                    self.cut_at = b""
                    self.cuts += 1
                    source.shutdown(socket.SHUT_RDWR)  # the client sees the end before any answer
                    if self.forward:
                        target.sendall(data)
                    break
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_WR if end is target else socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def proxy(settings: Settings) -> Iterator[Proxy]:
    folder, port = Path(settings.postgres_host), settings.postgres_port
    with closing(Proxy(str(folder / f".s.PGSQL.{port}"))) as proxy:
        yield proxy


@pytest.mark.parametrize("reached", [True, False], ids=["commit reached the server", "commit did not"])
def test_a_connection_cut_while_commit_is_in_flight(
    reached: bool, proxy: Proxy, settings: Settings, lake: Lake, other: Connection
) -> None:
    through = settings.model_copy(update={"postgres_host": "127.0.0.1", "postgres_port": proxy.port})
    with PostgresSink(through, lake) as sink:
        sink.write(STREAM, land(lake, "1"), "run")
        package = land(lake, "2", revision=1)
        proxy.cut(b"COMMIT", forward=reached)
        assert sink.write(STREAM, package, "run") == LoadResult(read=2, updated=2), "not reported as somebody else's"
        assert proxy.cuts == 1
        assert sink.write(STREAM, package, "run").already
    assert prices(other) == [2, 2]
    assert ask(other, "SELECT count(*) FROM data_platform.loads") == [(2,)]


@pytest.mark.parametrize(
    "at", [b"CREATE TEMPORARY", b"FROM STDIN", b"LOCK TABLE", b"ON CONFLICT (", b"UPDATE data_platform"]
)
def test_a_connection_cut_before_commit_is_tried_again(
    at: bytes, proxy: Proxy, settings: Settings, lake: Lake, other: Connection
) -> None:
    through = settings.model_copy(update={"postgres_host": "127.0.0.1", "postgres_port": proxy.port})
    with PostgresSink(through, lake) as sink:
        sink.write(STREAM, land(lake, "1"), "run")
        proxy.cut(at, forward=True)
        assert sink.write(STREAM, land(lake, "2", revision=1), "run") == LoadResult(read=2, updated=2)
        assert proxy.cuts == 1
    assert prices(other) == [2, 2]


def test_a_session_ended_by_the_server_is_opened_again(sink: PostgresSink, lake: Lake, other: Connection) -> None:
    sink.write(STREAM, land(lake, "1"), "run")
    ended = ask(
        other,
        """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'""",
    )
    assert ended == [(True,)], "the sink holds one connection"
    assert sink.write(STREAM, land(lake, "2", revision=1), "run").updated == 2


def test_a_lock_that_is_not_had_in_time_is_transient(settings: Settings, lake: Lake, other: Connection) -> None:
    impatient = settings.model_copy(update={"lock_wait_seconds": 0.1})
    with PostgresSink(impatient, lake) as sink:
        sink.write(STREAM, land(lake, "1"), "run")
        with closing(psycopg.connect(settings.postgres_dsn())) as holder, holder.cursor() as cursor:
            cursor.execute(f"UPDATE {STREAM.name} SET price = 0")
            with pytest.raises(SinkUnavailableError, match="lock timeout"):
                sink.write(STREAM, land(lake, "2", revision=1), "run")
            holder.rollback()
        assert sink.write(STREAM, land(lake, "2", revision=1), "run").updated == 2


def test_a_loader_waits_for_the_one_that_has_the_package_and_takes_over_when_it_dies(
    settings: Settings, lake: Lake, sink: PostgresSink, other: Connection, tmp_path: Path
) -> None:
    package = land(lake, "1")
    sink.write(STREAM, land(lake, "0", revision=1), "run")
    reached, hold = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        from tickvault.core import faults

        def stop(point: str) -> None:
            if point == "between_merge_and_commit":
                os.write(reached[1], b"x")
                os.read(hold[0], 1)

        faults.at = stop
        PostgresSink(settings, lake).write(STREAM, package, "run-dead")
        os._exit(1)
    assert os.read(reached[0], 1) == b"x"
    results: list[LoadResult] = []
    second = threading.Thread(target=lambda: results.append(sink.write(STREAM, package, "run-2")))
    second.start()
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
    while ask(other, waiting) == [(0,)] and second.is_alive():
        second.join(0.02)
    assert second.is_alive(), "the second loader waits for the first one's ledger row"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    second.join(30)
    assert results == [LoadResult(read=2, superseded=2)]
    assert ask(other, f"SELECT run_id FROM data_platform.loads WHERE package_id = '{package.id}'") == [("run-2",)]


def test_opposite_orders_do_not_deadlock(settings: Settings, lake: Lake, other: Connection) -> None:
    symbols = tuple(f"S{n:03d}" for n in range(300))
    packages = [land(lake, str(n + 1), symbols[:: 1 - 2 * (n % 2)], revision=n) for n in range(8)]
    errors: list[BaseException] = []

    def load(mine: list[Package]) -> None:
        try:
            with PostgresSink(settings, lake) as own:
                for package in mine:
                    own.write(STREAM, package, "run")
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=load, args=(packages[n::2],)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert set(prices(other)) == {8}
    totals = "SELECT sum(rows_read), sum(rows_inserted), sum(rows_updated + rows_superseded) FROM data_platform.loads"
    assert ask(other, totals) == [(2400, 300, 2100)], "counts are exact under concurrency"


def test_a_deadlock_is_worth_another_attempt(settings: Settings, other: Connection) -> None:
    ask(other, "CREATE TABLE pair (k int PRIMARY KEY); INSERT INTO pair VALUES (1), (2)")
    ask(other, "ALTER DATABASE " + settings.postgres_db + " SET deadlock_timeout = '50ms'")
    with (
        closing(PostgresSession(settings)) as one,
        closing(psycopg.connect(settings.postgres_dsn())) as holder,
        holder.cursor() as cursor,
    ):
        cursor.execute("SET deadlock_timeout = '1min'")  # the one that looks first is the one that is ended
        one.run("UPDATE pair SET k = k WHERE k = 1")
        cursor.execute("UPDATE pair SET k = k WHERE k = 2")
        blocked = threading.Thread(target=lambda: cursor.execute("UPDATE pair SET k = k WHERE k = 1"))
        blocked.start()
        with pytest.raises(RetryableError, match="deadlock"):
            one.run("UPDATE pair SET k = k WHERE k = 2")
        one.close()
        blocked.join(10)
        assert not blocked.is_alive()


# Who may, and where


def test_nobody_there_is_transient(make_settings: Callable[..., Settings], lake: Lake) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    nobody = make_settings(postgres_host="127.0.0.1", postgres_port=port)
    with pytest.raises(SinkUnavailableError, match=re.escape(f"127.0.0.1:{port}")):
        PostgresSink(nobody, lake).loaded()


def test_a_database_that_is_not_there_is_configuration(settings: Settings, lake: Lake) -> None:
    nowhere = settings.model_copy(update={"postgres_db": "nowhere"})
    with pytest.raises(ConfigError, match="POSTGRES_DB"):
        PostgresSink(nowhere, lake).loaded()


def test_a_missing_grant_is_configuration(
    settings: Settings, lake: Lake, sink: PostgresSink, other: Connection
) -> None:
    sink.loaded()
    name = f"reader_{uuid.uuid4().hex[:8]}"
    ask(other, f"CREATE ROLE {name} LOGIN; GRANT USAGE ON SCHEMA data_platform TO {name}")
    with pytest.raises(ConfigError, match="permission denied"):
        PostgresSink(settings.model_copy(update={"postgres_user": name}), lake).write(STREAM, land(lake), "run")


def test_sessions_are_bounded(settings: Settings) -> None:
    with closing(PostgresSession(settings.model_copy(update={"lock_wait_seconds": 2}))) as session:
        names = ["lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "synchronous_commit"]
        found = [session.rows(f"SELECT current_setting('{name}')")[0][0] for name in names]
    assert found == ["2s", "30min", "5min", "on"]


def test_times_a_microsecond_apart_are_two_keys(sink: PostgresSink, lake: Lake, other: Connection) -> None:
    rows = [
        {"symbol": "BTC", "base_currency": "BTC", "quote_currency": "USDT", "price": Decimal(n), "source": "binance",
         "observed_at": NOON + timedelta(microseconds=n)} for n in range(2)
    ]  # fmt: skip
    batch = pa.RecordBatch.from_pylist(rows, schema=STREAM.schema)
    sink.write(STREAM, lake.land("binance", STREAM, [Batch(STREAM, batch)], Slot.of(NOON), "run"), "run")
    assert prices(other) == [0, 1]


# The digits of a price


def test_numerics_are_read_with_their_columns_own_type(sink: PostgresSink, settings: Settings, lake: Lake) -> None:
    sink.write(STREAM, land(lake, "9.123456789e-06", ("PEPE",)), "run")
    with closing(PostgresSession(settings)) as session:
        session.run(f"CREATE VIEW summed AS SELECT sum(price) AS total FROM public.{STREAM.name}")
        session.commit()
        read = pa.concat_tables(session.arrow(f"public.{STREAM.name}"))
        assert (read.schema.field("price").type, read.schema.field("volume").type) == (PRICE, MONEY)
        assert read.column("price").to_pylist() == [Decimal("9.123456789e-06")]
        summed = pa.concat_tables(session.arrow("public.summed"))
        assert summed.column("total").to_pylist() == ["0.000009123456789000"], "no type to go by: its text"


def test_a_view_in_the_way_of_a_wider_price_is_named(
    sink: PostgresSink, settings: Settings, lake: Lake, other: Connection
) -> None:
    sink.write(STREAM, land(lake, symbols=("BTC",)), "run")
    ask(other, f"ALTER TABLE {STREAM.name} ALTER price TYPE numeric(38,10)")  # as it was once
    ask(other, f"CREATE VIEW mine AS SELECT price FROM {STREAM.name}")
    package = land(lake, "9.123456789e-06", ("PEPE",), revision=1)
    with PostgresSink(settings, lake) as released, pytest.raises(LoadRejectedError, match="view mine"):
        released.write(STREAM, package, "run")
    ask(other, "DROP VIEW mine")
    with PostgresSink(settings, lake) as released:
        assert released.write(STREAM, package, "run").inserted == 1
    assert prices(other) == [1, Decimal("9.123456789e-06")]
