"""The hash of docs/hash.md: the reference, and what the engines made of the same rows."""
# ruff: noqa: DTZ001 - warehouses hold UTC without a zone

import re
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import raw_data
from reference_hash import field, hash_of, hashdiff_of, text_of
from warehouse import GHOSTS, Dbt, manifest, read

PAGE = Path(__file__).parents[2] / "docs" / "hash.md"


@pytest.mark.parametrize(
    ("value", "type_", "expected"),
    [
        (" btc ", "key", "BTC"), ("\tbtc\u00a0", "key", "\tBTC\u00a0"), ("straße", "key", "STRAßE"), ("é", "key", "é"),
        (" a ", "text", " a "), (Decimal("1.5"), "number", "1.5000000000"), (0, "number", "0.0000000000"),
        (Decimal("-0.00000000005"), "number", "-0.0000000001"), (Decimal("-1e-12"), "number", "0.0000000000"),
        (Decimal("9999999999999999999999999999.9999999999"), "number", "9999999999999999999999999999.9999999999"),
        (Decimal("1.5"), "price", "1.5000000000"), (Decimal("9.123456789e-06"), "price", "0.000009123456789"),
        (Decimal("-1.2345e-9"), "price", "-0.0000000012345"), (Decimal("-1e-19"), "price", "0.0000000000"),
        (Decimal("99999999999999999999.999999999999999999"), "price", "99999999999999999999.999999999999999999"),
        (date(26, 1, 2), "date", "0026-01-02"), (datetime(2026, 1, 2, 3), "time", "2026-01-02 03:00:00.000000"),
        (None, "text", None),
    ],
)  # fmt: skip
def test_a_value_has_one_text(value: Any, type_: str, expected: str | None) -> None:
    assert text_of(value, type_) == expected


def test_fields_cannot_be_confused() -> None:
    assert (field(None, "text"), field("", "text"), field("a|b\\", "text")) == ("", "=", "=a\\|b\\\\")
    assert hash_of(("a", "text"), ("b", "text")) != hash_of(("a|=b", "text"))
    assert hash_of((None, "text"), ("", "text")) != hash_of(("", "text"), (None, "text"))


def test_the_page_shows_the_reference() -> None:
    shown = re.findall(r"`([0-9a-f]{32})`", PAGE.read_text(encoding="utf-8"))
    assert shown == [
        hash_of((" btc ", "key")),
        hash_of(("crypto", "text"), ("btc", "key")),
        hash_of(("a|b\\c", "text"), (None, "text"), (Decimal("1.5"), "number")),
        hash_of((datetime(2026, 11, 20, 13), "time")),
    ]


def _check_vault(dbt: Dbt, raw: raw_data.Tables) -> int:
    """Hold every hub key and every hashdiff of a built vault to the reference; return how many were compared."""
    compared = 0
    for node in manifest(dbt).values():
        vault = node["config"]["meta"].get("vault")
        if not vault or vault["kind"] not in {"hub", "satellite"}:
            continue
        lineage = {
            vault["hk"],
            "observed_at",
            "row_version",
            "hashdiff",
            "payload_width",
            "record_source",
            "package_id",
            "load_timestamp",
        }
        types = {name: type_ for name, type_ in vault["columns"].items() if name not in lineage}
        for row in read(dbt.warehouse, f"vault.{node['name']}"):
            if row[vault["hk"]] in GHOSTS:
                continue
            if vault["kind"] == "hub":
                assert row[vault["hk"]] == hash_of(*((row[name], type_) for name, type_ in types.items())), row
            else:
                assert row["hashdiff"] == hashdiff_of(row, types), row
            compared += 1
    return compared + _check_companies(dbt, raw) + _check_keys(dbt, raw)


def _check_keys(dbt: Dbt, raw: raw_data.Tables) -> int:
    """Hold the keys of every link and satellite to the reference, made from the very rows that were loaded."""
    expected = _keys(raw)
    columns = {
        n["name"]: n["config"]["meta"]["vault"] for n in manifest(dbt).values() if n["config"]["meta"].get("vault")
    }
    assert set(expected) == {
        name
        for name, vault in columns.items()
        if vault["kind"] not in {"hub", "pit", "bridge"} and not name.startswith("nhl_")
    }
    for name, hashes in expected.items():
        rows = dbt.warehouse.query(f"SELECT DISTINCT {columns[name]['hk']} FROM vault.{name}")
        assert {row[0] for row in rows} - set(GHOSTS) == hashes, name
    return sum(map(len, expected.values()))


