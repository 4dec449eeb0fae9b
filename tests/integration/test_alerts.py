"""Alerts as Prometheus pushes them, into a real PostgreSQL and on to a real webhook."""

import json
import os
import queue
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from click.testing import CliRunner

from tickvault.alerts import history
from tickvault.alerts import webhook as webhook_of_slack
from tickvault.alerts.alert import SILENCE, BadAlertError, read_push
from tickvault.alerts.receiver import MAX_BODY, listening
from tickvault.cli.alert import command
from tickvault.core.errors import ConfigError
from tickvault.core.settings import Settings
from tickvault.engines.http.client import HttpClient
from tickvault.ledger import Ledger

NOW = datetime.now(UTC).replace(microsecond=0)
SECRET = "T000/B000/webhook-key"


class Webhook:
    """What Slack would be: keeps what it hears, and can be told to fail."""

    def __init__(self) -> None:
        self.heard: queue.Queue[dict[str, Any]] = queue.Queue()
        self.asked = threading.Semaphore(0)
        self.status = 200
        outer = self

        class Request(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = outer.status
                if status == 200 and self.path == f"/{SECRET}":
                    outer.heard.put(json.loads(body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                outer.asked.release()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Request)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/{SECRET}"

    def next(self) -> dict[str, Any]:
        return self.heard.get(timeout=20)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    hook = Webhook()
    thread = threading.Thread(target=hook.server.serve_forever)
    with hook.server:
        thread.start()
        yield hook
        hook.server.shutdown()
        thread.join()


@pytest.fixture
def settings(
    make_settings: Callable[..., Settings], postgres_settings: dict[str, str], webhook: Webhook
) -> Iterator[Settings]:
    made = make_settings(**postgres_settings, alert_webhook_url=webhook.url)
    with Ledger.open(made) as ledger:
        ledger._db.rows("DELETE FROM data_platform.alert_history RETURNING 1")
    yield made


def alert(name: str = "RunFailed", ends_in: float = 240, **more: Any) -> dict[str, Any]:
    """An alert as Prometheus 2.53 writes it."""
    return {
        "labels": {"alertname": name, "severity": "critical", "job": "extract-binance"},
        "annotations": {"summary": f"{name}: a < b & c", "description": "What it means.", "runbook": "What to do."},
        "startsAt": NOW.isoformat().replace("+00:00", ".123456789Z"),
        "endsAt": (datetime.now(UTC) + timedelta(seconds=ends_in)).isoformat(),
        "generatorURL": "http://prometheus:9090/graph?g0.expr=x",
    } | more


def push(url: str, *alerts: dict[str, Any]) -> None:
    answer = requests.post(f"{url}/api/v2/alerts", json=list(alerts), timeout=10)
    assert (answer.status_code, answer.text) == (200, "")


def rows(settings: Settings) -> list[dict[str, Any]]:
    with Ledger.open(settings) as ledger:
        return [
            dict(zip(history.COLUMNS, row, strict=True))
            for row in history.latest(ledger, pattern=None, only_open=False, limit=100)
        ]


def await_told(settings: Settings, told: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while (row := rows(settings)[0])["told"] != told:
        assert time.monotonic() < deadline, row
        time.sleep(0.05)
    return row


def test_an_alert_fires_repeats_and_ends(settings: Settings, webhook: Webhook) -> None:
    with listening(settings, "127.0.0.1", 0) as url:
        assert requests.get(f"{url}/healthz", timeout=5).text == "ok"
        push(url, alert())
        told = webhook.next()
        assert told["text"] == "[FIRING] critical RunFailed: RunFailed: a &lt; b &amp; c"
        assert told["attachments"][0]["color"] == "danger"
        assert told["attachments"][0]["text"] == "What it means.\nWhat to do."
        fields = {field["title"]: field["value"] for field in told["attachments"][0]["fields"]}
        assert fields["job"] == "extract-binance"
        row = await_told(settings, "firing")
        assert (row["status"], row["ended_at"], row["alert_id"]) == ("firing", None, fields["id"])

        push(url, alert())
        push(url, alert(), alert())
        push(url, alert(ends_in=-1))
        told = webhook.next()
        assert told["text"].startswith("[RESOLVED] critical RunFailed")
        row = await_told(settings, "resolved")
        assert row["ended_at"] >= row["started_at"]

        push(url, alert(ends_in=-1))
        push(url, alert())  # late: what was resolved stays so
        push(url, alert("Last"))
        assert webhook.next()["text"].startswith("[FIRING] critical Last")
        assert webhook.heard.empty()
    assert [(row["name"], row["status"]) for row in rows(settings) if row["name"] == "RunFailed"] == [
        ("RunFailed", "resolved")
    ]


def test_another_start_and_another_label_are_other_alerts(settings: Settings, webhook: Webhook) -> None:
    later = (NOW + timedelta(minutes=1)).isoformat()
    other = alert(labels={"alertname": "RunFailed", "severity": "warning", "job": "load-postgres"})
    with listening(settings, "127.0.0.1", 0) as url:
        push(url, alert(), alert(startsAt=later), other)
        colors = sorted(webhook.next()["attachments"][0]["color"] for _ in range(3))
    assert colors == ["danger", "danger", "warning"]
    assert len({row["alert_id"] for row in rows(settings)}) == 3


def test_a_webhook_that_was_away_hears_of_it_later(
    settings: Settings, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    webhook.status = 503
    with listening(settings, "127.0.0.1", 0, interval=0.2) as url:
        push(url, alert())
        for _ in range(4):  # three attempts of the first round, and one of the next
            assert webhook.asked.acquire(timeout=20)
        assert [(row["status"], row["told"]) for row in rows(settings)] == [("firing", None)]
        webhook.status = 200
        assert webhook.next()["text"].startswith("[FIRING]")
        await_told(settings, "firing")
        assert webhook.heard.empty()
    assert "alerts wait to be told" in caplog.text
    assert SECRET not in caplog.text


def test_an_alert_over_before_the_webhook_came_back_is_told_once(settings: Settings, webhook: Webhook) -> None:
    webhook.status = 404
    with listening(settings, "127.0.0.1", 0, interval=0.2) as url:
        push(url, alert())
        assert webhook.asked.acquire(timeout=20)
        push(url, alert(ends_in=-1))
        webhook.status = 200
        assert webhook.next()["text"].startswith("[RESOLVED]")
        await_told(settings, "resolved")
        assert webhook.heard.empty()


def test_one_refused_alert_does_not_hold_up_the_others(settings: Settings, webhook: Webhook) -> None:
    webhook.status = 400
    with listening(settings, "127.0.0.1", 0, interval=0.2) as url:
        push(url, alert("First"), alert("Second"))
        for _ in range(2):  # one attempt each: a 4xx does not get better at once
            assert webhook.asked.acquire(timeout=20)
        webhook.status = 200
        assert {webhook.next()["text"].split()[2] for _ in range(2)} == {"First:", "Second:"}


@pytest.mark.parametrize("url", ["http://[", "nowhere", "ftp://127.0.0.1/x", "http://", "http://127.0.0.1:99999/"])
def test_an_address_that_is_none_is_a_sentence(make_settings: Callable[..., Settings], url: str) -> None:
    told = history.Untold("id", "RunFailed", "critical", "firing", "summary", {}, {}, "now", None)
    with HttpClient(make_settings()) as client, pytest.raises(ConfigError, match="check ALERT_WEBHOOK_URL"):
        webhook_of_slack.tell(client, url, told)


def test_without_a_webhook_the_row_says_nobody(make_settings: Callable[..., Settings], settings: Settings) -> None:
    silent = make_settings(**settings.model_dump(exclude={"alert_webhook_url", "tickvault_home"}, exclude_unset=True))
    with listening(silent, "127.0.0.1", 0) as url:
        push(url, alert())
        assert await_told(settings, "nobody")["status"] == "firing"
        push(url, alert(ends_in=-1))
    assert [(row["status"], row["told"]) for row in rows(settings)] == [("resolved", "nobody")]


def test_an_alert_nobody_repeats_expires_and_may_come_back(settings: Settings, webhook: Webhook) -> None:
    with listening(settings, "127.0.0.1", 0, interval=0.1) as url:
        push(url, alert(ends_in=0.5))
        assert webhook.next()["text"].startswith("[FIRING]")
        assert "silent" in webhook.next()["text"]
        assert await_told(settings, "expired")["ended_at"] is not None
        push(url, alert())
        assert webhook.next()["text"].startswith("[FIRING]")
        assert await_told(settings, "firing")["ended_at"] is None


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "not JSON"),
        (b"{}", "not a JSON list"),
        (b"[1]", "alert 1 is not an object"),
        (b'[{"labels": {}}]', "alert 1 has no label 'alertname'"),
        (b'[{"labels": {"alertname": 1}}]', "labels are not an object of texts"),
        (b'[{"labels": {"alertname": "a"}}]', "alert 1 has no startsAt"),
        (b'[{"labels": {"alertname": "a"}, "startsAt": "today"}]', "startsAt is not a time"),
        (b'[{"labels": {"alertname": "a"}, "startsAt": "2026-11-20T13:00:00"}]', "startsAt has no time zone"),
        (b'[{"labels": {"alertname": "a\\u0000"}, "startsAt": "2026-11-20T13:00:00Z"}]', "cannot keep"),
        (b'[{"labels": {"alertname": "a\\ud800"}, "startsAt": "2026-11-20T13:00:00Z"}]', "cannot keep"),
    ],
)
def test_what_is_no_alert_is_refused_with_a_sentence(settings: Settings, body: bytes, sentence: str) -> None:
    with pytest.raises(BadAlertError, match=sentence):
        read_push(body, NOW)
    with listening(settings, "127.0.0.1", 0) as url:
        answer = requests.post(f"{url}/api/v2/alerts", data=body, timeout=10)
        assert (answer.status_code, sentence in answer.json()) == (400, True)
    assert rows(settings) == []


def test_requests_that_are_none_are_refused(settings: Settings) -> None:
    with listening(settings, "127.0.0.1", 0) as url:
        assert requests.get(f"{url}/api/v2/alerts", timeout=5).status_code == 404
        assert requests.post(f"{url}/api/v1/alerts", json=[], timeout=5).status_code == 404
        assert requests.post(f"{url}/api/v2/alerts", data=iter([b"[]"]), timeout=5).status_code == 411
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as wire:
            wire.sendall(f"POST /api/v2/alerts HTTP/1.1\r\nContent-Length: {MAX_BODY + 1}\r\n\r\n".encode())
            assert b" 413 " in wire.recv(4096)
        with pytest.raises(ConfigError, match="choose another --port"), listening(settings, host, int(port)):
            pass


def test_alerts_without_an_end_fire_for_alertmanager_s_five_minutes() -> None:
    (read,) = read_push(json.dumps([alert(endsAt="0001-01-01T00:00:00Z")]).encode(), NOW)
    assert (read.status, read.ends_at) == ("firing", NOW + SILENCE)


def test_postgres_away_is_503_and_counts_nothing(
    make_settings: Callable[..., Settings], settings: Settings, postgres_settings: dict[str, str]
) -> None:
    away = make_settings(**postgres_settings | {"postgres_host": "127.0.0.1", "postgres_port": "1"})
    with listening(away, "127.0.0.1", 0) as url:
        answer = requests.post(f"{url}/api/v2/alerts", json=[alert()], timeout=10)
    assert answer.status_code == 503
    assert "does not answer" in answer.json()
    assert rows(settings) == []


def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, *words: str, **more: str) -> Any:
    fields = {name: str(getattr(settings, name)) for name in settings.model_fields_set if name.startswith("postgres")}
    password = settings.postgres_password
    fields["postgres_password"] = password.get_secret_value() if password else ""
    for name, value in (fields | more).items():
        monkeypatch.setenv(name.upper(), value)
    return CliRunner().invoke(command, words)


