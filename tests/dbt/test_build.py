"""Building the project: what is there afterwards, and what a bad row does."""

import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pyarrow as pa
import pytest
import raw_data
from warehouse import Dbt, Postgres, Snowflake, manifest, read

from tickvault.local.snowflake.process import Emulator


def test_a_second_build_adds_nothing(snowflake_dbt: Dbt) -> None:
    vault = [n["name"] for n in manifest(snowflake_dbt).values() if n["config"]["meta"].get("vault")]
    assert len(vault) == 25

    def counts() -> dict[str, int]:
        query = snowflake_dbt.warehouse.query
        return {name: query(f"SELECT count(*) FROM vault.{name}")[0][0] for name in vault}

    before = counts()
    assert all(before.values()), before
    snowflake_dbt.run("run", "--select", "warehouse")
    assert counts() == before


def test_trades_carry_what_was_known_when_they_were_made(snowflake_dbt: Dbt, raw: raw_data.Tables) -> None:
    states: dict[str, list[tuple[object, str]]] = {}
    for name, key in (("raw_customers", "customer_id"), ("raw_corporates", "company_id")):
        for row in raw[name].to_pylist():
            states.setdefault(row[key], []).append((row["updated_at"].replace(tzinfo=None), row["tier"]))
    trades = read(snowflake_dbt.warehouse, "build_semantic.semantic_transactions")
    assert len(trades) == 1500
    for trade in trades:
        known = sorted(states[trade["party_id"]])
        before = [tier for at, tier in known if at <= trade["transaction_timestamp"]]
        assert trade["customer_tier"] == (before[-1] if before else known[0][1])
        assert trade["dq_status"] == "passed"


PRICES = ("sat_asset_price_crypto", "sat_asset_price_stock")
LEAST = Decimal("0.0001")
"""What the digits of an earlier day still held."""


def check_widening(dbt: Dbt) -> None:
    """Give the price satellites the digits of an earlier day and a row that nothing else has, and build again."""
    warehouse = dbt.warehouse
    build = ("run", "--vars", "{lookback_hours: 100000}", "--select", *(f"+{name}" for name in PRICES))
    dbt.run(*build)
    expected = {name: read(warehouse, f"vault.{name}") for name in PRICES}
    twins = {name: next(r for r in rows if (r["price"] or 0) >= LEAST) for name, rows in expected.items()}
    for name, twin in twins.items():
        types = warehouse.columns(f"vault.{name}")
        prices = [c for c in types if c.endswith(("price", "_low", "_high"))]
        columns = ", ".join(f"cast({c} as decimal(38,10)) as {c}" if c in prices else c for c in types)
        warehouse.replace(f"vault.{name}", f"SELECT {columns} FROM vault.{name} WHERE price >= {LEAST}")
        forgotten = ", ".join("'forgotten'" if c == "asset_hk" else c for c in types)
        one = " AND ".join(f"{c} = '{twin[c]}'" for c in ("hashdiff", "asset_hk"))
        warehouse.query(f"INSERT INTO vault.{name} SELECT {forgotten} FROM vault.{name} WHERE {one}")
    dbt.run(*build)
    for name, rows in expected.items():
        found = read(warehouse, f"vault.{name}")
        forgotten_rows = [row for row in found if row["asset_hk"] == "forgotten"]
        assert forgotten_rows, f"{name} lost what nothing else has"
        assert {row["price"] for row in forgotten_rows} == {twins[name]["price"]}
        kept = sorted(str(row) for row in found if row["asset_hk"] != "forgotten")
        assert kept == sorted(map(str, rows)), f"{name} is not what it was"
    fine = f"SELECT min(price) FROM vault.{PRICES[0]}"
    assert 0 < warehouse.query(fine)[0][0] < Decimal("0.0000001")


def test_a_satellite_of_an_earlier_day_gets_the_digits_of_a_price(small: Dbt) -> None:
    small.warehouse.load(raw_data.generate(5, transactions=4, days=3, customers=2, companies=1, symbols=6))
    small.warehouse.query("ALTER TABLE staging.raw_cryptobars DROP COLUMN price_unit")  # no load since the release
    check_widening(small)


def test_a_satellite_in_postgres_gets_the_digits_of_a_price(postgres_uri: str, postgres_dbt: Dbt) -> None:
    warehouse = Postgres.fresh(postgres_uri, "dbt_widening")
    warehouse.load(raw_data.generate(5, transactions=4, days=3, customers=2, companies=1, symbols=6))
    warehouse.query("ALTER TABLE raw_cryptobars DROP COLUMN price_unit")
    check_widening(Dbt(warehouse, postgres_dbt.target_path))


