"""Alerts as Prometheus pushes them, into a real PostgreSQL, and what `tickvault alert` says of them."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from tickvault.alerts.alert import SILENCE, BadAlertError, read_push
from tickvault.alerts.notifier import Tally
from tickvault.alerts.receiver import ROUTE, expire, receiver
from tickvault.cli.alert import command
from tickvault.core.errors import ConfigError
from tickvault.core.settings import Settings
from tickvault.ledger import Ledger
from tickvault.ledger.alerts import COLUMNS
from tickvault.runs.endpoints import listening
from tickvault.runs.service import Service

NOW = datetime.now(UTC).replace(microsecond=0)


class Alertmanager:
    """What Alertmanager is to `tickvault alert test`: it takes alerts, and counts whom it told."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.integrations, self.sent, self.failed = 1, 0, 0
        self.tells, self.fails, self.status = True, False, 200

    def take(self, body: bytes, _headers: Any) -> tuple[int, str]:
        if self.status == HTTPStatus.OK:
            self.taken += json.loads(body)
            self.sent += self.tells
            self.failed += self.fails
        return self.status, ""

    def metrics(self, _body: bytes, _headers: Any) -> tuple[int, str]:
        name = "alertmanager_notification_requests"
        lines = [
            f"alertmanager_integrations {self.integrations}",
            f"# TYPE {name}_total counter",
            f'{name}_total{{integration="slack"}} {self.sent + self.failed}',
            f'{name}_total{{integration="email"}} 0',
            f"# TYPE {name}_failed_total counter",
            f'{name}_failed_total{{integration="slack",receiver_name="people"}} {self.failed}',
        ]
        return 200, "\n".join(lines) + "\n"


@pytest.fixture
def alertmanager() -> Iterator[tuple[Alertmanager, str]]:
    fake = Alertmanager()
    routes = {ROUTE: fake.take, ("GET", "/figures/metrics"): fake.metrics, ("POST", f"/figures{ROUTE[1]}"): fake.take}
    with listening(Service("alertmanager"), "127.0.0.1", 0, routes) as url:
        yield fake, f"{url}/figures"


@pytest.fixture
def settings(make_settings: Callable[..., Settings], postgres_settings: dict[str, str]) -> Settings:
    made = make_settings(**postgres_settings)
    with Ledger.open(made) as ledger:
        ledger._db.rows("DELETE FROM data_platform.alert_history RETURNING 1")
    return made


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    with listening(Service("alert-receiver"), "127.0.0.1", 0, {ROUTE: receiver(settings)}) as address:
        yield address


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
    answer = requests.post(f"{url}/api/v2/alerts", json=list(alerts), timeout=60)
    assert (answer.status_code, answer.text) == (200, "")


def rows(settings: Settings) -> list[dict[str, Any]]:
    with Ledger.open(settings) as ledger:
        return [
            dict(zip(COLUMNS, row, strict=True))
            for row in ledger.alerts.latest(pattern=None, only_open=False, limit=100)
        ]


def test_an_alert_fires_repeats_and_ends(settings: Settings, url: str) -> None:
    push(url, alert())
    (row,) = rows(settings)
    assert (row["status"], row["ended_at"], row["summary"]) == ("firing", None, "RunFailed: a < b & c")
    push(url, alert())
    push(url, alert(), alert())
    assert rows(settings) == [row]

    push(url, alert(ends_in=-1))
    (ended,) = rows(settings)
    assert (ended["alert_id"], ended["status"]) == (row["alert_id"], "resolved")
    assert ended["ended_at"] >= ended["started_at"]
    push(url, alert(ends_in=-1))
    push(url, alert())  # late: what was resolved stays so
    assert rows(settings) == [ended]


def test_an_alert_that_was_over_before_it_could_be_written_is_written(settings: Settings, url: str) -> None:
    push(url, alert(ends_in=-1))
    assert [row["status"] for row in rows(settings)] == ["resolved"]


def test_another_start_and_another_label_are_other_alerts(settings: Settings, url: str) -> None:
    later = (NOW + timedelta(minutes=1)).isoformat()
    other = alert(labels={"alertname": "RunFailed", "severity": "warning", "job": "load-postgres"})
    push(url, alert(), alert(startsAt=later), other)
    assert len({row["alert_id"] for row in rows(settings)}) == 3


