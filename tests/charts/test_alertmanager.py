"""What the charts set up, for real: Prometheus pushes to Alertmanager, which tells people, and to the receiver."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from alerting import Alertmanager, Fired, Slack, docker, free_port, prometheus, slack, until
from click.testing import CliRunner
from manifests import CHARTS, named, release, rendered

from tickvault.alerts.receiver import ROUTE, receiver
from tickvault.cli.alert import command
from tickvault.core.settings import Settings
from tickvault.ledger import Ledger
from tickvault.ledger.alerts import COLUMNS
from tickvault.runs.endpoints import listening
from tickvault.runs.service import Service

pytestmark = pytest.mark.usefixtures("helm")
REAL = pytest.mark.engine("alertmanager")


@pytest.fixture(scope="module")
def hook() -> Iterator[Slack]:
    with slack() as running:
        yield running


@pytest.fixture(scope="module")
def alertmanager(hook: Slack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    running = Alertmanager(tmp_path_factory.mktemp("alertmanager"), hook.url)
    yield running
    running.remove()


@pytest.fixture
def settings(make_settings: Callable[..., Settings], postgres_settings: dict[str, str]) -> Settings:
    made = make_settings(**postgres_settings)
    with Ledger.open(made) as ledger:
        ledger._db.rows("DELETE FROM data_platform.alert_history RETURNING 1")
    return made


@pytest.fixture
def table(settings: Settings) -> Iterator[str]:
    """The URL of the receiver."""
    with listening(Service("alert-receiver"), "127.0.0.1", 0, {ROUTE: receiver(settings)}) as url:
        yield url


def statuses(settings: Settings) -> dict[str, str]:
    """Give each row's status by the first words of its summary."""
    with Ledger.open(settings) as ledger:
        found = [dict(zip(COLUMNS, row, strict=True)) for row in ledger.alerts.latest(None, False, 100)]
    return {row["summary"].partition(" &")[0].strip(): row["status"] for row in found}


@REAL
def test_what_fires_together_is_one_message_and_a_row_each(
    settings: Settings, table: str, alertmanager: Alertmanager, hook: Slack
) -> None:
    fired = [Fired(alertmanager.url, table, name="RunFailed", job=job) for job in ("a", "b")]
    told = hook.next()
    assert told["title"] == "[FIRING:2] critical RunFailed"
    assert told["color"] == "danger"
    assert told["text"].count("&amp; &lt;more&gt;") == 2
    assert "Do `&lt;this&gt;`." in told["text"]
    assert statuses(settings) == {"RunFailed a": "firing", "RunFailed b": "firing"}
    for alert in fired:
        alert.end()
    told = hook.next()
    assert (told["title"], told["color"], told["text"].count("Over: ")) == ("[RESOLVED] critical RunFailed", "good", 2)
    assert statuses(settings) == {"RunFailed a": "resolved", "RunFailed b": "resolved"}


@REAL
def test_a_silence_keeps_people_quiet_and_the_table_honest(
    settings: Settings, table: str, alertmanager: Alertmanager, hook: Slack
) -> None:
    silence = alertmanager.amtool("silence", "add", "alertname=RunLost", "--author=me", "--comment=known")
    fired = Fired(alertmanager.url, table, name="RunLost", job="a")
    assert hook.hears_nothing(4)
    assert "RunLost" in alertmanager.amtool("alert", "query", "--silenced")
    assert statuses(settings) == {"RunLost a": "firing"}
    fired.end()
    assert hook.hears_nothing(3)
    assert statuses(settings) == {"RunLost a": "resolved"}
    alertmanager.amtool("silence", "expire", silence)


@REAL
def test_what_follows_from_an_outage_is_not_told_beside_it(
    settings: Settings, table: str, alertmanager: Alertmanager, hook: Slack
) -> None:
    both = (alertmanager.url, table)
    down = Fired(*both, name="PostgresDown")
    told = hook.next()
    assert told["title"] == "[FIRING:1] critical PostgresDown"
    overdue, failed = Fired(*both, name="RunOverdue", job="a"), Fired(*both, name="RunFailed", job="b")
    assert hook.next()["title"] == "[FIRING:1] critical RunFailed"
    down.end()
    assert {hook.next()["title"] for _ in range(2)} == {
        "[RESOLVED] critical PostgresDown",
        "[FIRING:1] critical RunOverdue",
    }
    assert statuses(settings) == {"PostgresDown": "resolved", "RunOverdue a": "firing", "RunFailed b": "firing"}
    overdue.end()
    failed.end()
    for _ in range(2):
        assert hook.next()["title"].startswith("[RESOLVED]")


