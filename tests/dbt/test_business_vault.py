"""Ghosts, employments, the rule of the news, point-in-time tables: what is between the raw vault and the marts."""
# ruff: noqa: DTZ001 - warehouses hold UTC without a zone

from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from reference_hash import hash_of
from test_history import Arrival, held, merged
from test_satellites import START, article, customer, day, package
from warehouse import GHOSTS, Dbt, Postgres, Snowflake, Warehouse, manifest, read

from tickvault.local.snowflake.process import Emulator
from tickvault.market import streams

END = datetime(9999, 12, 31)
BUILD = (
    "build",
    "--exclude-resource-type",
    "test",
    "unit_test",
    "--select",
    "+dim_customer",
    "+dim_customer_history",
    "+fct_news_events",
)
TEST = (
    "test",
    "--select",
    "test_name:one_in_force",
    *(f"{name},test_name:points" for name in ("pit_customer", "pit_asset", "bridge_news_asset")),
    "dim_customer_history,test_name:intervals",
    *(f"{name},test_name:complete_keys" for name in ("sat_eff_customer_company", "pit_customer", "pit_asset")),
    "link_news_asset_refers_to_assets",
)
CAREER = ((1, "F0"), (3, "F1"), (4, "F2"), (5, None), (7, "F0"), (8, "F0"))
"""A customer's employers, by the day on which each was observed; the third is read last."""


def check(dbt: Dbt) -> None:
    arrivals = _arrivals()
    for upto in (4, len(arrivals)):
        dbt.warehouse.load(merged(arrivals[:upto]))
        dbt.run(*BUILD)
        assert len(dbt.run(*TEST).result) == 10
    _employments(dbt.warehouse)
    _names(dbt)


def _arrivals() -> list[Arrival]:
    careers = [(at, customer("C1", at, "gold") | {"company_id": company}) for at, company in CAREER]
    late = careers.pop(2)
    others = [customer("C2", 1, "gold"), customer("C3", 1, "gold") | {"company_id": " f0"}]
    read_by = [package(streams.CUSTOMERS, day(at), row) for at, row in careers]
    trade = {
        "transaction_id": "T1", "customer_id": "C9", "customer_type": "personal", "asset_type": "crypto",
        "asset_symbol": "BTC", "transaction_type": "buy", "quantity": 1, "price_per_unit": 1, "transaction_amount": 1,
        "fee_amount": 0, "currency": "USD", "transaction_timestamp": START,
    }  # fmt: skip
    return [
        package(streams.CUSTOMERS, day(0), *others),
        package(streams.TRANSACTIONS_PERSONAL, day(0), trade),
        package(streams.NEWS, day(0), *(article("T", START) | {"cryptocurrency": name} for name in ("sol", "nocoin"))),
        *read_by,
        package(streams.NEWS, day(1), article("T", day(1))),
        package(streams.CUSTOMERS, day(30), late[1]),
    ]


def _employments(warehouse: Warehouse) -> None:
    """C1 works for who was read last before a moment, in the order of his own time; C2 for nobody, C9 is a name."""
    expected = [
        (company, day(at).replace(tzinfo=None), day(until).replace(tzinfo=None) if until else END)
        for (at, company), (until, _) in pairwise([*CAREER[:-1], (None, None)])
        if company
    ]
    states = [r for r in held(warehouse, "sat_eff_customer_company") if _is_of(r, "C1")]
    intervals = []
    for key in {row["link_customer_company_hk"] for row in states}:
        mine: list[dict[str, Any]] = []
        for row in sorted((r for r in states if r["link_customer_company_hk"] == key), key=lambda r: r["row_version"]):
            if not mine or mine[-1]["effectivity"] != row["effectivity"]:
                mine.append(row)
        ends = [row["observed_at"] for row in mine[1:]] + [END]
        intervals += [
            (row["company_id"], row["observed_at"], end)
            for row, end in zip(mine, ends, strict=True)
            if row["effectivity"] == "in force"
        ]
    assert sorted(intervals) == sorted(expected)
    history = [r for r in read(warehouse, "build_marts.dim_customer_history") if r["customer_id"] == "C1"]
    employed = [(r["company_id"], r["valid_from"], r["valid_to"]) for r in history if r["company_id"]]
    assert sorted(employed) == sorted(expected)
    people = {r["customer_id"]: r for r in read(warehouse, "build_marts.dim_customer")}
    found = {name: (r["company_id"], r["company_hk"], r["is_profile_known"]) for name, r in people.items()}
    f0 = hash_of(("F0", "key"))
    assert found == {
        "C1": ("F0", f0, True),
        "C2": (None, None, True),
        "C3": (" f0", f0, True),
        "C9": (None, None, False),
    }
    assert people["C9"]["updated_at"] is None
    assert people["C9"]["record_source"] == "test.raw_transactions_personal"
    assert people["C1"]["updated_at"] == datetime(2026, 9, 8), "since then he is as he is"


