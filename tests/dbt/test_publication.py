"""Builds as jobs, on each engine: a reader polls through good and bad builds, and what arrives last is published."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
import raw_data
from snowflake.connector import errors
from trino import exceptions
from warehouse import PROJECT, Snowflake, Trino, Warehouse

from tickvault.core.settings import Settings
from tickvault.core.stream import Area, Stream
from tickvault.ledger import Ledger
from tickvault.local.engines import postgres_environment
from tickvault.local.snowflake.process import Emulator
from tickvault.market import streams

SLOT = "20261120T130000Z"
WAIT_SECONDS = 900


@dataclass
class Shop:
    """One target with its raw tables, its ledger, and the jobs that build it."""

    warehouse: Warehouse
    settings: Settings
    variables: dict[str, str]
    tables: raw_data.Tables

    def ask(self) -> "subprocess.Popen[str]":
        """Ask for a build as a flow does."""
        command = [sys.executable, "-m", "tickvault", "dbt", "build", "--target", self.warehouse.target, "--slot", SLOT]
        return subprocess.Popen(
            command, env=os.environ | self.variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def build(self) -> tuple[int, str]:
        asked = self.ask()
        output, _ = asked.communicate(timeout=WAIT_SECONDS)
        return asked.returncode, output

    def load(self, package: str, stream: Stream, rows: list[raw_data.Row]) -> None:
        """Append rows as the loader does, and note the load in the ledger."""
        names = [f.name for f in stream.landed_schema] + ["package_id", "load_timestamp"]
        values = ", ".join("(" + ", ".join(literal(row.get(name)) for name in names) + ")" for row in rows)
        schema = "RAW" if stream.area is Area.BATCH else "STAGING"
        postgres = isinstance(self.warehouse, Trino)
        table = stream.name if postgres else f"{schema}.{stream.warehouse_table}"
        sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES {values}"
        if postgres:
            with psycopg.connect(self.warehouse.postgres) as connection, connection.cursor() as cursor:
                cursor.execute(sql)
        else:
            self.warehouse.query(sql)
        self.note(package)

    def note(self, package: str) -> None:
        sink = "postgres" if isinstance(self.warehouse, Trino) else "snowflake"
        self.ledger(
            """INSERT INTO data_platform.loads (package_id, sink, source, stream, slot, run_id)
            VALUES (%s, %s, 'test', 'test', now(), 'test') RETURNING package_id""",
            package,
            sink,
        )

    def ledger(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with Ledger.open(self.settings) as ledger:
            return ledger._db.rows(sql, *values)

    def builds(self) -> list[str]:
        return [status for (status,) in self.ledger("SELECT status FROM data_platform.builds ORDER BY started_at")]

    def generations(self) -> int:
        """How many frozen states of fct_transactions there are."""
        if isinstance(self.warehouse, Trino):
            return self.warehouse.query('SELECT count(*) FROM lake.build_marts."fct_transactions$snapshots"')[0][0]
        sql = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'GENERATIONS' AND table_name LIKE"
        return self.warehouse.query(f"{sql} 'FCT_TRANSACTIONS%'")[0][0]


def literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, datetime):
        return f"'{value:%Y-%m-%d %H:%M:%S.%f}'"
    return str(value) if isinstance(value, Decimal | int) else "'" + str(value).replace("'", "''") + "'"


@dataclass
class Reader:
    """Asks a public view again and again, and keeps what it was told."""

    warehouse: Warehouse
    seen: list[tuple[int, int]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _read(self) -> None:
        sql = "SELECT count(*), count(CASE WHEN transaction_type = 'gift' THEN 1 END) FROM marts.fct_transactions"
        while not self._over.wait(0.05):
            try:
                answer = tuple(self.warehouse.query(sql)[0])
            except (errors.Error, exceptions.Error) as error:
                self.wrong.append(str(error))
            else:
                if not self.seen or self.seen[-1] != answer:
                    self.seen.append(answer)


def shop(warehouse: Warehouse, postgres_uri: str, folder: Path, make: Callable[..., Settings]) -> Shop:
    tables = raw_data.generate(11, transactions=40, days=25, customers=6, companies=2, symbols=2)
    warehouse.load(tables)
    variables = {
        **warehouse.environment(), **postgres_environment(postgres_uri), "DBT_PROJECT_DIR": str(PROJECT),
        "SEEDS_PATH": str(raw_data.SEEDS), "DBT_TARGET_PATH": str(folder), "TICKVAULT_HOME": str(folder),
        "LAKE_PATH": str(folder / "lake"),
    }  # fmt: skip
    made = Shop(warehouse, make(**{k.lower(): v for k, v in variables.items()}), variables, tables)
    made.note("first")
    return made


def trade(tables: raw_data.Tables, number: int, kind: str, revision: int = 0) -> raw_data.Row:
    row = dict(tables["raw_transactions_personal"].to_pylist()[0])
    row |= {"transaction_id": f"NEW{number}", "transaction_type": kind}
    raw_data.landed(streams.TRANSACTIONS_PERSONAL, [row], "faker_market", raw_data.END, revision=revision)
    return row


def quote(tables: raw_data.Tables) -> raw_data.Row:
    row = dict(tables["raw_cryptoprices_coingecko"].to_pylist()[0])
    row |= {"price": row["price"] + Decimal("0.0000000042"), "observed_at": raw_data.END + timedelta(minutes=1)}
    raw_data.landed(streams.CRYPTO_COINGECKO, [row], "coingecko", raw_data.END)
    return row


def a_day_of_builds(made: Shop, reading: Callable[[], Warehouse]) -> None:
    """Three flows ask while a late price arrives; then a bad row, and its correction, with a reader all the time."""
    asked = [made.ask()]
    until(lambda: made.builds() == ["running"])
    made.load("late-price", streams.CRYPTO_COINGECKO, [late := quote(made.tables)])
    asked += [made.ask(), made.ask()]
    outputs = [each.communicate(timeout=WAIT_SECONDS)[0] for each in asked]
    assert [each.returncode for each in asked] == [0, 0, 0], "\n".join(outputs)
    assert made.builds() == ["green", "green"], "the second build covers two requests"
    assert sum("dbt was not started" in output for output in outputs) == 1
    arrived = made.warehouse.query(f"SELECT count(*) FROM marts.fct_asset_prices WHERE close_price = {late['price']}")
    assert arrived[0][0] == 1

    with Reader(reading()) as reader:
        until(lambda: bool(reader.seen))
        made.load("bad", streams.TRANSACTIONS_PERSONAL, [trade(made.tables, 1, "gift")])
        code, output = made.build()
        assert code == 65, output
        assert "accepted_values_fct_transactions_transaction_type__buy__sell: 1 row(s), kept in" in output
        assert reader.seen == [(40, 0)], "a bad build leaves what was published in place"
        made.load("good", streams.TRANSACTIONS_PERSONAL, [trade(made.tables, 1, "buy", revision=1)])
        code, output = made.build()
        assert code == 0, output
        until(lambda: reader.seen[-1] == (41, 0))
    assert reader.wrong == []
    assert reader.seen == [(40, 0), (41, 0)]
    assert made.builds() == ["green", "green", "red", "green"]
    failing = made.ledger("SELECT rows FROM data_platform.models WHERE status = 'fail' AND kind = 'test'")
    assert failing[0] == (1,)
    counted = made.ledger("SELECT max(rows) FROM data_platform.models WHERE node = 'fct_transactions'")
    assert counted == [(41,)]


def until(condition: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def test_builds_in_the_emulator(
    emulator: Emulator, postgres_database: str, tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    database = f"PUBLISH_{datetime.now(UTC):%H%M%S%f}"
    made = shop(Snowflake(emulator.environment(), database), postgres_database, tmp_path, make_settings)
    a_day_of_builds(made, lambda: Snowflake(emulator.environment(), database))
    assert made.generations() == 2
    noted = made.warehouse.query(
        "SELECT count(*) FROM data_platform.publication WHERE mart = 'dim_company' AND is_published"
    )
    assert noted[0][0] == 1, "what has not changed is not published again"
    assert made.warehouse.query("SELECT sum(transactions) FROM semantic.metric_transactions")[0][0] == 41


@pytest.mark.engine("trino")
def test_builds_on_trino(trino: Trino, tmp_path: Path, make_settings: Callable[..., Settings]) -> None:
    trino.reset()
    trino.built = None
    made = shop(trino, trino.postgres, tmp_path, make_settings)
    a_day_of_builds(made, lambda: Trino(trino.host, trino.port, trino.postgres))
    shown = made.ledger(
        "SELECT generation FROM data_platform.publication WHERE mart = 'fct_transactions' ORDER BY recorded_at DESC"
    )
    definition = trino.query("SHOW CREATE VIEW lake.marts.fct_transactions")[0][0]
    assert f"FOR VERSION AS OF {shown[0][0]}" in definition
    assert made.warehouse.query("SELECT sum(transactions) FROM lake.semantic.metric_transactions")[0][0] == 41