@REAL
def test_a_webhook_that_was_away_hears_of_it_once_and_a_restart_repeats_nothing(hook: Slack, tmp_path: Path) -> None:
    hook.status = 503
    before = Alertmanager(tmp_path, hook.url)
    fired = Fired(before.url, name="LakeUnhealthy")
    for _ in range(2):
        assert hook.asked.acquire(timeout=300)
    hook.status = 200
    assert hook.next()["title"] == "[FIRING:1] critical LakeUnhealthy"
    docker("stop", before.id)
    after = Alertmanager(tmp_path, hook.url, before.port)
    fired.end()
    assert hook.next()["title"] == "[RESOLVED] critical LakeUnhealthy"
    assert hook.hears_nothing(3)
    before.remove()
    after.remove()


class Pushgateway(BaseHTTPRequestHandler):
    """What the last run of a job left, as the Pushgateway shows it."""

    exit_code = 65

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(f'tickvault_run_exit_code{{job="extract-binance"}} {Pushgateway.exit_code}\n'.encode())

    def log_message(self, *_: object) -> None:
        pass


@REAL
def test_prometheus_keeps_what_neither_takes_and_tells_it_when_they_are_back(
    make_settings: Callable[..., Settings], settings: Settings, postgres_settings: dict[str, str], tmp_path: Path
) -> None:
    away = make_settings(**postgres_settings | {"postgres_host": "127.0.0.1", "postgres_port": "1"})
    here, there = free_port(), free_port()
    folders = [tmp_path / name for name in ("prometheus", "alertmanager")]
    for folder in folders:
        folder.mkdir()
    tmp_path.chmod(0o755)
    with ThreadingHTTPServer(("127.0.0.1", 0), Pushgateway) as gateway, slack() as hook:
        threading.Thread(target=gateway.serve_forever, daemon=True).start()
        targets = [f"127.0.0.1:{there}", f"127.0.0.1:{here}"]
        with prometheus(folders[0], targets, f"127.0.0.1:{gateway.server_address[1]}") as url:
            # Neither is there; then the receiver without its PostgreSQL, which is 503.
            until(lambda: requests.get(f"{url}/api/v1/alerts", timeout=5).json()["data"]["alerts"], "the alert to fire")
            refused = threading.Event()

            def refuse(body: bytes, headers: Any) -> tuple[int, str]:
                refused.set()
                return receiver(away)(body, headers)

            with listening(Service("alert-receiver"), "127.0.0.1", here, {ROUTE: refuse}):
                assert refused.wait(30)
                time.sleep(1)
            assert statuses(settings) == {}
            with listening(Service("alert-receiver"), "127.0.0.1", here, {ROUTE: receiver(settings)}):
                until(lambda: statuses(settings), "the row")
                running = Alertmanager(folders[1], hook.url, there)
                try:
                    told = hook.next()
                    assert told["title"] == "[FIRING:1] critical RunFailed"
                    assert "extract-binance ended with exit code 65" in told["text"]
                    assert "tickvault run-now extract-binance" in told["text"]
                    Pushgateway.exit_code = 0
                    assert hook.next()["title"] == "[RESOLVED] critical RunFailed"
                    until(lambda: set(statuses(settings).values()) == {"resolved"}, "the end in the table")
                finally:
                    running.remove()
        gateway.shutdown()


@REAL
@pytest.mark.parametrize("told", [True, False])
def test_the_command_tries_the_whole_way(
    settings: Settings,
    table: str,
    alertmanager: Alertmanager,
    hook: Slack,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    told: bool,
) -> None:
    other = None if told else Alertmanager(tmp_path, None)
    for name in ("postgres_host", "postgres_port", "postgres_db", "postgres_user"):
        monkeypatch.setenv(name.upper(), str(getattr(settings, name)))
    monkeypatch.setenv("POSTGRES_PASSWORD", settings.postgres_password.get_secret_value())
    monkeypatch.setenv("ALERT_RECEIVER_URL", table)
    monkeypatch.setenv("ALERTMANAGER_URL", other.url if other else alertmanager.url)
    done = CliRunner().invoke(command, ["test", "--name", "Drill", "--json"])
    assert done.exit_code == (0 if told else 10), (done.output, done.exception)
    assert json.loads(done.stdout)[0]["status"] == "resolved"
    if other:
        assert "has no receiver to tell people" in done.stderr
        other.remove()
    else:
        assert [hook.next()["title"] for _ in range(2)] == ["[FIRING:1] info Drill", "[RESOLVED] info Drill"]


