"""What the project promises of itself, from its files and its manifest; nothing is connected to."""

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from warehouse import PROJECT, environment

from tickvault.core.engine import WAREHOUSES
from tickvault.core.stream import Area, Stream
from tickvault.market import streams

ROOT = PROJECT.parent
FCT_TRANSACTIONS = """transaction_hk, transaction_id, customer_hk, company_hk, asset_hk, asset_symbol, asset_type,
transaction_type, quantity, price_per_unit, transaction_amount, fee_amount, customer_tier, risk_tolerance, country,
asset_name, asset_category, asset_market_cap, transaction_timestamp, transaction_date, transaction_year,
transaction_quarter, transaction_month, transaction_week, transaction_day_of_week, transaction_hour, net_amount,
fee_percentage, record_source, load_timestamp, package_id, dq_status, dq_reasons"""
REAL_ACCOUNT = {
    "SNOWFLAKE_ACCOUNT": "org-account",
    "SNOWFLAKE_PASSWORD": "x",
    "SNOWFLAKE_HOST": "",
    "SNOWFLAKE_DATABASE": "TICKVAULT",
}


def _invoke(folder: Path, variables: dict[str, str], *arguments: str) -> dict[str, Any]:
    from dbt.cli.main import dbtRunner

    common = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target-path", str(folder), "--quiet"]
    with environment(variables):
        result = dbtRunner().invoke([*arguments, *common, "--log-path", str(folder), "--target", "dev-snowflake"])
    assert result.success, result.exception
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return manifest


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The manifest as compiled for a real Snowflake account."""
    folder = tmp_path_factory.mktemp("real")
    offline = ("--no-introspect", "--no-populate-cache")
    return _invoke(folder, REAL_ACCOUNT, "compile", "--select", "marts", "semantic", *offline)


@pytest.fixture(scope="module")
def models(real: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {n["name"]: n for n in real["nodes"].values() if n["resource_type"] == "model"}


def test_a_real_account_keeps_the_adapters_own_macros(real: dict[str, Any], tmp_path: Path) -> None:
    overrides = re.findall(r"macro (snowflake__\w+)", (PROJECT / "emulator" / "overrides.sql").read_text())
    assert len(overrides) == 2
    emulated = _invoke(tmp_path, {**REAL_ACCOUNT, "SNOWFLAKE_HOST": "127.0.0.1", "SNOWFLAKE_PROTOCOL": "http"}, "parse")
    for name in overrides:
        assert f"macro.tickvault.{name}" in emulated["macros"]
        assert f"macro.tickvault.{name}" not in real["macros"]
        assert f"macro.dbt_snowflake.{name}" in real["macros"]
    mine = {m["name"] for m in real["macros"].values() if m["package_name"] == "tickvault"}
    own = {f"snowflake__{name}" for name in ("hash_text", "md5_hex", "replace_table")}
    assert {n for n in mine if n.startswith("snowflake__")} == own


def test_marts_compile_for_a_real_account(models: dict[str, dict[str, Any]]) -> None:
    assert "md5(" in models["dim_customer_history"]["compiled_code"]
    assert "TICKVAULT.vault.nhl_transaction" in models["fct_transactions"]["compiled_code"]


def test_one_wrong_price_is_a_warning_and_many_are_an_error(real: dict[str, Any]) -> None:
    tests = {n["name"]: n for n in real["nodes"].values() if n["resource_type"] == "test"}
    severity = {name: test["config"]["severity"].lower() for name, test in tests.items()}
    assert {name for name, word in severity.items() if word == "warn" and not name.startswith("fresh_")} == {
        "sources_agree_within_the_band",
        "prices_are_positive",
        "rsi_within_0_and_100",
    }
    for name in ("few_assets_have_suspect_prices", "few_assets_have_a_wrong_rsi"):
        assert severity[name] == "error"
        assert "suspect_assets > 3 and 100 * suspect_assets > 10 * all_assets" in tests[name]["compiled_code"]


def test_no_engine_is_named_outside_the_dispatch_files() -> None:
    shared = [
        f
        for folder in ("models", "macros", "tests")
        for f in (PROJECT / folder).rglob("*.*")
        if "engine" not in f.parts
    ]
    assert len(shared) > 50
    engines = re.compile("snowflake|trino|fakesnow|iceberg|postgres", re.IGNORECASE)
    named = [str(f) for f in shared if engines.search(f.read_text())]
    assert named == []


def test_only_seven_macros_are_dispatched() -> None:
    calls = [
        name for f in (PROJECT / "macros").rglob("*.sql") for name in re.findall(r"dispatch\('(\w+)'", f.read_text())
    ]
    assert sorted(calls) == ["hash_text", "hold", "md5_hex", "measure", "raw_column", "replace_table", "stored_type"]


def test_keys_are_never_made_by_what_engines_disagree_on() -> None:
    for file in [*(PROJECT / "macros").rglob("*.sql"), *(PROJECT / "models").rglob("*.sql")]:
        code = re.sub(r"\{#.*?#\}", "", file.read_text(), flags=re.DOTALL)
        assert not re.search(r"\b(greatest|least)\(| as double\)", code), f"{file}: nulls, or no type of PostgreSQL"
        assert not re.search(r"\bupper\(|\btrim\(\s*\{\{[^,]*\}\}\s*\)|date_format|to_unixtime", code), file


def test_every_model_says_its_grain_and_runs_on_every_engine(models: dict[str, dict[str, Any]]) -> None:
    assert len(models) == 54
    for name, model in models.items():
        assert "One row per" in model["description"], name
        assert set(WAREHOUSES) <= set(model["tags"]), name


def test_marts_and_semantic_models_are_under_contract(models: dict[str, dict[str, Any]]) -> None:
    published = {n: m for n, m in models.items() if m["schema"] in {"build_marts", "build_semantic"}}
    assert len(published) == 17
    for name, model in published.items():
        assert model["contract"]["enforced"], name
        assert all(column["data_type"] for column in model["columns"].values()), name
    assert list(models["fct_transactions"]["columns"]) == re.split(r",\s+", FCT_TRANSACTIONS)


def test_the_vault_is_never_rebuilt(models: dict[str, dict[str, Any]]) -> None:
    described = [m for m in models.values() if m["config"]["meta"].get("vault")]
    vault = [m for m in described if m["config"]["meta"]["vault"]["kind"] not in {"pit", "bridge"}]
    assert len(vault) == 21
    assert {m["config"]["materialized"] for m in vault} == {"vault"}


@pytest.mark.parametrize("stream", streams.ALL, ids=lambda s: f"{s.name}-{s.lake_path}")
def test_sources_are_described_as_their_streams_are(real: dict[str, Any], stream: Stream) -> None:
    sources = {s["name"]: s for s in real["sources"].values()}
    schema, table = ("RAW" if stream.area is Area.BATCH else "STAGING"), stream.warehouse_table.lower()
    for name, relation in ((stream.name, table), (f"{stream.name}_changes", f"{table}_changes")):
        assert sources[name]["relation_name"] == f"TICKVAULT.{schema}.{relation}"
        assert set(sources[name]["columns"]) == {*stream.table_columns}
        assert all(column["description"] for column in sources[name]["columns"].values())
        assert "One row per" in sources[name]["description"] or name.endswith("_changes")
    assert sources[stream.name]["freshness"]["warn_after"] == {"count": 48, "period": "hour"}
    keys = [
        test["test_metadata"]["kwargs"]["columns"]
        for test in real["nodes"].values()
        if test["resource_type"] == "test" and test["depends_on"]["nodes"] == [sources[stream.name]["unique_id"]]
    ]
    assert keys == [list(stream.primary_key)]


def test_no_macro_is_left_unused(real: dict[str, Any]) -> None:
    """What dbt itself calls is used: materializations, names of schemas, what dispatch finds, what a merge calls."""
    nodes = [*real["nodes"].values(), *real["macros"].values(), *real["unit_tests"].values()]
    called = {macro for node in nodes for macro in node["depends_on"].get("macros", [])}
    mine = {m["unique_id"] for m in real["macros"].values() if m["package_name"] == "tickvault"}
    unused = {name.rsplit(".", 1)[1] for name in mine - called}
    unused = {n for n in unused if not re.match(r"materialization_|generate_schema_name|\w+__", n)}
    code = " ".join(node.get("raw_code", "") for node in real["nodes"].values())
    assert not {n for n in unused if f"{n}(" not in code}


def test_dashboards_and_chatbot_are_exposed(real: dict[str, Any]) -> None:
    assert {e["name"] for e in real["exposures"].values()} == {"dashboards", "chatbot"}


def test_the_diagram_is_up_to_date(real: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    erd, pictures = importlib.import_module("erd"), importlib.import_module("pictures")
    assert pictures.vault(real) == erd.PAGE.with_name("vault.svg").read_text(encoding="utf-8"), "run: docs/pictures.py"
    assert erd.page(real) == erd.PAGE.read_text(encoding="utf-8"), "run: python docs/erd.py"