def test_the_command_tries_the_whole_way(settings: Settings, webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(settings, "127.0.0.1", 0) as url:
        done = run(settings, monkeypatch, "test", "--name", "Drill", "--json", alert_receiver_url=url)
    assert done.exit_code == 0, (done.output, done.exception)
    (row,) = json.loads(done.stdout)
    assert (row["name"], row["severity"], row["status"], row["told"]) == ("Drill", "info", "resolved", "resolved")
    assert [webhook.next()["text"].split()[0] for _ in range(2)] == ["[FIRING]", "[RESOLVED]"]
    (listed,) = json.loads(run(settings, monkeypatch, "list", "Dri", "--json").stdout)
    assert listed == row
    assert json.loads(run(settings, monkeypatch, "list", "--open", "--json").stdout) == []


def test_the_command_says_what_is_missing(
    make_settings: Callable[..., Settings],
    settings: Settings,
    webhook: Webhook,
    postgres_uri: str,
    postgres_settings: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = run(settings, monkeypatch, "test", alert_receiver_url="http://127.0.0.1:1")
    assert done.exception.exit_code == 75
    done = run(settings, monkeypatch, "test", alert_receiver_url=webhook.url)
    assert done.exception.exit_code == 65  # it takes everything and writes nothing
    webhook.status = 418
    done = run(settings, monkeypatch, "test", alert_receiver_url=webhook.url)
    assert done.exception.exit_code == 78
    webhook.status = 503
    with listening(settings, "127.0.0.1", 0) as url:
        done = run(settings, monkeypatch, "test", "--wait", "0.5", alert_receiver_url=url)
    assert done.exit_code == 10
    assert "the webhook was not told" in done.stderr


CHART = Path(__file__).parents[2] / "charts/prometheus"
IMAGE = f"prom/prometheus:{yaml.safe_load((CHART / 'values.yaml').read_text())['image']['tag']}"


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


@contextmanager
def prometheus(folder: Path, receiver: str, scraped: str) -> Iterator[None]:
    """Prometheus with the chart's rules, in a container; everything happens every second."""
    docker = shutil.which("docker") or ""
    if not docker or subprocess.run([docker, "image", "inspect", IMAGE], capture_output=True, check=False).returncode:
        if os.environ.get("REQUIRE_ENGINES") == "1":
            pytest.fail(f"the image {IMAGE} is not here, and REQUIRE_ENGINES=1")
        pytest.skip(f"the image {IMAGE} is not here")
    folder.chmod(0o755)
    (folder / "alerts.yaml").write_text((CHART / "files/alerts.yaml").read_text().replace("STALE_SECONDS", "93600"))
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["/config/alerts.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [receiver]}]}]},
        "scrape_configs": [{"job_name": "jobs", "honor_labels": True, "static_configs": [{"targets": [scraped]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    flags = ("--config.file=/config/prometheus.yml", "--storage.tsdb.path=/tmp/data", "--rules.alert.resend-delay=1s")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [docker, "run", "--rm", "--detach", "--network", "host", "--volume", f"{folder}:/config:ro", IMAGE]
    container = subprocess.check_output([*command, *flags, f"--web.listen-address=127.0.0.1:{port}"], text=True).strip()
    try:
        yield
    finally:
        subprocess.run([docker, "rm", "--force", container], capture_output=True, check=True)


@pytest.mark.engine("prometheus")
def test_a_failed_run_fires_in_a_real_prometheus(settings: Settings, webhook: Webhook, tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pushgateway) as gateway, listening(settings, "127.0.0.1", 0) as url:
        threading.Thread(target=gateway.serve_forever, daemon=True).start()
        with prometheus(tmp_path, url.removeprefix("http://"), f"127.0.0.1:{gateway.server_address[1]}"):
            told = webhook.heard.get(timeout=60)
            assert told["text"] == "[FIRING] critical RunFailed: extract-binance ended with exit code 65"
            assert "tickvault run-now extract-binance" in told["attachments"][0]["text"]
            Pushgateway.exit_code = 0
            told = webhook.heard.get(timeout=60)
            assert told["text"].startswith("[RESOLVED] critical RunFailed: extract-binance")
        gateway.shutdown()
    (row,) = rows(settings)
    assert (row["status"], row["started_at"] <= row["ended_at"]) == ("resolved", True)
    assert webhook.heard.empty()
