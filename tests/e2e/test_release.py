"""The release under way: upgrade with a job running, rollback, secrets that stay put, uninstall, reinstall."""

import json
import secrets

import pytest
from cluster import RELEASE, Cluster, until
from test_failures import _locked, _old_slot, _wait_for_blocked_load

pytestmark = pytest.mark.usefixtures("filled")
PLANTED_KEY = "COINGECKO_API_KEY"


def _memory_limit(cluster: Cluster) -> str:
    spec = cluster.get("cronjob", "extract-binance")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    limit: str = spec["containers"][0]["resources"]["limits"]["memory"]
    return limit


def test_upgrade_and_rollback_leave_a_running_job_alone(cluster: Cluster) -> None:
    before = _memory_limit(cluster)
    revision = json.loads(cluster.helm("history", RELEASE, "--output", "json"))[-1]["revision"]
    slot = _old_slot(cluster)[:-3] + "59Z"
    assert cluster.end_of(cluster.start("extract-faker-market", env={"TICKVAULT_SLOT": slot})).complete
    with _locked(cluster, "raw_transactions_corporate"):
        job = cluster.start("load-postgres")
        _wait_for_blocked_load(cluster)
        cluster.upgrade("--set", "jobs.jobs.extract-binance.resources.limits.memory=600Mi")
        assert _memory_limit(cluster) == "600Mi"
        (pod,) = cluster.pods(job)
        assert pod["status"]["phase"] == "Running"
    ended = cluster.end_of(job)
    assert (ended.complete, ended.pods) == (True, 1)
    cluster.helm("rollback", RELEASE, str(revision), "--wait", "--timeout", "9m")
    assert _memory_limit(cluster) == before


def test_a_planted_secret_shows_up_nowhere(cluster: Cluster) -> None:
    planted = f"planted-{secrets.token_hex(16)}"
    name = f"planted-{cluster.run}"
    cluster.kubectl("create", "secret", "generic", name, f"--from-literal={PLANTED_KEY}={planted}")
    try:
        cluster.upgrade("--set", f"global.extraJobsSecrets.{PLANTED_KEY}={name}")
        job = cluster.start(
            "extract-coingecko", env={"TICKVAULT_SLOT": _old_slot(cluster), "TICKVAULT_LOG_LEVEL": "DEBUG"}
        )
        ended = cluster.end_of(job)
        assert ended.complete, ended
        generated = {
            v
            for n in ("tickvault-jobs", "tickvault-minio", "tickvault-timescaledb", "tickvault-prefect")
            for v in cluster.secret(n).values()
            if len(v) >= 20
        }
        kinds = "pods,jobs,cronjobs,deployments,statefulsets,services,configmaps,events,persistentvolumeclaims"
        seen = cluster.kubectl("get", kinds, "--output", "json") + cluster.helm("get", "values", RELEASE, "--all")
        manifest = cluster.helm("get", "manifest", RELEASE)
        for pod in cluster.get("pods")["items"]:
            if pod["status"]["phase"] != "Pending":
                seen += cluster.kubectl("logs", pod["metadata"]["name"], "--all-containers", "--tail", "-1")
        assert planted not in seen + manifest
        assert len(generated) > 8
        # The emulator takes any password, and its stand-in is written in the chart.
        assert not [value[:6] for value in generated if value in seen and not value.startswith("the-emulator")]
        assert cluster.secret(name) == {PLANTED_KEY: planted}
    finally:
        cluster.kubectl("delete", "secret", name)


def test_uninstall_leaves_data_and_passwords_and_a_reinstall_finds_both(cluster: Cluster) -> None:
    def rows() -> list[object]:
        return [
            cluster.read("postgres", "SELECT count(*) FROM raw_transactions_personal"),
            cluster.read("snowflake", "SELECT count(*) FROM TICKVAULT.RAW.RAW_TRANSACTIONS"),
            cluster.read("trino", "SELECT count(*) FROM lake.marts.fct_asset_prices"),
        ]

    assert cluster.end_of(cluster.start("load-postgres")).complete  # what earlier tests left pending
    before = rows()
    claims = {item["metadata"]["uid"] for item in cluster.get("persistentvolumeclaims")["items"]}
    passwords = {name: cluster.secret(name) for name in ("tickvault-jobs", "tickvault-timescaledb", "tickvault-minio")}
    cluster.helm("uninstall", RELEASE, "--wait", "--timeout", "5m")
    owned = f"app.kubernetes.io/instance={RELEASE}"
    gone = ("deployments,statefulsets,cronjobs,services", "--selector", owned)
    until(lambda: True if not cluster.get(*gone)["items"] else None, "the release's objects to go", 120)
    assert {item["metadata"]["uid"] for item in cluster.get("persistentvolumeclaims")["items"]} == claims

    cluster.upgrade()
    assert {name: cluster.secret(name) for name in passwords} == passwords
    assert {item["metadata"]["uid"] for item in cluster.get("persistentvolumeclaims")["items"]} == claims
    assert rows() == before
    job = cluster.end_of(cluster.start("load-postgres"))
    assert (job.complete, job.report.get("rows_loaded", 0)) == (True, 0)
