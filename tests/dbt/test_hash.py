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
from warehouse import Dbt, manifest, read

PAGE = Path(__file__).parents[2] / "docs" / "hash.md"


@pytest.mark.parametrize(
    ("value", "type_", "expected"),
    [
        (" btc ", "key", "BTC"), ("\tbtc\u00a0", "key", "\tBTC\u00a0"), ("straße", "key", "STRAßE"), ("é", "key", "é"),
        (" a ", "text", " a "), (Decimal("1.5"), "number", "1.5000000000"), (0, "number", "0.0000000000"),
        (Decimal("-0.00000000005"), "number", "-0.0000000001"), (Decimal("-1e-12"), "number", "0.0000000000"),
        (Decimal("9999999999999999999999999999.9999999999"), "number", "9999999999999999999999999999.9999999999"),
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
        if not vault or vault["kind"] == "link":
            continue
        lineage = {
            vault["hk"],
            "observed_at",
            "row_version",
            "hashdiff",
            "record_source",
            "package_id",
            "load_timestamp",
        }
        types = {name: type_ for name, type_ in vault["columns"].items() if name not in lineage}
        for row in read(dbt.warehouse, f"vault.{node['name']}"):
            if vault["kind"] == "hub":
                assert row[vault["hk"]] == hash_of(*((row[name], type_) for name, type_ in types.items())), row
            else:
                assert row["hashdiff"] == hashdiff_of(row, types), row
            compared += 1
    return compared + _check_customers(dbt, raw)


def _check_customers(dbt: Dbt, raw: raw_data.Tables) -> int:
    # From the very rows that were loaded, so that a value which an engine distorted on its way in would be seen.
    types = next(n for n in manifest(dbt).values() if n["name"] == "sat_company_details")["config"]["meta"]["vault"]
    payload = {
        n: t for n, t in types["columns"].items() if n in raw["raw_corporates"].column_names and n != "updated_at"
    }
    del payload["row_version"], payload["package_id"], payload["load_timestamp"]
    expected = {
        (hash_of((row["company_id"], "key")), hashdiff_of(row, payload)) for row in _rows(raw["raw_corporates"])
    }
    assert {(r["company_hk"], r["hashdiff"]) for r in read(dbt.warehouse, "vault.sat_company_details")} == expected
    return len(expected)


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    return list(table.to_pylist())


def test_snowflake_makes_the_reference_hash(snowflake_dbt: Dbt, raw: raw_data.Tables) -> None:
    assert _check_vault(snowflake_dbt, raw) > 3000


@pytest.mark.engine("trino")
def test_trino_makes_the_reference_hash(trino_dbt: Dbt, raw: raw_data.Tables) -> None:
    assert _check_vault(trino_dbt, raw) > 3000
