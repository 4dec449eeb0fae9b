"""Both targets on the same raw rows: the marts agree byte for byte, floating-point measures to 1e-9."""

import math
from typing import Any

import pytest
from warehouse import Dbt, manifest, read

Row = dict[str, Any]


def _published(dbt: Dbt) -> list[tuple[str, str]]:
    """Return the relation and the hash column of every mart and semantic model."""
    published = [n for n in manifest(dbt).values() if n["schema"] in {"build_marts", "build_semantic"}]
    return sorted((f"{node['schema']}.{node['name']}", next(iter(node["columns"]))) for node in published)


def _same(name: str, here: Any, there: Any) -> bool:
    if isinstance(here, float) and isinstance(there, float):
        return math.isclose(here, there, rel_tol=1e-9, abs_tol=1e-12)
    return type(here) is type(there) and here == there


@pytest.mark.engine("trino")
def test_marts_agree_on_both_engines(snowflake_dbt: Dbt, trino_dbt: Dbt) -> None:
    relations = _published(snowflake_dbt)
    assert len(relations) == 17
    differences = []
    for relation, key in relations:
        here, there = ({row[key]: row for row in read(dbt.warehouse, relation)} for dbt in (snowflake_dbt, trino_dbt))
        assert here, f"{relation} is empty"
        assert here.keys() == there.keys(), f"{relation}: keys differ"
        differences += [
            f"{relation} {key}={row_key} {name}: {row[name]!r} | {there[row_key][name]!r}"
            for row_key, row in here.items() for name in row if not _same(name, row[name], there[row_key][name])
        ]  # fmt: skip
    assert not differences, f"{len(differences)} values differ:\n" + "\n".join(differences[:20])