def _is_of(row: dict[str, Any], name: str) -> bool:
    links = {hash_of((name, "key"), (company, "key")) for _, company in CAREER}
    return row["link_customer_company_hk"] in links


def _names(dbt: Dbt) -> None:
    """A coin's name becomes an asset by the rule; a longer list adds a relation and takes none away."""
    warehouse = dbt.warehouse

    def related() -> set[tuple[str, str | None]]:
        return {(r["asset_symbol"], r["rule_version"]) for r in held(warehouse, "link_news_asset")}

    def reported() -> set[str]:
        return {symbol for (symbol,) in warehouse.query("SELECT asset_symbol FROM build_marts.fct_news_events")}

    names = {row["cryptocurrency"] for row in held(warehouse, "hub_cryptocurrency")}
    assert names == {"sol", "nocoin", "bitcoin"}, "as the feed wrote them"
    assert {row["asset_symbol"] for row in held(warehouse, "hub_asset")} == {"BTC"}, "what a source named as a symbol"
    assert related() == {("SOL", "1"), ("NOCOIN", "1"), ("BTC", "1")}
    assert reported() == {"SOL", "NOCOIN", "BTC"}
    before = held(warehouse, "link_news_asset")
    warehouse.query(
        "INSERT INTO vault.asset_info (symbol, name, asset_class, coingecko_id)"
        " VALUES ('NOC', 'No', 'crypto', 'nocoin')"
    )
    warehouse.replace("vault.link_news_asset", _before_the_rule(warehouse))
    dbt.run("run", "--select", "link_news_asset", "pit_asset", "bridge_news_asset", "fct_news_events")
    assert related() == {("NOC", "1"), (None, None)}
    assert {r["link_news_asset_hk"] for r in before} < {
        r["link_news_asset_hk"] for r in held(warehouse, "link_news_asset")
    }
    assert reported() == {"BTC", "NOC"}, "of assets in no hub, those that the rule finds"


def _before_the_rule(warehouse: Warehouse) -> str:
    columns = [c for c in warehouse.columns("vault.link_news_asset") if c not in {"asset_symbol", "rule_version"}]
    return f"SELECT {', '.join(columns)} FROM vault.link_news_asset"


def check_ghosts(dbt: Dbt) -> None:
    """Both are once in every hub, link and satellite, say nothing there, and are in no mart."""
    for node in manifest(dbt).values():
        vault = node["config"]["meta"].get("vault")
        name, query = f"{node['schema']}.{node['name']}", dbt.warehouse.query
        if vault and vault["kind"] not in {"pit", "bridge"} and not node["name"].startswith("nhl_"):
            found = [row for row in read(dbt.warehouse, name) if row[vault["hk"]] in GHOSTS]
            assert sorted(row[vault["hk"]] for row in found) == sorted(GHOSTS), name
            if vault["kind"] == "satellite":
                told = {"row_version", "hashdiff", "payload_width", "observed_at", vault["hk"]}
                told |= {"record_source", "package_id", "load_timestamp"}
                assert {v for row in found for c, v in row.items() if c not in told} == {None}, name
        elif node["schema"].startswith("build_"):
            for column in node["columns"]:
                if column.endswith("_hk"):
                    assert query(f"SELECT count(*) FROM {name} WHERE {column} IN {GHOSTS}") == [(0,)], (name, column)


def test_the_business_vault(emulator: Emulator, snowflake_dbt: Dbt) -> None:
    check(Dbt(Snowflake(emulator.environment(), "BUSINESS_VAULT"), snowflake_dbt.target_path))


def test_the_business_vault_in_postgres(postgres_uri: str, postgres_dbt: Dbt) -> None:
    check(Dbt(Postgres.fresh(postgres_uri, "business_vault"), postgres_dbt.target_path))


@pytest.mark.engine("trino")
def test_the_business_vault_in_trino(empty_trino_dbt: Dbt) -> None:
    check(empty_trino_dbt)


def test_ghosts_are_in_the_vault_and_in_no_mart(snowflake_dbt: Dbt) -> None:
    check_ghosts(snowflake_dbt)


def test_ghosts_are_in_no_mart_of_postgres(postgres_dbt: Dbt) -> None:
    check_ghosts(postgres_dbt)
