"""Dashboards as files: each panel asks a data source that is provisioned, and its query runs on the real engine."""

import json
import os
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import yaml
from conftest import missing
from manifests import CHARTS, release

from tickvault.engines.postgres.connection import Connection
from tickvault.ledger.migrations import migrate

FILES = sorted((CHARTS / "grafana/dashboards").glob("*.json"))
PANELS = [
    pytest.param(panel, target, id=f"{file.stem}: {panel['title']} {target['refId']}")
    for file in FILES
    for panel in json.loads(file.read_text())["panels"]
    for target in panel["targets"]
]
SQL = [param for param in PANELS if "rawSql" in param.values[1]]
PROMQL = [param for param in PANELS if "expr" in param.values[1]]


@pytest.fixture(scope="module")
def ledger(postgres_database: str) -> Any:
    """A connection to an empty database with the ledger's schema."""
    with Connection.to(postgres_database, "the test's PostgreSQL") as platform:
        migrate(platform)
    with psycopg.connect(postgres_database) as connection:
        yield connection


LIVE = os.environ.get("PROMETHEUS_URL")
"""A running installation's Prometheus; it must then answer, and have figures of the engines."""
IMAGE = "prom/prometheus:v2.53.3"


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Prometheus with the chart's rules: PROMETHEUS_URL, else one in a container, without figures."""
    if LIVE:
        _until_ready(LIVE, 5)
        yield LIVE
        return
    docker = shutil.which("docker") or ""
    if not docker or subprocess.run([docker, "image", "inspect", IMAGE], capture_output=True, check=False).returncode:
        missing(f"image {IMAGE} is not here")
    folder = tmp_path_factory.mktemp("prometheus")
    for parent in (folder, folder.parent):
        parent.chmod(0o755)
    for name in ("recording.yaml", "alerts.yaml"):
        text = (CHARTS / "prometheus/files" / name).read_text()
        (folder / name).write_text(text.replace("STALE_SECONDS", "93600"))
    config = {"global": {"evaluation_interval": "1s"}, "rule_files": ["/config/recording.yaml", "/config/alerts.yaml"]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    files = [f"--volume={file}:/config/{file.name}:ro" for file in sorted(folder.iterdir())]
    command = [docker, "run", "--rm", "--detach", "--publish", "127.0.0.1::9090", *files, IMAGE]
    flags = ["--config.file=/config/prometheus.yml", "--storage.tsdb.path=/tmp/data"]
    container = subprocess.check_output([*command, *flags], text=True).strip()
    try:
        address = subprocess.check_output([docker, "port", container, "9090/tcp"], text=True).split()[0]
        _until_ready(f"http://{address}", 600)
        yield f"http://{address}"
    finally:
        subprocess.run([docker, "rm", "--force", container], capture_output=True, check=True)


def _until_ready(url: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(f"{url}/-/ready", timeout=5).close()
        except OSError as error:
            if time.monotonic() > deadline:
                pytest.fail(f"no Prometheus at {url}: {error}")
            time.sleep(0.2)
        else:
            return


def _ask(url: str, path: str, **parameters: str) -> Any:
    with urllib.request.urlopen(f"{url}{path}?{urllib.parse.urlencode(parameters)}", timeout=20) as answer:
        return json.load(answer)["data"]


@pytest.mark.usefixtures("helm")
def test_panels_use_provisioned_data_sources() -> None:
    provisioning = next(i for i in release("full") if i["metadata"]["name"] == "tickvault-grafana-provisioning")
    sources = yaml.safe_load(provisioning["data"]["datasources.yaml"])["datasources"]
    known = {(source["type"], source["uid"]) for source in sources}
    used = {(t["datasource"]["type"], t["datasource"]["uid"]) for param in PANELS for t in [param.values[1]]}
    assert used == known
    assert all("$" in source["secureJsonData"]["password"] for source in sources if "secureJsonData" in source)


def test_dashboards_are_told_apart() -> None:
    boards = [json.loads(file.read_text()) for file in FILES]
    assert {board["uid"] for board in boards} == {"platform-health", "pipeline-runs", "freshness", "engine-health"}
    for board in boards:
        ids = [panel["id"] for panel in board["panels"]]
        assert len(ids) == len(set(ids))
        assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in board["panels"])


@pytest.mark.parametrize(("panel", "target"), SQL)
def test_sql_runs_on_the_ledger(panel: dict[str, Any], target: dict[str, Any], ledger: Any) -> None:
    text = target["rawSql"]
    while "$__timeFilter(" in text:
        before, _, after = text.partition("$__timeFilter(")
        column, _, rest = after.partition(")")
        text = f"{before}{column} BETWEEN now() - interval '1 day' AND now(){rest}"
    with ledger.transaction(), ledger.cursor() as cursor:
        cursor.execute(text)
        columns = [column.name for column in cursor.description]
    if target["format"] == "time_series":
        assert columns[:2] == ["time", "metric"]
    assert panel["title"]


@pytest.mark.engine("prometheus")
@pytest.mark.parametrize(("panel", "target"), PROMQL)
def test_promql_runs_on_prometheus(panel: dict[str, Any], target: dict[str, Any], prometheus: str) -> None:
    _ask(prometheus, "/api/v1/query", query=target["expr"])  # a syntax error is HTTP 400
    if LIVE and panel["title"].startswith(("Engines", "Scrapes", "PostgreSQL", "Lake", "Trino", "Prefect")):
        assert _ask(prometheus, "/api/v1/query", query=target["expr"])["result"], "the engines run, but nothing comes"


@pytest.mark.engine("prometheus")
def test_prometheus_runs_the_chart_s_rules(prometheus: str) -> None:
    deadline = time.monotonic() + 300
    while True:  # a rule's health is unknown until it was evaluated once
        groups = _ask(prometheus, "/api/v1/rules")["groups"]
        loaded = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
        if "unknown" not in loaded.values() or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    for file in ("recording.yaml", "alerts.yaml"):
        for group in yaml.safe_load((CHARTS / "prometheus/files" / file).read_text())["groups"]:
            for rule in group["rules"]:
                assert loaded[rule.get("record") or rule["alert"]] == "ok"
