"""Jobs made by hand: what they say of their slot, how to run one again, where the log is; and an analyst's query."""

import json
import os
import re
import subprocess
import sys

from cluster import CONTEXT, NAMESPACE, ROOT, WORKER, Cluster, Ended

JOB = "extract-binance"


def _tickvault(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command on this machine, as somebody with a kubeconfig does."""
    minified = ["kubectl", "config", "view", "--minify", "--flatten", "--context", CONTEXT]
    config = ROOT / ".images" / "kubeconfig"
    config.write_text(subprocess.run(minified, capture_output=True, text=True, check=True).stdout, encoding="utf-8")
    config.chmod(0o600)
    environment = os.environ | {"KUBECONFIG": str(config), "TICKVAULT_NAMESPACE": NAMESPACE}
    command = [sys.executable, "-m", "tickvault", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_a_complete_slot_says_so_and_how_to_read_it_again(cluster: Cluster, filled: dict[str, Ended]) -> None:
    slot = filled[JOB].report["slot"]
    job = cluster.start(JOB, env={"TICKVAULT_SLOT": slot})
    assert cluster.end_of(job).complete
    log = cluster.kubectl("logs", f"job/{job}")
    assert f"slot {slot}" in log
    assert (
        f"package binance.raw_cryptobars.{slot}.r" in log or f"package binance.raw_cryptoprices_binance.{slot}.r" in log
    )
    assert f"tickvault run-now {JOB} --slot {slot} --force" in log


def test_run_now_reads_a_slot_again_and_its_log_stays(cluster: Cluster, filled: dict[str, Ended]) -> None:
    slot = filled[JOB].report["slot"]
    sealed = f"""SELECT max(revision) FROM data_platform.packages
        WHERE package_id LIKE 'binance.raw_cryptoprices_binance.{slot}.%'"""
    before = cluster.read("postgres", sealed)[0][0]
    done = _tickvault("run-now", JOB, "--slot", slot, "--force")
    assert done.returncode == 0, done.stdout + done.stderr
    match = re.search(rf"job/({JOB}-{slot.lower()}-\d+)", done.stderr)
    assert match, done.stderr
    assert cluster.read("postgres", sealed)[0][0] == before + 1
    shown = cluster.kubectl("exec", WORKER, "--", "tickvault", "cluster", "logs", match[1], seconds=180)
    assert f"binance.raw_cryptoprices_binance.{slot}.r{before + 1}" in shown
    assert cluster.end_of(cluster.start("load-postgres")).complete
    assert cluster.end_of(cluster.start("load-snowflake")).complete


def test_run_now_refuses_what_makes_no_sense() -> None:
    missing = _tickvault("run-now", "extract-moon")
    assert (missing.returncode, "there is no CronJob extract-moon" in missing.stderr) == (78, True)
    forced = _tickvault("run-now", "load-postgres", "--force")
    assert (forced.returncode, "knows no --force" in forced.stderr) == (78, True)


def test_a_command_runs_where_the_secrets_are(cluster: Cluster, filled: dict[str, Ended]) -> None:
    assert filled["dbt-trino"].complete
    status = _tickvault("cluster", "status", "--json")
    assert status.returncode == 0, status.stderr
    assert JOB in status.stdout
    asked = _tickvault("cluster", "--as", "dbt-trino", "query", "--on", "trino", "select 6 * 7 as answer", "--json")
    assert json.loads(asked.stdout) == [{"answer": 42}], asked.stderr
    wrong = _tickvault("cluster", "logs", "nothing")
    assert (wrong.returncode, "there is no run 'nothing'" in wrong.stderr) == (78, True)


def test_the_pages_federated_query_answers(cluster: Cluster, filled: dict[str, Ended]) -> None:
    assert filled["dbt-trino"].complete
    page = (ROOT / "docs" / "connect.md").read_text(encoding="utf-8")
    (query,) = [block for block in re.findall(r"```sql\n(.*?)```", page, re.DOTALL) if "postgres." in block]
    assert "lake.marts." in query
    rows = cluster.read("trino", query.rstrip().rstrip(";"))
    assert rows
    assert all(row[-1] is not None for row in rows)
