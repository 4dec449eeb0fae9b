"""An alert that fires for real: from a run's exit code in the Pushgateway to a row and to people, and out again."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from cluster import NAMESPACE, Cluster, until

RECEIVER = "deployment/tickvault-alert-receiver"
ALERTMANAGER = "pod/tickvault-alertmanager-0"
QUICK = {"groupWait": "1s", "groupInterval": "5s"}
"""How long people wait in this test."""
GATEWAY = f"/api/v1/namespaces/{NAMESPACE}/services/tickvault-prometheus-pushgateway:9091/proxy/metrics/job"
LISTEN = """
import http.server
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("", 8080), Hook).serve_forever()
"""


@pytest.fixture(scope="module")
def webhook(cluster: Cluster) -> Iterator[str]:
    """A pod that hears what Alertmanager tells Slack; gives its name."""
    if cluster.profile != "local":
        pytest.skip("the profile minimal has no Prometheus; PROFILE=local has")
    name = f"alert-webhook-{cluster.run}"
    container = cluster.get(RECEIVER)["spec"]["template"]["spec"]["containers"][0]
    cluster.kubectl("apply", "--filename", "-", text=yaml.safe_dump_all(_objects(name, container["image"])))
    try:
        cluster.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=120s", seconds=130)
        times = [word for key, value in QUICK.items() for word in ("--set", f"alertmanager.route.{key}={value}")]
        cluster.upgrade("--set", f"alertmanager.webhookSecret={name}", *times)
        yield name
    finally:
        cluster.upgrade()
        cluster.kubectl("delete", "pod,service,secret,networkpolicy", "--selector", f"e2e={name}", "--grace-period=1")


@pytest.fixture
def job(cluster: Cluster) -> Iterator[str]:
    """A job nobody else has; the Pushgateway forgets it at the end."""
    name = f"extract-e2e-{cluster.run}"
    yield name
    cluster.kubectl("delete", "--raw", f"{GATEWAY}/{name}")


def test_a_failed_run_reaches_the_table_and_people(cluster: Cluster, webhook: str, job: str) -> None:
    _push(cluster, job, 65)
    row = _await(cluster, job, "firing")
    assert row[:3] == ("RunFailed", "critical", f"{job} ended with exit code 65")
    until(lambda: _heard(cluster, webhook, f"*{job} ended with exit code 65*") or None, "people to hear of it", 60)
    _push(cluster, job, 0)
    row = _await(cluster, job, "resolved")
    assert row[3] < row[4]
    until(lambda: _heard(cluster, webhook, f"Over: {job} ended") or None, "people to hear of its end", 60)


def test_the_command_tries_the_whole_way(cluster: Cluster, webhook: str) -> None:
    name = f"Drill-{cluster.run}"
    said = cluster.kubectl("exec", RECEIVER, "--", "tickvault", "alert", "test", "--name", name, "--json")
    assert [row["status"] for row in json.loads(said)] == ["resolved"]
    assert [heard["title"].split()[0] for heard in _heard(cluster, webhook, name)] == ["[FIRING:1]", "[RESOLVED]"]


def test_a_silence_keeps_people_quiet_and_the_table_honest(cluster: Cluster, webhook: str, job: str) -> None:
    amtool = ("exec", ALERTMANAGER, "--", "amtool", "--alertmanager.url=http://localhost:9093")
    words = ("silence", "add", f"job={job}", "--author=e2e", "--comment=known", "--duration=10m")
    silence = cluster.kubectl(*amtool, *words).strip()
    heard = len(_heard(cluster, webhook, job))
    _push(cluster, job, 78)
    _await(cluster, job, "firing")
    silenced = (*amtool, "alert", "query", "--silenced", f"job={job}")
    until(lambda: job in cluster.kubectl(*silenced) or None, "the alert to be silenced", 60)
    _push(cluster, job, 0)
    _await(cluster, job, "resolved")
    assert len(_heard(cluster, webhook, job)) == heard
    cluster.kubectl(*amtool, "silence", "expire", silence)


def _push(cluster: Cluster, job: str, exit_code: int) -> None:
    """Leave what a run that ended so would leave."""
    cluster.kubectl(
        "create", "--raw", f"{GATEWAY}/{job}", "--filename", "-", text=f"tickvault_run_exit_code {exit_code}\n"
    )


def _await(cluster: Cluster, job: str, status: str) -> tuple[Any, ...]:
    """Wait until the job's last alert is so."""
    sql = f"""SELECT name, severity, summary, started_at, ended_at, status FROM data_platform.alert_history
        WHERE labels ->> 'job' = '{job}' ORDER BY started_at DESC LIMIT 1"""

    def last() -> tuple[Any, ...] | None:
        return next((row for row in cluster.read("postgres", sql) if row[-1] == status), None)

    return until(last, f"the alert of {job} to be {status}", 240)


def _heard(cluster: Cluster, webhook: str, words: str) -> list[dict[str, Any]]:
    """Give the messages Slack would show, those with these words."""
    bodies = [json.loads(line) for line in cluster.kubectl("logs", webhook).splitlines() if line]
    attachments = [attachment for body in bodies for attachment in body["attachments"]]
    return [attachment for attachment in attachments if words in attachment["title"] + attachment["text"]]


def _objects(name: str, image: str) -> list[dict[str, Any]]:
    """Give the pod, its Service, its address, and the openings it needs where network policies are enforced."""
    labels = {"e2e": name}
    teller = {"matchLabels": {"app.kubernetes.io/name": "alertmanager", "app.kubernetes.io/component": "server"}}
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
        "ingress": [{"from": [{"podSelector": teller}], "ports": ports}],
    }
    let_out = {
        "podSelector": teller,
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"podSelector": {"matchLabels": labels}}], "ports": ports}],
    }
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": labels, "ports": ports}},
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "stringData": {"ALERT_WEBHOOK_URL": f"http://{name}:8080/"},
        },
        {**network, "metadata": metadata, "spec": let_in},
        {**network, "metadata": metadata | {"name": f"{name}-out"}, "spec": let_out},
    ]
