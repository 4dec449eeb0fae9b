"""Renders the charts with Helm and gives their objects as dictionaries."""

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHARTS = ROOT / "charts"
UMBRELLA = CHARTS / "tickvault"
LOADER = yaml.CSafeLoader  # a rendered release is long: ten times as fast as the one in Python
KUBERNETES = "1.34.4"
PROFILES = ("minimal", "local", "full")
STANDALONE = sorted(
    chart.parent.name
    for chart in CHARTS.glob("*/Chart.yaml")
    if yaml.safe_load(chart.read_text())["type"] == "application" and chart.parent.name != "tickvault"
)
INGRESS = {"enabled": True, "className": "nginx", "host": "ui.example.com", "tlsSecret": "ui-tls", "annotations": {}}
EXTERNAL_ONLY: dict[str, Any] = {
    "global": {
        "jobsSecret": "jobs-secrets",
        "external": {
            "postgres": {"host": "db.example.com", "port": 5433, "sslmode": "require"},
            "s3": {"endpoint": "https://s3.eu-central-1.amazonaws.com", "bucket": "lake", "region": "eu-central-1"},
            "kafka": {"bootstrap": "kafka-1.example.com:9094,kafka-2.example.com:9094"},
            "trino": {"host": "trino.example.com", "port": 8443, "scheme": "https"},
            "prefect": {"apiUrl": "https://prefect.example.com/api"},
            "snowflake": {"account": "ab12345.eu-central-1"},
        },
    },
    **{name: {"enabled": False} for name in ("minio", "timescaledb", "trino", "prefect")},
}
PRODUCTION: dict[str, Any] = {
    "global": {"jobsSecret": "jobs-secrets", "imageRegistry": "mirror.example.com", "imagePullSecrets": ["pull"]},
    "minio": {"existingSecret": "lake", "ingress": INGRESS},
    "timescaledb": {"existingSecret": "database", "backup": {"existingSecret": "lake"}},
    "trino": {"postgresSecret": "database", "s3Secret": "lake", "existingAuthSecret": "trino", "ingress": INGRESS},
    "prefect": {"existingSecret": "prefect", "database": {"existingSecret": "database"}, "ingress": INGRESS},
    "kafka": {"enabled": True, "brokers": 3},
    "prometheus": {
        "enabled": True,
        "existingWebConfigSecret": "web",
        "scrape": {"prefect": {"passwordSecret": "prefect"}},
        "ingress": INGRESS,
        "alerting": {"alertmanagers": ["tickvault-alertmanager:9093", "tickvault-alert-receiver:9093"]},
    },
    "alertmanager": {"enabled": True, "webhookSecret": "webhook"},
    "alertReceiver": {"enabled": True},
    "grafana": {"enabled": True, "existingSecret": "grafana", "postgresSecret": "database", "ingress": INGRESS},
    "pgadmin": {"enabled": True, "existingSecret": "pgadmin", "postgresSecret": "database", "ingress": INGRESS},
    "networkPolicy": {"uiNamespaces": ["ingress-nginx"]},
}
MANAGED: dict[str, Any] = {
    "global": {
        "jobsSecret": "jobs-secrets",
        "external": {key: EXTERNAL_ONLY["global"]["external"][key] for key in ("postgres", "s3")},
    },
    "minio": {"enabled": False},
    "timescaledb": {"enabled": False},
    "trino": {"postgresSecret": "database", "s3Secret": "lake"},
    "prefect": {"existingSecret": "prefect", "database": {"existingSecret": "database"}},
}
_JOBS = yaml.safe_load((CHARTS / "jobs/values.yaml").read_text())["jobs"]


def _elsewhere(*engines: str) -> dict[str, Any]:
    """Give PRODUCTION's globals with these engines outside the cluster."""
    external = EXTERNAL_ONLY["global"]["external"]
    return {**PRODUCTION["global"], "external": {name: external[name] for name in engines}}


