"""The workers: what runs until it is told to stop. The flows' is the first; others get the shape of runs/service."""

from typing import Any

import pytest
import yaml
from manifests import CHARTS, CRON_ONLY, RELEASES, WORKERS, Object, environment, named, refusal, release, rendered

from tickvault.core.settings import Settings

pytestmark = pytest.mark.usefixtures("helm")
JOBS = CHARTS / "jobs"
GENERATED: dict[str, Any] = {"global": {"generateSecrets": True}}


def _workers(objects: Any) -> dict[str, Object]:
    """Give the Deployments of the chart jobs by their own names."""
    found = [item for item in objects if item["kind"] == "Deployment"]
    jobs = [item for item in found if item["metadata"]["labels"]["app.kubernetes.io/name"] == "jobs"]
    return {item["metadata"]["name"].removeprefix("tickvault-jobs-"): item["spec"] for item in jobs}


def _pod(spec: Object) -> Object:
    pod: Object = spec["template"]["spec"]
    return pod


def _container(spec: Object) -> Object:
    container: Object = _pod(spec)["containers"][0]
    return container


def _secrets(spec: Object) -> list[str]:
    return [entry["name"] for entry in _container(spec)["env"] if "secretKeyRef" in entry.get("valueFrom", {})]


def test_the_flows_worker_is_what_it_was() -> None:
    spec = _workers(release("jobs"))["flows"]
    labels = {"name": "jobs", "instance": "tickvault", "component": "flows"}
    wanted = {f"app.kubernetes.io/{name}": value for name, value in labels.items()} | {"tickvault.io/worker": "true"}
    assert spec["selector"]["matchLabels"] == wanted, "a Deployment's selector cannot be changed"
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    pod, container = _pod(spec), _container(spec)
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("tickvault-jobs-flows", True)
    assert pod["terminationGracePeriodSeconds"] == 60
    assert container["command"] == ["prefect"]
    options = "--pool tickvault-process --type process --limit 3 --install-policy never --with-healthcheck"
    assert container["args"] == ["worker", "start", *options.split()]
    assert container["livenessProbe"]["httpGet"] == container["startupProbe"]["httpGet"]
    assert container["livenessProbe"]["httpGet"] == {"path": "/health", "port": "http"}
    assert container["readinessProbe"] == {"periodSeconds": 10, "tcpSocket": {"port": "http"}}
    assert _secrets(spec) == ["PREFECT_API_AUTH_STRING"]
    more = {"flows": {"pool": "other", "concurrency": 7}}
    assert {"other", "7"} < set(_container(_workers(rendered(GENERATED | more, JOBS))["flows"])["args"])


def test_it_is_there_where_the_flows_are() -> None:
    assert set(_workers(release("without-prefect"))) == set()
    for values in (CRON_ONLY, {"workers": {"flows": {"enabled": False}}}):
        assert set(_workers(rendered(GENERATED | values, JOBS))) == set()


def test_a_worker_has_the_shape_of_a_service() -> None:
    workers = _workers(release("workers"))
    assert set(workers) == {"flows", *WORKERS}
    spec = workers["consume-trade"]
    container = _container(spec)
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    assert container["startupProbe"]["httpGet"] == container["livenessProbe"]["httpGet"]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert (_pod(spec)["serviceAccountName"], _pod(spec)["automountServiceAccountToken"]) == ("tickvault-jobs", False)
    assert container["envFrom"] == [{"configMapRef": {"name": "tickvault-settings"}}]
    assert _secrets(spec) == ["MINIO_ACCESS_KEY"]
    assert spec["strategy"] == {"type": "RollingUpdate"}
    assert "lifecycle" not in container
    budget = named("workers", "PodDisruptionBudget", "tickvault-jobs-consume-trade")
    assert budget["spec"] == {"maxUnavailable": 1, "selector": spec["selector"]}
    known = {name.upper() for name in Settings.model_fields}
    assert set(environment({"kind": "Deployment", "spec": spec})) <= known


def test_a_worker_may_have_a_service() -> None:
    spec = _workers(release("workers"))["show"]
    service = named("workers", "Service", "tickvault-jobs-show")["spec"]
    assert service["selector"] == spec["selector"]["matchLabels"]
    assert service["ports"] == [{"name": "http", "port": 8080, "targetPort": "http"}]
    assert _container(spec)["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert not [
        item
        for item in release("workers")
        if item["kind"] == "Service" and item["metadata"]["name"] == "tickvault-jobs-consume-trade"
    ]


