"""Three targets on the same raw rows: the marts agree byte for byte, floating-point measures to 1e-9."""

import math
from typing import Any

import pytest
from warehouse import Dbt, manifest, read

from tickvault.warehouse.metrics import metrics, statement

Row = dict[str, Any]


def _published(dbt: Dbt) -> list[tuple[str, str]]:
    """Return the relation and the hash column of every mart and semantic model."""
    published = [n for n in manifest(dbt).values() if n["schema"] in {"build_marts", "build_semantic"}]
    return sorted((f"{node['schema']}.{node['name']}", next(iter(node["columns"]))) for node in published)


def _same(name: str, here: Any, there: Any) -> bool:
    if isinstance(here, float) and isinstance(there, float):
        return math.isclose(here, there, rel_tol=1e-9, abs_tol=1e-12)
    return type(here) is type(there) and here == there


def _check_marts(one: Dbt, other: Dbt) -> None:
    relations = _published(one)
    assert len(relations) == 17
    differences = []
    for relation, key in relations:
        here, there = ({row[key]: row for row in read(dbt.warehouse, relation)} for dbt in (one, other))
        assert here, f"{relation} is empty"
        assert here.keys() == there.keys(), f"{relation}: keys differ"
        differences += [
            f"{relation} {key}={row_key} {name}: {row[name]!r} | {there[row_key][name]!r}"
            for row_key, row in here.items() for name in row if not _same(name, row[name], there[row_key][name])
        ]  # fmt: skip
    assert not differences, f"{len(differences)} values differ:\n" + "\n".join(differences[:20])


def _check_metrics(one: Dbt, other: Dbt) -> None:
    for asked in metrics().values():
        _, sql = statement(asked, asked.by, None, None, lambda model: f"build_semantic.{model}")
        here, there = (dbt.warehouse.query(sql) for dbt in (one, other))
        assert here, f"{asked.name} says nothing"
        assert [row[:-1] for row in here] == [row[:-1] for row in there], f"{asked.name}: dimensions differ"
        for mine, others in zip(here, there, strict=True):
            assert (mine[-1] is None) == (others[-1] is None), (asked.name, mine, others)
            assert mine[-1] is None or float(mine[-1]) == pytest.approx(float(others[-1]), rel=1e-9), asked.name


def test_postgres_and_snowflake_agree(postgres_dbt: Dbt, snowflake_dbt: Dbt) -> None:
    _check_marts(postgres_dbt, snowflake_dbt)
    _check_metrics(postgres_dbt, snowflake_dbt)


@pytest.mark.engine("trino")
def test_postgres_and_trino_agree(postgres_dbt: Dbt, trino_dbt: Dbt) -> None:
    _check_marts(postgres_dbt, trino_dbt)
    _check_metrics(postgres_dbt, trino_dbt)


def test_text_is_in_the_order_of_its_bytes(postgres_dbt: Dbt) -> None:
    """Whatever language the database's own order is of: ``max``, ``order by`` and windows rest on that."""
    assert not postgres_dbt.warehouse.query(
        """SELECT c.oid::regclass::text, a.attname, l.collname FROM pg_attribute a
        JOIN pg_class c ON c.oid = a.attrelid JOIN pg_collation l ON l.oid = a.attcollation
        WHERE c.relkind = 'r' AND a.attnum > 0 AND l.collname <> 'C' AND c.relname <> 'asset_info'
          AND c.relnamespace IN ('build_marts'::regnamespace, 'build_semantic'::regnamespace, 'vault'::regnamespace)"""
    )