@pytest.mark.engine("trino")
def test_a_satellite_in_trino_gets_the_digits_of_a_price(empty_trino_dbt: Dbt) -> None:
    empty_trino_dbt.warehouse.load(raw_data.generate(5, transactions=4, days=3, customers=2, companies=1, symbols=6))
    check_widening(empty_trino_dbt)


@pytest.fixture
def small(emulator: Emulator, tmp_path, snowflake_dbt: Dbt) -> Dbt:
    """A database of its own with a handful of trades; reuses the parsed project."""
    warehouse = Snowflake(emulator.environment(), f"DBT_{tmp_path.name.upper().replace('-', '_')}"[:40])
    return Dbt(warehouse, tmp_path)


def test_a_row_that_fails_a_test_is_quarantined(postgres_uri: str, postgres_dbt: Dbt) -> None:
    small = Dbt(Postgres.fresh(postgres_uri, "quarantined"), postgres_dbt.target_path)
    tables = raw_data.generate(3, transactions=40, days=3, customers=5, companies=2, symbols=2)
    trades = tables["raw_transactions_personal"].to_pylist()
    trades[0]["transaction_type"] = "gift"
    trades[1]["asset_symbol"] = "NOSUCH"
    trades[2]["load_timestamp"] = datetime.now(UTC) + timedelta(hours=1)
    tables["raw_transactions_personal"] = pa.Table.from_pylist(
        trades, schema=tables["raw_transactions_personal"].schema
    )
    small.warehouse.load(tables)
    result = small.run(
        "build", "--store-failures", "--select", "+fct_transactions", "--exclude", "test_type:unit", check=False
    )
    failed = [r.node for r in result.result if str(r.status) == "fail"]
    assert [n.name for n in failed] == ["accepted_values_fct_transactions_transaction_type__buy__sell"]
    [quarantined] = read(small.warehouse, f"quarantine.{failed[0].alias}")
    assert quarantined["quarantine_reason"] == "transaction_type is not one of buy, sell"
    kept = ("transaction_id", "transaction_type", "quantity")
    assert {name: quarantined[name] for name in kept} == {name: trades[0][name] for name in kept}
    suspect = small.warehouse.query(
        "SELECT transaction_id, dq_reasons FROM build_marts.fct_transactions WHERE dq_status = 'suspect'"
    )
    assert suspect == [(trades[1]["transaction_id"], "unknown_asset")]
    waiting = small.warehouse.query(
        "SELECT transaction_id FROM raw_transactions_personal WHERE transaction_id NOT IN"
        " (SELECT transaction_id FROM build_marts.fct_transactions)"
    )
    assert waiting == [(trades[2]["transaction_id"],)], "what is loaded after the build's start waits for the next"


def test_two_inserts_at_once_bring_a_key_once(postgres_uri: str, postgres_dbt: Dbt) -> None:
    """Whoever is not kept out by the target's lock, for instance a second scheduler's, waits for the other's commit."""
    warehouse = Postgres.fresh(postgres_uri, "at_once")
    dbt = Dbt(warehouse, postgres_dbt.target_path)
    warehouse.load(raw_data.generate(3, transactions=4, days=3, customers=5, companies=2, symbols=2))
    dbt.run("run", "--select", "+hub_news")
    [[held]] = warehouse.query("SELECT count(*) FROM vault.hub_news")
    first = "SELECT min(news_hk) FROM vault.hub_news WHERE url LIKE 'https%'"
    [[key]] = warehouse.query(f"DELETE FROM vault.hub_news WHERE news_hk = ({first}) RETURNING news_hk")
    again = ("run", "--select", "hub_news", "--vars", "{lookback_hours: 99999}")
    adding = threading.Thread(target=dbt.run, args=again)
    with psycopg.connect(warehouse.postgres) as other:
        other.execute("LOCK TABLE vault.hub_news IN SHARE ROW EXCLUSIVE MODE")
        other.execute("INSERT INTO vault.hub_news (news_hk, url) VALUES (%s, 'by the other')", [key])
        adding.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'vault.hub_news'::regclass"
        while warehouse.query(waiting) == [(0,)] and adding.is_alive():
            time.sleep(0.05)
    adding.join()
    assert warehouse.query("SELECT count(*) FROM vault.hub_news") == [(held,)]
    assert warehouse.query(f"SELECT url FROM vault.hub_news WHERE news_hk = '{key}'") == [("by the other",)]
