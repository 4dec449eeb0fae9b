"""Builds as jobs, on each engine: a reader polls through good and bad builds, and what arrives last is published."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Self

import psycopg
import pytest
import raw_data
from shop import WAIT_SECONDS, Shop, shop
from snowflake.connector import errors
from trino import exceptions
from warehouse import Postgres, Snowflake, Trino, Warehouse

from tickvault.core.settings import Settings
from tickvault.local.snowflake.process import Emulator
from tickvault.market import streams


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
            except (errors.Error, exceptions.Error, psycopg.Error) as error:
                self.wrong.append(str(error))
            else:
                if not self.seen or self.seen[-1] != answer:
                    self.seen.append(answer)


def small() -> raw_data.Tables:
    return raw_data.generate(11, transactions=40, days=25, customers=6, companies=2, symbols=2)


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
    made = shop(Snowflake(emulator.environment(), database), postgres_database, tmp_path, make_settings, small())
    a_day_of_builds(made, lambda: Snowflake(emulator.environment(), database))
    assert made.generations() == 2
    noted = made.warehouse.query(
        "SELECT count(*) FROM data_platform.publication WHERE mart = 'dim_company' AND is_published"
    )
    assert noted[0][0] == 1, "what has not changed is not published again"
    assert made.warehouse.query("SELECT sum(transactions) FROM semantic.metric_transactions")[0][0] == 41


def test_builds_on_postgres(postgres_uri: str, tmp_path: Path, make_settings: Callable[..., Settings]) -> None:
    warehouse = Postgres.fresh(postgres_uri, "publication")
    made = shop(warehouse, warehouse.postgres, tmp_path, make_settings, small())
    a_day_of_builds(made, lambda: Postgres(warehouse.postgres))
    assert made.generations() == 2
    noted = made.ledger("SELECT count(*) FROM data_platform.publication WHERE mart = 'dim_company'")
    assert noted == [(1,)], "what has not changed is not published again"
    assert made.warehouse.query("SELECT sum(transactions) FROM semantic.metric_transactions")[0][0] == 41


@pytest.mark.engine("trino")
def test_builds_on_trino(trino: Trino, tmp_path: Path, make_settings: Callable[..., Settings]) -> None:
    trino.reset()
    trino.built = None
    made = shop(trino, trino.postgres, tmp_path, make_settings, small())
    a_day_of_builds(made, lambda: Trino(trino.postgres, trino.host, trino.port))
    shown = made.ledger(
        "SELECT generation FROM data_platform.publication WHERE mart = 'fct_transactions' ORDER BY recorded_at DESC"
    )
    definition = trino.query("SHOW CREATE VIEW lake.marts.fct_transactions")[0][0]
    assert f"FOR VERSION AS OF {shown[0][0]}" in definition
    assert made.warehouse.query("SELECT sum(transactions) FROM lake.semantic.metric_transactions")[0][0] == 41