def test_an_alert_nobody_repeats_expires_and_may_come_back(settings: Settings, url: str) -> None:
    push(url, alert(ends_in=0.2), alert("Other"))
    time.sleep(0.3)
    expire(settings)
    assert {row["name"]: row["status"] for row in rows(settings)} == {"RunFailed": "expired", "Other": "firing"}
    assert next(row for row in rows(settings) if row["name"] == "RunFailed")["ended_at"] is not None
    push(url, alert())
    assert {(row["status"], row["ended_at"]) for row in rows(settings)} == {("firing", None)}


def test_a_version_that_tells_people_by_itself_finds_nothing_to_tell(settings: Settings, url: str) -> None:
    push(url, alert())
    with Ledger.open(settings) as ledger:
        ledger._db.rows(
            "UPDATE data_platform.alert_history SET told = 'firing' RETURNING 1"
        )  # as such a version left it
    push(url, alert(ends_in=-1), alert("Other"))
    untold = "SELECT name FROM data_platform.alert_history WHERE told IS NULL OR told NOT IN (status, 'nobody')"
    with Ledger.open(settings) as ledger:
        assert ledger._db.rows(untold) == []


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"{}", "not a JSON list"),
        (b"[1]", "alert 1 is not an object"),
        (b'[{"labels": {}}]', "alert 1 has no label 'alertname'"),
        (b'[{"labels": {"alertname": 1}}]', "labels are not an object of texts"),
        (b'[{"labels": {"alertname": "a"}}]', "alert 1 has no startsAt"),
        (b'[{"labels": {"alertname": "a"}, "startsAt": "0001-01-01T00:00:00Z"}]', "alert 1 has no startsAt"),
        (b'[{"labels": {"alertname": "a"}, "startsAt": "today"}]', "startsAt is not a time"),
        (b'[{"labels": {"alertname": "a"}, "startsAt": "2026-11-20T13:00:00"}]', "startsAt has no time zone"),
        (b'[{"labels": {"alertname": "a\\u0000"}, "startsAt": "2026-11-20T13:00:00Z"}]', "cannot keep"),
        (b'[{"labels": {"alertname": "a\\ud800"}, "startsAt": "2026-11-20T13:00:00Z"}]', "cannot keep"),
    ],
)
def test_what_is_no_alert_is_refused_with_a_sentence(settings: Settings, url: str, body: bytes, sentence: str) -> None:
    with pytest.raises(BadAlertError, match=sentence):
        read_push(body, NOW)
    answer = requests.post(f"{url}/api/v2/alerts", data=body, timeout=60)
    assert (answer.status_code, sentence in answer.text) == (400, True)
    assert rows(settings) == []


def test_alerts_without_an_end_fire_for_alertmanager_s_five_minutes() -> None:
    (read,) = read_push(json.dumps([alert(endsAt="0001-01-01T00:00:00Z")]).encode(), NOW)
    assert (read.status, read.ends_at) == ("firing", NOW + SILENCE)


def test_postgres_away_is_503_and_counts_nothing(
    make_settings: Callable[..., Settings], settings: Settings, postgres_settings: dict[str, str]
) -> None:
    away = make_settings(**postgres_settings | {"postgres_host": "127.0.0.1", "postgres_port": "1"})
    with listening(Service("alert-receiver"), "127.0.0.1", 0, {ROUTE: receiver(away)}) as url:
        answer = requests.post(f"{url}/api/v2/alerts", json=[alert()], timeout=60)
    assert (answer.status_code, "does not answer" in answer.text) == (503, True)
    expire(away)  # says so, and goes on
    assert rows(settings) == []


def environment(settings: Settings, **more: str) -> dict[str, str]:
    fields = {name: str(getattr(settings, name)) for name in settings.model_fields_set if name.startswith("postgres")}
    password = settings.postgres_password
    fields["postgres_password"] = password.get_secret_value() if password else ""
    return {name.upper(): value for name, value in (fields | more).items()}


def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, *words: str, **more: str) -> Any:
    for name, value in environment(settings, **more).items():
        monkeypatch.setenv(name, value)
    return CliRunner().invoke(command, words)


def test_the_server_takes_alerts_until_it_is_told_to_stop(settings: Settings) -> None:
    words = [sys.executable, "-m", "tickvault", "alert", "serve", "--port", "0"]
    variables = os.environ | environment(settings)
    with subprocess.Popen(words, env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout
        try:
            url = server.stdout.readline().removeprefix("listening on ").strip()
            push(url, alert())
            assert requests.get(f"{url}/readyz", timeout=60).text == "ok"
            assert requests.get(f"{url}/healthz", timeout=60).text == "ok"
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=300) == 0
    assert [row["status"] for row in rows(settings)] == ["firing"]