def _keys(raw: raw_data.Tables) -> dict[str, set[str]]:
    def key(row: dict[str, Any], *names: str) -> list[tuple[Any, str]]:
        return [(row[name], "text" if name in {"asset_type", "url", "cryptocurrency"} else "key") for name in names]

    def of(rows: list[dict[str, Any]], *names: str) -> set[str]:
        return {hash_of(*key(row, *names)) for row in rows}

    people, trades = _rows(raw["raw_customers"]), _rows(raw["raw_transactions_personal"])
    # What the vault calls a company is the customer of a company's trade.
    corporate = [row | {"company_id": row["customer_id"]} for row in _rows(raw["raw_transactions_corporate"])]
    coins = [
        row | {"asset_type": "crypto", "asset_symbol": row["symbol"]}
        for name in raw if name.startswith("raw_crypto") for row in _rows(raw[name])
    ]  # fmt: skip
    stocks = [
        row | {"asset_type": "stock", "asset_symbol": row["ticker"]} for row in _rows(raw["raw_stock_prices_yfinance"])
    ]
    news = [
        row
        | {"asset_type": "crypto", "asset_symbol": {"bitcoin": "BTC"}.get(row["cryptocurrency"], row["cryptocurrency"])}
        for row in _rows(raw["raw_news"])
    ]
    return {
        "link_customer_transaction": of(trades, "customer_id", "transaction_id"),
        "link_company_transaction": of(corporate, "company_id", "transaction_id"),
        "sat_eff_customer_company": of([row for row in people if row["company_id"]], "customer_id", "company_id"),
        "link_customer_company": of([row for row in people if row["company_id"]], "customer_id", "company_id"),
        "link_transaction_asset": of(trades + corporate, "transaction_id", "asset_type", "asset_symbol"),
        "link_news_cryptocurrency": of(news, "url", "cryptocurrency"),
        "link_news_asset": of(news, "url", "asset_type", "asset_symbol"),
        "sat_customer_profile": of(people, "customer_id"),
        "sat_company_details": of(_rows(raw["raw_corporates"]), "company_id"),
        "sat_transaction_personal": of(trades, "transaction_id"),
        "sat_transaction_corp": of(corporate, "transaction_id"),
        "sat_asset_price_crypto": of(coins, "asset_type", "asset_symbol"),
        "sat_asset_price_stock": of(stocks, "asset_type", "asset_symbol"),
        "sat_news_content": of(news, "url"),
    }


def _check_companies(dbt: Dbt, raw: raw_data.Tables) -> int:
    # From the very rows that were loaded, so that a value which an engine distorted on its way in would be seen.
    types = next(n for n in manifest(dbt).values() if n["name"] == "sat_company_details")["config"]["meta"]["vault"]
    payload = {
        n: t for n, t in types["columns"].items() if n in raw["raw_corporates"].column_names and n != "updated_at"
    }
    del payload["row_version"], payload["package_id"], payload["load_timestamp"]
    expected = {
        (hash_of((row["company_id"], "key")), hashdiff_of(row, payload)) for row in _rows(raw["raw_corporates"])
    }
    assert {(r["company_hk"], r["hashdiff"]) for r in read(dbt.warehouse, "vault.sat_company_details")} - {
        (ghost, ghost) for ghost in GHOSTS
    } == expected
    return len(expected)


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    return list(table.to_pylist())


def test_snowflake_makes_the_reference_hash(snowflake_dbt: Dbt, raw: raw_data.Tables) -> None:
    assert _check_vault(snowflake_dbt, raw) > 3000


def test_postgres_makes_the_reference_hash(postgres_dbt: Dbt, raw: raw_data.Tables) -> None:
    assert _check_vault(postgres_dbt, raw) > 3000


@pytest.mark.engine("trino")
def test_trino_makes_the_reference_hash(trino_dbt: Dbt, raw: raw_data.Tables) -> None:
    assert _check_vault(trino_dbt, raw) > 3000
