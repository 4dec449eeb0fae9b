"""Draws ``docs/architecture``'s pictures from the project: ``python docs/pictures.py``; a test holds them to it.

The rooms are those of the import rules, the way of the data that of the flows' plans and the targets, the cluster that
of ``charts/tickvault/files/connections.yaml``, from which the network policies are rendered.
"""
# ruff: noqa: INP001 - a script

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import rooms
import yaml
from drawing import Arrow, Box, draw

from tickvault.flows.plan import PLANS
from tickvault.transfer import catalog
from tickvault.warehouse.target import TARGETS

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "architecture"
CONNECTIONS = ROOT / "charts" / "tickvault" / "files" / "connections.yaml"
ENGINES = {"postgres": "PostgreSQL", "snowflake": "Snowflake", "trino": "Trino / Iceberg"}
STORES = {"minio", "timescaledb", "kafka", "emulator"}
EVERYWHERE = {"users": "people", "prometheus": "Prometheus"}
OUTSIDE = {"internet": "public APIs, Snowflake, chats", "kubernetes": "the API server"}


def pictures() -> dict[str, str]:
    """Return every picture by its file's name."""
    return {"rooms.svg": _rooms(), "data.svg": _data(), "cluster.svg": _cluster()}


def _rooms() -> str:
    """Floors from left to right: each imports only what stands to its right."""
    floors = [(f"floor {n}", {r: Box(r, kind="ours") for r in floor}) for n, floor in enumerate(rooms.floors(), 1)]
    firsts = [next(iter(boxes)) for _, boxes in floors]
    arrows = [Arrow(a, b) for a, b in pairwise(firsts)]
    return draw("Rooms of jobs/tickvault: each imports only from floors to its right", floors, arrows, between=44)


def _data() -> str:
    sources = {s: Box(s, plan.name, "outside") for plan in PLANS for s in plan.sources}
    lake = {"lake": Box("lake", "Parquet, sealed by a manifest", "store")}
    sinks = {s: None for plan in PLANS for s in plan.sinks}
    raw = {f"raw-{s}": Box(ENGINES[s], f"raw tables, {_tables(s)} of them", "store") for s in sinks}
    built = {t.name: Box(ENGINES[t.engine], f"vault, marts, semantic: {t.job}", "ours") for t in TARGETS}
    shown = {f"shown-{t.name}": Box("MARTS, SEMANTIC", "only what passed its tests", "store") for t in TARGETS}
    readers = {
        "commands": Box("query, metric, export", "the command line", "reader"),
        "tools": Box("BI tools, notebooks", "docs/connect.md", "reader"),
    }
    arrows = [Arrow(s, "lake") for s in sources] + [Arrow("lake", name) for name in raw]
    arrows += [Arrow(f"raw-{t.sink}", t.name) for t in TARGETS] + [Arrow(t.name, f"shown-{t.name}") for t in TARGETS]
    arrows += [Arrow(f"shown-{t.name}", reader) for t in TARGETS for reader in readers]
    columns = [("extract", sources), ("land", lake), ("load", raw), ("build and test", built), ("publish", shown)]
    return draw("The way of the data", [*columns, ("read", readers)], arrows)


def _tables(sink: str) -> int:
    streams = [s for plan in PLANS for source in plan.sources for s in catalog.source(source).streams]
    return len({s.warehouse_table if sink == "snowflake" else s.name for s in streams})


def _cluster() -> str:
    """Who calls whom in a release, but for tests and init containers; who calls nearly all is said in the boxes."""
    pairs = list(_connections(yaml.safe_load(CONNECTIONS.read_text(encoding="utf-8"))))
    notes = {
        name: [who for start, who in EVERYWHERE.items() if (start, name) in pairs] for pair in pairs for name in pair
    }
    shown = [pair for pair in pairs if pair[0] not in EVERYWHERE]
    names = [name for name in notes if name != "users"]
    ranks = _ranks(names, shown)
    columns: list[tuple[str, dict[str, Box]]] = []
    places: dict[str, float] = {}
    for rank in range(max(ranks.values()) + 1):
        # Where its callers are on average; a box nobody calls comes first.
        height = {n: [places[a] for a, b in shown if b == n and a in places] for n in names if ranks[n] == rank}
        here = sorted(height, key=lambda n: (sum(height[n]) / max(1, len(height[n])), n))
        places |= {name: (number + 0.5) / len(here) for number, name in enumerate(here)}
        columns.append(("", {n: _party(n, notes[n]) for n in here}))
    return draw("Who calls whom in the cluster", columns, [Arrow(a, b) for a, b in shown], between=130)


def _party(name: str, callers: list[str]) -> Box:
    kind = "store" if name in STORES else "outside" if name in OUTSIDE else ""
    text = OUTSIDE.get(name) or " and ".join(callers).join(("for ", "") if callers else ("", ""))
    return Box(name, text, "ours" if name in {"jobs", "flows", "workers"} else kind)


def _connections(listed: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for connection in listed["connections"]:
        pair = connection["from"], connection["to"]
        if pair[0] != pair[1] and not any(name.endswith(("-test", "-init")) for name in pair):
            yield pair


def vault(manifest: dict[str, Any]) -> str:
    """Draw the vault of dbt's manifest: hubs, the links between them, and what describes either."""
    models = sorted((m for m in manifest["nodes"].values() if m["resource_type"] == "model"), key=lambda m: m["name"])
    described = {m["name"]: m["config"]["meta"]["vault"] for m in models if m["config"]["meta"].get("vault")}
    columns: dict[str, dict[str, Box]] = {"hubs": {}, "links": {}, "what describes them": {}}
    for name, meta in described.items():
        head, kind = {"hub": ("hubs", "ours"), "link": ("links", "store")}.get(
            meta["kind"], ("what describes them", "")
        )
        columns[head][name] = Box(name, f"{len(meta['columns'])} columns", kind)
    order = [name for boxes in columns.values() for name in boxes]
    owners = {described[name]["hk"]: name for name in (*columns["links"], *columns["hubs"])}
    pairs = {(owners[hk], n) for n, m in described.items() for hk in (*m["hubs"], m["hk"]) if hk in owners}
    arrows = [Arrow(a, b) for a, b in sorted(pairs) if order.index(a) < order.index(b) and not _beside(columns, a, b)]
    return draw("The vault", list(columns.items()), arrows, between=150)


def _beside(columns: dict[str, dict[str, Box]], one: str, other: str) -> bool:
    return any(one in boxes and other in boxes for boxes in columns.values())


def _ranks(names: list[str], pairs: list[tuple[str, str]]) -> dict[str, int]:
    """Return each party's column: one after the last of those that call it."""
    ranks = dict.fromkeys(names, 0)
    for _ in names:  # the longest way has no more steps than there are parties
        for start, end in pairs:
            ranks[end] = max(ranks[end], ranks[start] + 1)
    return ranks


if __name__ == "__main__":
    import tempfile

    import erd

    with tempfile.TemporaryDirectory() as folder:
        erd.PAGE.with_name("vault.svg").write_text(vault(erd.parse(Path(folder))), encoding="utf-8")
    for name, picture in pictures().items():
        (FOLDER / name).write_text(picture, encoding="utf-8")
