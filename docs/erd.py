"""Draws the vault and the marts from the dbt project itself: ``python docs/erd.py`` writes ``docs/ERD/README.md``.

The vault's tables are what their macros noted in the manifest (``describe_vault``, ``describe_pit``); the columns of
a mart are its contract and its references are its ``relationships`` tests. Nothing is connected to.
"""
# ruff: noqa: INP001 - a script

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "ERD" / "README.md"
INTRODUCTION = """# The warehouse, drawn from the project

![Hubs, links between them, and what describes either](vault.svg)

Made by `python docs/erd.py` from dbt's manifest; a test fails when it is out of date. Hash columns are keys; every
table of the raw vault also has `record_source`, `package_id` and `load_timestamp`, and two ghost records.

| Name | Kind |
|---|---|
| `hub_…`, `link_…`, `sat_…` | hubs, links and satellites of the raw vault |
| `nhl_…` | a non-historised link: events, described by the link itself |
| `sat_eff_…` | an effectivity satellite: from when to when a relation is in force |
| `link_news_asset` | a computed link of the business vault: by a rule, whose version it names |
| `pit_…` | point-in-time tables of the business vault: which row of each satellite holds when |
| `bridge_…` | a bridge of the business vault: what several links lead to |
"""
LINEAGE = {"record_source", "package_id", "load_timestamp"}


def parse(target_path: Path) -> dict[str, Any]:
    """Return the project's manifest, parsed without a connection."""
    from dbt.cli.main import dbtRunner

    project = str(ROOT / "dbt")
    result = dbtRunner().invoke([
        "parse", "--project-dir", project, "--profiles-dir", project, "--target-path", str(target_path),
        "--log-path", str(target_path), "--quiet",
    ])  # fmt: skip
    if not result.success:
        raise SystemExit(f"dbt parse failed: {result.exception}")
    manifest: dict[str, Any] = json.loads((target_path / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def page(manifest: dict[str, Any]) -> str:
    """Return the page for a manifest."""
    models = sorted((n for n in manifest["nodes"].values() if n["resource_type"] == "model"), key=lambda n: n["name"])
    vault = [m for m in models if m["config"]["meta"].get("vault")]
    marts = [m for m in models if m["schema"] in {"build_marts", "build_semantic"}]
    parts = [INTRODUCTION, "## Vault\n", _diagram(_vault(vault)), "## Marts and semantic models\n"]
    parts += [_diagram([*_marts(marts), *_references(manifest)]), "## Grain\n"]
    parts += ["\n".join(f"- `{m['name']}`: {m['description']}" for m in [*vault, *marts])]
    return "\n".join(parts) + "\n"


def _diagram(lines: Any) -> str:
    return "```mermaid\nerDiagram\n" + "\n".join(f"    {line}" for line in lines) + "\n```\n"


def _vault(models: list[dict[str, Any]]) -> Iterator[str]:
    parents = {m["config"]["meta"]["vault"]["hk"]: m["name"] for m in models if m["name"].startswith(("hub_", "link_"))}
    for model in models:
        vault = model["config"]["meta"]["vault"]
        for hk in vault["hubs"]:
            arrow = "||--|{" if vault["kind"] == "satellite" else "||--o{"
            yield f"{parents[hk]} {arrow} {model['name']} : {hk}"
        for satellite, hk in vault.get("satellites", {}).items():
            yield f"{satellite} ||--o{{ {model['name']} : {hk}"
    for model in models:
        vault = model["config"]["meta"]["vault"]
        columns = {name: type_ for name, type_ in vault["columns"].items() if name not in LINEAGE}
        yield from _entity(model["name"], columns, {vault["hk"]}, set(vault["hubs"]))


def _marts(models: list[dict[str, Any]]) -> Iterator[str]:
    for model in models:
        columns = {name: column["data_type"].split("(")[0] for name, column in model["columns"].items()}
        key = next(iter(columns))
        yield from _entity(model["name"], columns, {key}, {name for name in columns if name.endswith("_hk")})


def _references(manifest: dict[str, Any]) -> Iterator[str]:
    for test in sorted(manifest["nodes"].values(), key=lambda n: n["name"]):
        meta = test.get("test_metadata") or {}
        if meta.get("name") == "relationships":
            column, child = test["column_name"], test["attached_node"].rsplit(".", 1)[1]
            parent = next(d.rsplit(".", 1)[1] for d in test["depends_on"]["nodes"] if d != test["attached_node"])
            yield f"{parent} ||--o{{ {child} : {column}"


def _entity(name: str, columns: dict[str, str], primary: set[str], foreign: set[str]) -> Iterator[str]:
    yield f"{name} {{"
    for column, type_ in columns.items():
        mark = " PK" if column in primary and column not in foreign - primary else " FK" if column in foreign else ""
        yield f"    {type_} {column}{mark}"
    yield "}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(page(parse(Path(folder))), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
