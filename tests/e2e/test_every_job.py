"""Every job once, by hand, as a Kubernetes Job: its end, and the rows in every place they must reach."""

import pytest
from cluster import Cluster, Ended
from conftest import EXTRACTS

from tickvault.engines.snowflake.tables import Names
from tickvault.market import streams
from tickvault.transfer import catalog

RAW = [stream for stream in streams.ALL if stream.name.startswith("raw_")]


def test_every_job_is_complete_at_its_first_pod(filled: dict[str, Ended]) -> None:
    ended = {name: (job.complete, job.pods, job.report.get("exit_code")) for name, job in filled.items()}
    assert ended == dict.fromkeys(filled, (True, 1, 0))


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("name", EXTRACTS)
def test_what_a_source_landed_is_in_both_targets(cluster: Cluster, name: str) -> None:
    source = name.removeprefix("extract-").replace("-", "_")
    lake = cluster.lake()
    packages = [p for s in catalog.source(source).streams for p in lake.packages(s) if p.source == source]
    landed = {package.id: package.rows for package in packages}
    assert landed
    assert sum(landed.values()) > 0
    noted = cluster.read("postgres", f"SELECT package_id, rows FROM data_platform.packages WHERE source = '{source}'")
    assert dict(noted) == landed
    loads = f"SELECT package_id, rows_read FROM data_platform.loads WHERE source = '{source}' AND sink = 'postgres'"
    assert dict(cluster.read("postgres", loads)) == landed
    in_snowflake = cluster.read("snowflake", f"SELECT package_id, rows_read FROM {_names(cluster).loads}")
    assert {key: rows for key, rows in in_snowflake if key.startswith(f"{source}.")} == landed


@pytest.mark.usefixtures("filled")
def test_both_targets_and_trino_hold_the_same_rows(cluster: Cluster) -> None:
    names = _names(cluster)
    tables = [r[0] for r in cluster.read("postgres", "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    present = {s.name: s for s in RAW if s.name in tables}  # sources share tables
    assert len(present) >= len(EXTRACTS)
    counts = {name: cluster.read("postgres", f"SELECT count(*) FROM {name}")[0][0] for name in present}
    assert all(counts.values()), counts
    by_trino = {n: cluster.read("trino", f"SELECT count(*) FROM postgres.public.{n}")[0][0] for n in counts}
    assert by_trino == counts
    tables_of: dict[str, int] = {}
    for name, stream in present.items():
        table = names.table(stream)
        tables_of[table] = tables_of.get(table, 0) + counts[name]
    in_snowflake = {t: cluster.read("snowflake", f"SELECT count(*) FROM {t}")[0][0] for t in tables_of}
    assert in_snowflake == tables_of


@pytest.mark.usefixtures("filled")
def test_marts_are_published_on_both_engines(cluster: Cluster) -> None:
    trino = cluster.read("trino", "SELECT count(*), max(observed_at) FROM lake.marts.fct_asset_prices")[0]
    snowflake = cluster.read("snowflake", "SELECT count(*), max(observed_at) FROM TICKVAULT.MARTS.FCT_ASSET_PRICES")[0]
    assert trino[0] == snowflake[0] > 0


def test_the_same_slot_twice_changes_no_row(cluster: Cluster, filled: dict[str, Ended]) -> None:
    def state() -> list[object]:
        tables = [s.name for s in RAW if s.name != "raw_transactions"]
        there = [r[0] for r in cluster.read("postgres", "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        sums = "count(*), sum(hashtext(row_version || package_id)), max(load_timestamp)"
        return [cluster.read("postgres", f"SELECT {sums} FROM {t}") for t in tables if t in there]

    before = state()
    slot = filled["extract-binance"].report["slot"]
    again = cluster.end_of(cluster.start("extract-binance", env={"TICKVAULT_SLOT": slot}))
    load = cluster.end_of(cluster.start("load-postgres"))
    assert (again.complete, again.report.get("rows_read", 0)) == (True, 0)
    assert (load.complete, load.report.get("rows_loaded", 0)) == (True, 0)
    assert state() == before


def _names(cluster: Cluster) -> Names:
    return Names.of(cluster.settings("tickvault_reader", "reader-password"))