def test_the_command_tries_the_whole_way(
    settings: Settings, url: str, alertmanager: tuple[Alertmanager, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, there = alertmanager
    words = ("test", "--name", "Drill", "--json")
    done = run(settings, monkeypatch, *words, alert_receiver_url=url, alertmanager_url=there)
    assert (done.exit_code, done.stderr) == (0, ""), (done.output, done.exception)
    (row,) = json.loads(done.stdout)
    assert (row["name"], row["severity"], row["status"]) == ("Drill", "info", "resolved")
    assert [item["labels"]["alertname"] for item in fake.taken] == ["Drill", "Drill"]
    fired, ended = (datetime.fromisoformat(item["endsAt"]) for item in fake.taken)
    assert ended < datetime.now(UTC) < fired
    (listed,) = json.loads(run(settings, monkeypatch, "list", "Dri", "--json").stdout)
    assert listed == row
    assert json.loads(run(settings, monkeypatch, "list", "--open", "--json").stdout) == []


def test_without_an_alertmanager_only_the_table_is_tried(
    settings: Settings, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(settings, monkeypatch, "test", alert_receiver_url=url)
    assert (done.exit_code, "only the way into the table" in done.stderr) == (0, True)


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        ({"integrations": 0, "tells": False}, "Alertmanager has no receiver to tell people"),
        ({"tells": False, "fails": True}, "Alertmanager could not tell slack"),
        ({"tells": False}, "Alertmanager told nobody within 0.6 s"),
    ],
)
def test_whoever_is_not_told_is_exit_code_10(
    settings: Settings,
    url: str,
    alertmanager: tuple[Alertmanager, str],
    monkeypatch: pytest.MonkeyPatch,
    figures: dict[str, Any],
    sentence: str,
) -> None:
    fake, there = alertmanager
    for name, value in figures.items():
        setattr(fake, name, value)
    done = run(settings, monkeypatch, "test", "--wait", "0.6", alert_receiver_url=url, alertmanager_url=there)
    assert (done.exit_code, sentence in done.stderr) == (10, True), done.output
    assert len(fake.taken) == 2  # it ends there too
    assert rows(settings)[0]["status"] == "resolved"


def test_the_command_says_what_is_missing(
    settings: Settings, url: str, alertmanager: tuple[Alertmanager, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, there = alertmanager
    done = run(settings, monkeypatch, "test", alert_receiver_url="http://127.0.0.1:1")
    assert (done.exception.exit_code, "ALERT_RECEIVER_URL" in str(done.exception)) == (75, True)
    done = run(settings, monkeypatch, "test", alert_receiver_url=url, alertmanager_url="http://127.0.0.1:1")
    assert (done.exception.exit_code, "ALERTMANAGER_URL" in str(done.exception)) == (75, True)
    done = run(settings, monkeypatch, "test", alert_receiver_url=there)
    assert done.exception.exit_code == 65  # it takes everything and writes nothing
    done = run(settings, monkeypatch, "test", alert_receiver_url=f"{there}/elsewhere")
    assert (done.exception.exit_code, "check ALERT_RECEIVER_URL" in str(done.exception)) == (78, True)
    done = run(settings, monkeypatch, "test", alert_receiver_url=url, alertmanager_url=f"{there}/elsewhere")
    assert (done.exception.exit_code, "check ALERTMANAGER_URL" in str(done.exception)) == (78, True)
    fake.status = 400
    done = run(settings, monkeypatch, "test", alert_receiver_url=url, alertmanager_url=there)
    assert (done.exception.exit_code, "check ALERTMANAGER_URL" in str(done.exception)) == (78, True)


def test_figures_of_all_integrations_are_added_up() -> None:
    fake = Alertmanager()
    fake.sent, fake.failed = 5, 2
    assert Tally.read(fake.metrics(b"", None)[1]) == Tally(1, 5, {"slack": 2})
    for nothing in ("", "<html>", "up 1\n"):
        with pytest.raises(ConfigError, match="check ALERTMANAGER_URL"):
            Tally.read(nothing)


def test_pushes_at_once_are_all_taken(settings: Settings, url: str) -> None:
    names = [f"Alert{number}" for number in range(24)]
    threads = [threading.Thread(target=push, args=(url, *(alert(name) for name in names))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(row["name"] for row in rows(settings)) == sorted(names)
