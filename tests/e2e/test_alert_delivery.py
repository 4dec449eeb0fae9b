"""An alert that fires for real: from a run's exit code in the Pushgateway to a row and a webhook, and out again."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from cluster import NAMESPACE, Cluster, until

RECEIVER = "deployment/tickvault-alert-receiver"
GATEWAY = f"/api/v1/namespaces/{NAMESPACE}/services/tickvault-prometheus-pushgateway:9091/proxy/metrics/job"
LISTEN = """
import http.server
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("", 8080), Hook).serve_forever()
"""


@pytest.fixture(scope="module")
def webhook(cluster: Cluster) -> Iterator[str]:
    """A pod that hears what the receiver tells; gives its name."""
    if cluster.profile != "local":
        pytest.skip("the profile minimal has no Prometheus; PROFILE=local has")
    name = f"alert-webhook-{cluster.run}"
    container = cluster.get(RECEIVER)["spec"]["template"]["spec"]["containers"][0]
    cluster.kubectl("apply", "--filename", "-", text=yaml.safe_dump_all(_objects(name, container["image"])))
    try:
        cluster.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=120s", seconds=130)
        cluster.kubectl("set", "env", RECEIVER, f"ALERT_WEBHOOK_URL=http://{name}:8080/")
        cluster.kubectl("rollout", "status", RECEIVER, "--timeout=120s", seconds=130)
        yield name
    finally:
        cluster.kubectl("rollout", "undo", RECEIVER)
        cluster.kubectl("rollout", "status", RECEIVER, "--timeout=120s", seconds=130)
        cluster.kubectl("delete", "pod,service,networkpolicy", "--selector", f"e2e={name}", "--grace-period=1")


@pytest.fixture
def job(cluster: Cluster) -> Iterator[str]:
    """A job nobody else has; the Pushgateway forgets it at the end."""
    name = f"extract-e2e-{cluster.run}"
    yield name
    cluster.kubectl("delete", "--raw", f"{GATEWAY}/{name}")


def test_a_failed_run_reaches_the_table_and_the_webhook(cluster: Cluster, webhook: str, job: str) -> None:
    _push(cluster, job, 65)
    row = _await(cluster, job, "firing")
    assert row[:3] == ("RunFailed", "critical", f"{job} ended with exit code 65")
    _push(cluster, job, 0)
    row = _await(cluster, job, "resolved")
    assert row[3] < row[4]
    heard = [text for text in _heard(cluster, webhook) if job in text]
    assert heard == [f"[{word}] critical RunFailed: {job} ended with exit code 65" for word in ("FIRING", "RESOLVED")]


def test_the_command_tries_the_whole_way(cluster: Cluster, webhook: str) -> None:
    (row,) = json.loads(
        cluster.kubectl(
            "exec", RECEIVER, "--", "tickvault", "alert", "test", "--name", f"Drill-{cluster.run}", "--json"
        )
    )
    assert (row["status"], row["told"]) == ("resolved", "resolved")
    heard = [text.split()[0] for text in _heard(cluster, webhook) if f"Drill-{cluster.run}" in text]
    assert heard == ["[FIRING]", "[RESOLVED]"]


def _push(cluster: Cluster, job: str, exit_code: int) -> None:
    """Leave what a run that ended so would leave."""
    cluster.kubectl(
        "create", "--raw", f"{GATEWAY}/{job}", "--filename", "-", text=f"tickvault_run_exit_code {exit_code}\n"
    )


def _await(cluster: Cluster, job: str, told: str) -> tuple[Any, ...]:
    sql = f"""SELECT name, severity, summary, started_at, ended_at FROM data_platform.alert_history
        WHERE labels ->> 'job' = '{job}' AND status = '{told}' AND told = '{told}'"""
    return until(lambda: next(iter(cluster.read("postgres", sql)), None), f"the alert of {job} to be {told}", 240)


def _heard(cluster: Cluster, webhook: str) -> list[str]:
    return [json.loads(line)["text"] for line in cluster.kubectl("logs", webhook).splitlines()]


def _objects(name: str, image: str) -> list[dict[str, Any]]:
    """Give the pod, its Service, and the openings it needs where network policies are enforced."""
    labels = {"e2e": name}
    receiver = {"matchLabels": {"app.kubernetes.io/name": "alert-receiver", "app.kubernetes.io/component": "server"}}
    metadata = {"name": name, "labels": labels}
    ports = [{"protocol": "TCP", "port": 8080}]
    context = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    size = {"cpu": "10m", "memory": "64Mi", "ephemeral-storage": "32Mi"}
    container = {
        "name": "webhook",
        "image": image,
        "command": ["python", "-c", LISTEN],
        "securityContext": context,
        "resources": {"requests": size, "limits": size | {"cpu": "200m"}},
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 2},
    }
    spec = {"containers": [container], "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1}
    network = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    let_in = {
        "podSelector": {"matchLabels": labels},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"podSelector": receiver}], "ports": ports}],
    }
    let_out = {
        "podSelector": receiver,
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"podSelector": {"matchLabels": labels}}], "ports": ports}],
    }
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": labels, "ports": ports}},
        {**network, "metadata": metadata, "spec": let_in},
        {**network, "metadata": metadata | {"name": f"{name}-out"}, "spec": let_out},
    ]
