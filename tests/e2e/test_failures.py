"""What goes wrong on a cluster: a pod killed in the middle of a load, one that runs out of memory, a wrong setting."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from cluster import Cluster, until

from tickvault.core.slot import Slot
from tickvault.engines.storage import open_storage

TABLE = "raw_transactions_corporate"
pytestmark = pytest.mark.usefixtures("filled")


def _old_slot(cluster: Cluster) -> str:
    """A slot nobody ran: a second of last week that is this session's own."""
    return Slot.of(datetime.now(UTC) - timedelta(days=7, seconds=int(cluster.run, 16))).id


@contextmanager
def _locked(cluster: Cluster, table: str) -> Iterator[None]:
    """Hold a table, so that a load stops in the middle of its transaction."""
    with closing(psycopg.connect(cluster.settings("tickvault_loader", "loader-password").postgres_dsn())) as holder:
        with holder.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
        yield


def _wait_for_blocked_load(cluster: Cluster) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'tickvault_loader'"
    with closing(psycopg.connect(cluster.settings("tickvault_loader", "loader-password").postgres_dsn())) as watcher:
        watcher.autocommit = True
        with watcher.cursor() as cursor:

            def blocked() -> bool | None:
                cursor.execute(waiting)
                return True if cursor.fetchall()[0][0] else None

            until(blocked, "a load that waits for the table", 120)


def test_a_pod_killed_in_the_middle_of_a_load_counts_every_row_once(cluster: Cluster) -> None:
    slot = _old_slot(cluster)
    landed = cluster.end_of(cluster.start("extract-faker-market", env={"TICKVAULT_SLOT": slot}))
    assert landed.complete, landed
    package = f"faker_market.{TABLE}.{slot}.r0"
    expected = cluster.read("postgres", f"SELECT rows FROM data_platform.packages WHERE package_id = '{package}'")[0][0]
    before = cluster.read("postgres", f"SELECT count(*) FROM {TABLE}")[0][0]

    with _locked(cluster, TABLE):
        job = cluster.start("load-postgres")
        _wait_for_blocked_load(cluster)
        (killed,) = cluster.pods(job)
        cluster.kubectl("delete", "pod", killed["metadata"]["name"], "--grace-period=0", "--force")
    ended = cluster.end_of(job, 400)

    assert ended.complete, ended
    assert cluster.pods(job)[-1]["metadata"]["uid"] != killed["metadata"]["uid"]
    loads = f"""SELECT rows_read, rows_inserted, rows_updated, rows_unchanged, rows_superseded
                FROM data_platform.loads WHERE package_id = '{package}' AND sink = 'postgres'"""
    ((read, inserted, updated, unchanged, superseded),) = cluster.read("postgres", loads)
    assert (read, inserted + updated + unchanged + superseded) == (expected, expected)
    assert cluster.read("postgres", f"SELECT count(*) FROM {TABLE}")[0][0] == before + inserted
    doubled = f"SELECT transaction_id FROM {TABLE} GROUP BY transaction_id HAVING count(*) > 1"
    assert cluster.read("postgres", doubled) == []


def test_a_job_without_memory_ends_as_failed(cluster: Cluster) -> None:
    slot = _old_slot(cluster)
    job = cluster.start("extract-yfinance-stock", env={"TICKVAULT_SLOT": slot}, memory="48Mi", retries=0)
    ended = cluster.end_of(job)
    assert not ended.complete
    (pod,) = cluster.pods(job)
    state = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (state["reason"], state["exitCode"]) == ("OOMKilled", 137)
    # It may be killed before it has noted that it runs; then there is no row to put right.
    noted = cluster.read("postgres", f"SELECT count(*) FROM data_platform.runs WHERE job_name = '{job}'")[0][0]
    assert not noted or "(OOMKilled)" in _log_of_an_interrupted_run(cluster, job)


def test_the_log_of_a_killed_job_is_kept(cluster: Cluster) -> None:
    env = {"TICKVAULT_SLOT": _old_slot(cluster), "FAULT_AT": "after_extract"}
    job = cluster.start("extract-binance", env=env, retries=0)
    assert not cluster.end_of(job).complete
    lines = [json.loads(line) for line in _log_of_an_interrupted_run(cluster, job).splitlines()]
    assert (lines[-1]["level"], lines[-1]["job"]) == ("error", "extract-binance")
    assert f"job/{job}: BackoffLimitExceeded" in lines[-1]["message"]


def _log_of_an_interrupted_run(cluster: Cluster, job: str) -> str:
    """Wait until the reconciler has ended the run's row and linked the log that its pod left; returns the log."""
    kept = f"SELECT status, log_uri FROM data_platform.runs WHERE job_name = '{job}'"

    def linked() -> str | None:
        ((status, uri),) = cluster.read("postgres", kept)
        return uri if status == "interrupted" else None

    uri = until(linked, "the reconciler to end the run and to keep its log", 150)
    data = open_storage(cluster.settings("tickvault_reader", "reader-password")).get(uri)
    assert data, uri
    return data.decode()


def test_a_wrong_setting_is_not_tried_again(cluster: Cluster) -> None:
    job = cluster.start("load-postgres", env={"TICKVAULT_TIMEZONE": "Mars/Olympus"})
    ended = cluster.end_of(job)
    assert (ended.complete, ended.reason, ended.pods) == (False, "PodFailurePolicy", 1)
    assert ended.report["exit_code"] == 78
    assert "Mars/Olympus" in ended.report["error"]["message"]