CRON_ONLY = {"flows": {"enabled": False}, "jobs": {name: {"orchestrator": "cron"} for name in _JOBS}}
WORKERS: dict[str, Any] = {
    "consume-trade": {"image": "flows", "args": ["status"], "replicas": 2, "secrets": {"MINIO_ACCESS_KEY": "required"}},
    "show": {"image": "flows", "command": ["python"], "args": ["-m", "http.server"], "service": True, "metrics": False},
}
"""A consumer and a server of pages, as users and later parts of the platform add them."""
ELSEWHERE = ["alertmanager.example.com:9093", "tickvault-alert-receiver:9093"]
WITHOUT: dict[str, dict[str, Any]] = {
    **{name: {} for name in ("jobs", "trino", "kafka", "prometheus", "alertReceiver", "grafana", "pgadmin")},
    "alertmanager": {"prometheus": {**PRODUCTION["prometheus"], "alerting": {"alertmanagers": ELSEWHERE}}},
    "minio": {"global": _elsewhere("s3")},
    "timescaledb": {"global": _elsewhere("postgres")},
    "prefect": {"jobs": CRON_ONLY},
}
"""PRODUCTION with one subchart switched off, and what its absence asks for."""
RELEASES: dict[str, tuple[Path, tuple[Path, ...], dict[str, Any]]] = {
    **{name: (UMBRELLA, (UMBRELLA / f"profiles/{name}.yaml",), {}) for name in PROFILES},
    "external": (UMBRELLA, (), EXTERNAL_ONLY),
    "managed": (UMBRELLA, (), MANAGED),
    "production": (UMBRELLA, (), PRODUCTION),
    "workers": (UMBRELLA, (), {**PRODUCTION, "jobs": {"workers": WORKERS}}),
    **{
        f"without-{name}": (UMBRELLA, (), {**PRODUCTION, **values, name: {"enabled": False}})
        for name, values in WITHOUT.items()
    },
    **{name: (CHARTS / name, (), {"global": {"generateSecrets": True}}) for name in STANDALONE},
}
"""What is rendered, by name: the chart, its value files, and further values."""

Object = dict[str, Any]


def helm_template(chart: Path, files: tuple[Path, ...], values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run ``helm template`` in the namespace and under the release's name that users have."""
    helm = shutil.which("helm")
    assert helm, "ask for the fixture `helm` first"
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as extra:
        yaml.safe_dump(values, extra)
        extra.flush()
        command = [helm, "template", "tickvault", str(chart), "--namespace", "tickvault", "--kube-version", KUBERNETES]
        for file in (*map(str, files), extra.name):
            command += ["--values", file]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@functools.cache
def release(name: str) -> tuple[Object, ...]:
    """Give the objects of one of ``RELEASES``, rendered once per run."""
    done = helm_template(*RELEASES[name])
    assert done.returncode == 0, done.stderr
    return tuple(item for item in yaml.load_all(done.stdout, Loader=LOADER) if item)


def refusal(values: dict[str, Any], chart: Path = UMBRELLA) -> str:
    """Give what Helm says when it refuses these values."""
    done = helm_template(chart, (), values)
    assert done.returncode != 0, "Helm rendered what it should refuse"
    return done.stderr


def pod_template(item: Object) -> Object | None:
    """Give the pod template (metadata and spec) of a workload or a pod; None for everything else."""
    match item["kind"]:
        case "Pod":
            return item
        case "Deployment" | "StatefulSet" | "DaemonSet" | "Job":
            template: Object = item["spec"]["template"]
        case "CronJob":
            template = item["spec"]["jobTemplate"]["spec"]["template"]
        case _:
            return None
    return template


def named(name: str, kind: str, item: str) -> Object:
    """Give one object of a release."""
    (found,) = [o for o in release(name) if (o["kind"], o["metadata"]["name"]) == (kind, item)]
    return found


def rendered(values: dict[str, Any], chart: Path = UMBRELLA, *files: Path) -> list[Object]:
    """Give the objects that Helm renders from these values."""
    done = helm_template(chart, files, values)
    assert done.returncode == 0, done.stderr
    return [item for item in yaml.load_all(done.stdout, Loader=LOADER) if item]


def environment(item: Object) -> dict[str, Any]:
    """Give the plain variables of a workload's first container."""
    template = pod_template(item)
    assert template
    return {entry["name"]: entry.get("value") for entry in template["spec"]["containers"][0].get("env", [])}


def pods(name: str) -> list[tuple[str, Object]]:
    """Give every pod template of a release with the name of its object."""
    found = ((f"{item['kind']}/{item['metadata']['name']}", pod_template(item)) for item in release(name))
    return [(label, template) for label, template in found if template]
