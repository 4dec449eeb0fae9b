"""The release under way: upgrade with a job running, rollback, secrets that stay put, uninstall, reinstall."""

import json
import os
import re
import secrets
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml
from cluster import RELEASE, ROOT, Cluster, until
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


@pytest.fixture
def readme(cluster: Cluster, tmp_path: Path) -> list[Callable[[], str]]:
    """The README's five commands as they are written there; each runs where ``my-values.yaml`` is the profile's."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n(# install\n.*?)```", page, re.DOTALL)
    (tmp_path / "charts").symlink_to(ROOT / "charts")
    values: dict[str, object] = {}
    for path in (f"charts/tickvault/profiles/{cluster.profile}.yaml", ".images/values.yaml"):
        values = _merged(values, yaml.safe_load((ROOT / path).read_text(encoding="utf-8")))
    (tmp_path / "my-values.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    config = cluster.kubectl("config", "view", "--minify", "--flatten")
    (tmp_path / "kubeconfig").write_text(config, encoding="utf-8")

    def run(line: str) -> str:
        environment = os.environ | {"KUBECONFIG": str(tmp_path / "kubeconfig")}
        command = ["bash", "-c", line]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    return [partial(run, line) for line in block.splitlines() if not line.startswith("#")]


def _merged(values: dict[str, object], more: dict[str, object]) -> dict[str, object]:
    result = dict(values)
    for key, value in more.items():
        before = result.get(key)
        both = isinstance(before, dict) and isinstance(value, dict)
        result[key] = _merged(before, value) if both else value  # type: ignore[arg-type]
    return result


def test_uninstall_leaves_data_and_passwords_and_a_reinstall_finds_both(
    cluster: Cluster, readme: list[Callable[[], str]]
) -> None:
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
    install, trigger, watch, upgrade, remove = readme
    remove()
    owned = f"app.kubernetes.io/instance={RELEASE}"
    gone = ("deployments,statefulsets,cronjobs,services", "--selector", owned)
    until(lambda: True if not cluster.get(*gone)["items"] else None, "the release's objects to go", 120)
    assert {item["metadata"]["uid"] for item in cluster.get("persistentvolumeclaims")["items"]} == claims

    install()
    assert {name: cluster.secret(name) for name in passwords} == passwords
    assert {item["metadata"]["uid"] for item in cluster.get("persistentvolumeclaims")["items"]} == claims
    assert rows() == before
    job = cluster.end_of(cluster.start("load-postgres"))
    assert (job.complete, job.report.get("rows_loaded", 0)) == (True, 0)

    cluster.kubectl("delete", "job", "extract-now", "--ignore-not-found", "--wait")
    trigger()
    assert "slot" in watch()
    assert cluster.end_of("extract-now").complete
    upgrade()
    assert {name: cluster.secret(name) for name in passwords} == passwords