@pytest.mark.parametrize("name", RELEASES)
def test_nobody_is_killed_while_it_finishes_its_work(name: str) -> None:
    for worker, spec in _workers(release(name)).items():
        drain = float(environment({"kind": "Deployment", "spec": spec})["SERVICE_DRAIN_SECONDS"] or "nan")
        pause = 5 if "lifecycle" in _container(spec) else 0
        assert _pod(spec)["terminationGracePeriodSeconds"] > drain + pause, worker


def test_drain_seconds_are_those_the_code_would_take() -> None:
    spec = _workers(release("workers"))["consume-trade"]
    default = Settings.model_fields["service_drain_seconds"].default
    assert float(environment({"kind": "Deployment", "spec": spec})["SERVICE_DRAIN_SECONDS"] or "nan") == default


def test_selectors_tell_workers_apart() -> None:
    every = [
        (item["metadata"]["name"], item["spec"]["template"]["metadata"]["labels"])
        for item in release("workers")
        if item["kind"] in {"Deployment", "Job"}
    ]
    for name, spec in _workers(release("workers")).items():
        selector = spec["selector"]["matchLabels"].items()
        assert [other for other, labels in every if selector <= labels.items()] == [f"tickvault-jobs-{name}"]


def test_prometheus_asks_every_pod_that_has_figures() -> None:
    headless = named("workers", "Service", "tickvault-jobs-workers")["spec"]
    assert headless["clusterIP"] == "None"
    chosen = {
        name
        for name, spec in _workers(release("workers")).items()
        if headless["selector"].items() <= spec["template"]["metadata"]["labels"].items()
    }
    assert chosen == {"consume-trade"}
    config = named("workers", "ConfigMap", "tickvault-prometheus-config")["data"]["prometheus.yml"]
    (scrape,) = [job for job in yaml.safe_load(config)["scrape_configs"] if job["job_name"] == "workers"]
    assert scrape["dns_sd_configs"] == [{"type": "A", "names": ["tickvault-jobs-workers"], "port": 8080}]
    assert not [item for item in release("production") if item["metadata"]["name"] == "tickvault-jobs-workers"]


def test_a_worker_is_made_where_its_engine_is() -> None:
    values = RELEASES["production"][2] | {"jobs": {"workers": {"show": {**WORKERS["show"], "needs": "snowflake"}}}}
    assert set(_workers(rendered(values))) == {"flows"}


def test_a_probe_of_its_own_stands_in_for_the_whole_default() -> None:
    probe = {"exec": {"command": ["true"]}}
    worker = {"args": ["x"], "probes": {"liveness": probe}, "env": {"TZ": "UTC"}}
    spec = _workers(rendered(GENERATED | {"workers": {"own": worker}, "symbols": {"crypto": ["BTC"]}}, JOBS))["own"]
    assert _container(spec)["livenessProbe"] == probe
    assert _container(spec)["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert _container(spec)["image"].startswith("ghcr.io/tickvault/tickvault/own:")
    assert environment({"kind": "Deployment", "spec": spec}) == {
        "SERVICE_DRAIN_SECONDS": "25",
        "CRYPTO_SYMBOLS": "/app/seeds/cryptolist.txt",
        "TZ": "UTC",
    }


def test_every_worker_starts_anew_when_the_settings_have_changed() -> None:
    changed = _workers(rendered({**RELEASES["workers"][2], "settings": {"extra": {"NEWS_READ_LIMIT": "11"}}}))
    for name, spec in _workers(release("workers")).items():
        assert changed[name]["template"] != spec["template"], name


@pytest.mark.parametrize(
    ("worker", "sentence"),
    [
        ({"arg": ["x"]}, "'arg' not allowed"),
        ({"args": ["x"], "probes": {"livenes": {}}}, "'livenes' not allowed"),
        ({"args": ["x"], "strategy": "Rolling"}, "must be one of"),
        ({"replicas": 1}, "set workers.own.args"),
        ({"args": ["x"], "drainSeconds": 45}, "set workers.own.terminationGracePeriodSeconds above 45"),
        ({"args": ["x"], "drainSeconds": 40, "service": True}, "terminationGracePeriodSeconds above 45"),
        ({"args": ["x"], "secrets": {"A": "maybe"}}, "write required or optional"),
    ],
)
def test_what_cannot_work_is_refused_with_a_sentence(worker: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(GENERATED | {"workers": {"own": worker}}, JOBS)


def test_a_name_fits_what_kubernetes_allows() -> None:
    assert "Kubernetes allows 63" in refusal(GENERATED | {"workers": {"x" * 49: {"args": ["x"]}}}, JOBS)
