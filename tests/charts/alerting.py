"""Alertmanager and Prometheus in containers with what the charts render, and a Slack that keeps what it hears."""

import json
import queue
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
import yaml
from conftest import missing
from manifests import CHARTS, ROOT, rendered

PROMETHEUS = "prom/prometheus:" + yaml.safe_load((CHARTS / "prometheus/values.yaml").read_text())["image"]["tag"]
SECRET = "T000/B000/webhook-key"
QUICK = {"groupBy": ["alertname"], "groupWait": "1s", "groupInterval": "2s", "repeatInterval": "1h"}
"""The chart's route, for tests that wait for it."""


class Slack:
    """Keeps the attachments it hears, and can be told to fail."""

    def __init__(self) -> None:
        self.heard: queue.Queue[dict[str, Any]] = queue.Queue()
        self.asked = threading.Semaphore(0)
        self.status = 200
        outer = self

        class Request(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if outer.status == 200 and self.path == f"/{SECRET}":
                    outer.heard.put(body["attachments"][0])
                self.send_response(outer.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")  # Slack's word, without which Alertmanager takes it for refused
                outer.asked.release()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Request)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/{SECRET}"

    def next(self, seconds: float = 30) -> dict[str, Any]:
        return self.heard.get(timeout=seconds)

    def hears_nothing(self, seconds: float) -> bool:
        with suppress(queue.Empty):
            raise AssertionError(self.heard.get(timeout=seconds))
        return True


@contextmanager
def slack() -> Iterator[Slack]:
    hook = Slack()
    thread = threading.Thread(target=hook.server.serve_forever, args=(0.05,))
    with hook.server:
        thread.start()
        yield hook
        hook.server.shutdown()
        thread.join()


class Container:
    """A container on this machine's network."""

    def __init__(self, image: str, volumes: dict[Path, str], *arguments: str) -> None:
        mounts = [f"--volume={folder}:{place}" for folder, place in volumes.items()]
        self.id = docker("run", "--detach", "--network=host", *mounts, image, *arguments)

    def run(self, *command: str) -> str:
        return docker("exec", self.id, *command)

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self.id)


def docker(*words: str) -> str:
    """Run docker; a test without a container engine is skipped, or fails with REQUIRE_ENGINES=1."""
    client = shutil.which("docker")
    if not client:
        missing("docker is not on the PATH")
    done = subprocess.run([client, *words], capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode and "Cannot connect to the Docker daemon" in done.stderr:
        missing("no container engine runs here")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Alertmanager(Container):
    """Alertmanager as Debian packages it, with the chart's configuration and arguments.

    Args:
        folder: Empty; holds its configuration and what it keeps.
        hook: The webhook's address; None: nobody is told.
        port: Its port; another instance may take it over with the folder.
        values: More of the chart's values.
    """

    def __init__(self, folder: Path, hook: str | None, port: int = 0, **values: Any) -> None:
        objects = rendered({"route": QUICK, "webhookSecret": "hook" if hook else "", **values}, CHARTS / "alertmanager")
        (server,) = [item for item in objects if item["kind"] == "StatefulSet"]
        (config,) = [item["data"] for item in objects if item["kind"] == "ConfigMap"]
        for name, text in (config | {"ALERT_WEBHOOK_URL": f"{hook}\n"}).items():
            (folder / name).write_text(text)
        data = folder / "data"
        data.mkdir(exist_ok=True)
        for place, mode in ((folder.parent, 0o755), (folder, 0o755), (data, 0o777)):
            place.chmod(mode)
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        image = docker("build", "--quiet", "--file", "images/Dockerfile", "--target", "alertmanager", ".")
        arguments = server["spec"]["template"]["spec"]["containers"][0]["args"]
        volumes = {folder: "/etc/alertmanager:ro", data: "/alertmanager"}
        if hook:
            volumes[folder / "ALERT_WEBHOOK_URL"] = "/webhook/ALERT_WEBHOOK_URL:ro"
        super().__init__(image, volumes, *arguments, f"--web.listen-address=127.0.0.1:{self.port}")
        try:
            until(lambda: requests.get(f"{self.url}/-/ready", timeout=5).ok, "Alertmanager")
        except AssertionError as error:
            log = docker("logs", self.id)
            self.remove()
            raise AssertionError(log) from error

    def amtool(self, *words: str) -> str:
        return self.run("amtool", f"--alertmanager.url={self.url}", *words)


@contextmanager
def prometheus(folder: Path, targets: list[str], scraped: str) -> Iterator[str]:
    """Prometheus with the chart's rules; everything happens every second. Gives its URL."""
    folder.chmod(0o755)
    rules = (CHARTS / "prometheus/files/alerts.yaml").read_text()
    (folder / "alerts.yaml").write_text(rules.replace("STALE_SECONDS", "93600"))
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["/config/alerts.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": targets}]}]},
        "scrape_configs": [{"job_name": "jobs", "honor_labels": True, "static_configs": [{"targets": [scraped]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    flags = ("--config.file=/config/prometheus.yml", "--storage.tsdb.path=/tmp/data", "--rules.alert.resend-delay=1s")
    if not docker("images", "--quiet", PROMETHEUS):
        missing(f"the image {PROMETHEUS} is not here")
    container = Container(PROMETHEUS, {folder: "/config:ro"}, *flags, f"--web.listen-address=127.0.0.1:{port}")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        container.remove()


def until(condition: Any, what: str, seconds: float = 300) -> Any:
    """Ask until the answer is one; a refused connection is none."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(requests.RequestException):
            if answer := condition():
                return answer
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.1)


class Fired:
    """An alert as Prometheus writes it, pushed to each URL until it ends."""

    def __init__(self, *urls: str, name: str, job: str = "") -> None:
        self.urls, self.started = urls, datetime.now(UTC)
        self.labels = {"alertname": name, "severity": "critical", "job": job}
        self.said = {"summary": f"{name} {job} & <more>", "description": "What.", "runbook": "Do `<this>`."}
        self.push(timedelta(minutes=4))

    def push(self, ends_in: timedelta) -> None:
        body = {
            "labels": self.labels,
            "annotations": self.said,
            "startsAt": self.started.isoformat(),
            "endsAt": (datetime.now(UTC) + ends_in).isoformat(),
        }
        for url in self.urls:
            answer = requests.post(f"{url}/api/v2/alerts", json=[body], timeout=10)
            assert answer.ok, answer.text

    def end(self) -> None:
        self.push(timedelta(0))