@REAL
def test_the_helm_test_passes(alertmanager: Alertmanager, hook: Slack) -> None:
    (pod,) = [item for item in release("alertmanager") if item["kind"] == "Pod"]
    script = pod["spec"]["containers"][0]["command"][-1]
    alertmanager.run("env", f"ALERTMANAGER={alertmanager.url}", "sh", "-c", script)
    assert hook.hears_nothing(3)
    with pytest.raises(AssertionError):
        alertmanager.run("env", "ALERTMANAGER=http://127.0.0.1:1", "sh", "-c", script)


def _config(values: dict[str, Any]) -> dict[str, Any]:
    objects = rendered(values, CHARTS / "alertmanager")
    (config,) = [item["data"]["alertmanager.yml"] for item in objects if item["kind"] == "ConfigMap"]
    parsed: dict[str, Any] = yaml.safe_load(config)
    return parsed


def test_people_are_whom_the_values_name() -> None:
    nobody = _config({})
    assert nobody["receivers"] == [{"name": "nobody"}]
    assert {nobody["route"]["receiver"], *(route["receiver"] for route in nobody["route"]["routes"])} == {"nobody"}
    pager = {"pagerduty_configs": [{"routing_key_file": "/secrets/pagerduty/key"}]}
    both = _config(
        {
            "webhookSecret": "hook",
            "people": {**pager, "slack_configs": [{"api_url": "http://second"}]},
            "receivers": [{"name": "night", "webhook_configs": [{"url": "http://night"}]}],
            "routes": [{"receiver": "night", "matchers": ['severity="critical"']}],
            "inhibitRules": {"run-failed": None},
        }
    )
    names = [receiver["name"] for receiver in both["receivers"]]
    assert names == ["nobody", "people", "night"]
    people = both["receivers"][1]
    assert people["pagerduty_configs"] == pager["pagerduty_configs"]
    assert [slack.get("api_url_file", slack.get("api_url")) for slack in people["slack_configs"]] == [
        "/webhook/ALERT_WEBHOOK_URL",
        "http://second",
    ]
    assert [route["receiver"] for route in both["route"]["routes"]] == ["people", "night"]
    assert len(both["inhibit_rules"]) == len(nobody["inhibit_rules"]) - 1


def test_secrets_are_mounted_and_never_in_the_configuration() -> None:
    objects = rendered({"webhookSecret": "hook", "secrets": ["pagerduty"]}, CHARTS / "alertmanager")
    (pod,) = [item["spec"]["template"]["spec"] for item in objects if item["kind"] == "StatefulSet"]
    mounted = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    assert mounted == {"hook", "pagerduty"}
    places = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert {"/webhook", "/secrets/pagerduty"} <= places


def test_inhibit_rules_name_alerts_there_are() -> None:
    rules = yaml.safe_load((CHARTS / "prometheus/files/alerts.yaml").read_text())
    known = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    named_there = {
        name
        for rule in _config({})["inhibit_rules"]
        for matcher in rule["source_matchers"] + rule["target_matchers"]
        if matcher.startswith("alertname")
        for name in matcher.partition("=")[2].strip('~"').split("|")
    }
    assert named_there
    assert named_there <= known


def test_prometheus_pushes_to_both_and_the_receiver_s_pod_knows_alertmanager() -> None:
    config = yaml.safe_load(named("local", "ConfigMap", "tickvault-prometheus-config")["data"]["prometheus.yml"])
    (alerting,) = config["alerting"]["alertmanagers"]
    assert alerting["static_configs"] == [{"targets": ["tickvault-alertmanager:9093", "tickvault-alert-receiver:9093"]}]
    variables = {
        name: {
            entry["name"]: entry.get("value")
            for entry in named(name, "Deployment", "tickvault-alert-receiver")["spec"]["template"]["spec"][
                "containers"
            ][0]["env"]
        }
        for name in ("local", "without-alertmanager")
    }
    assert variables["local"]["ALERTMANAGER_URL"] == "http://tickvault-alertmanager:9093"
    assert "ALERTMANAGER_URL" not in variables["without-alertmanager"]
