"""The alert rules: each tells a way out, asks for metrics somebody pushes, and fires when it should (by promtool)."""

import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import missing
from manifests import CHARTS, ROOT, release

from tickvault.core.settings import Settings
from tickvault.runs import pushgateway as metrics

RULES = [
    rule
    for group in yaml.safe_load((CHARTS / "prometheus/files/alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
RECORDING = (CHARTS / "prometheus/files/recording.yaml").read_text()
TESTS = Path(__file__).with_name("rules.test.yaml")
IMAGE = "prom/prometheus:" + yaml.safe_load((CHARTS / "prometheus/values.yaml").read_text())["image"]["tag"]


@pytest.fixture
def pushgateway() -> Iterator[tuple[str, list[bytes]]]:
    """The address of something that takes pushes, and what it took."""
    taken: list[bytes] = []

    class Request(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Request) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", taken
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def promtool() -> list[str]:
    """How to run promtool on the files of a folder that is called /rules there: from the PATH, or out of the image."""
    if path := shutil.which("promtool"):
        return [path]
    docker = shutil.which("docker") or ""
    if not docker or subprocess.run([docker, "image", "inspect", IMAGE], capture_output=True, check=False).returncode:
        missing(f"neither promtool nor the image {IMAGE} is here")
    return [docker, "run", "--rm", "--network", "none", "--entrypoint", "promtool"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_rule_tells_what_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert rule["labels"]["severity"] in {"critical", "warning"}


def test_the_page_explains_every_rule_and_no_other() -> None:
    page = (ROOT / "docs/alerts.md").read_text()
    assert re.findall(r"^### (\w+)", page, re.MULTILINE) == [rule["alert"] for rule in RULES]
    for rule in RULES:
        section = page.split(f"### {rule['alert']}\n")[1].split("###")[0]
        assert section.strip().startswith(f"*{rule['labels']['severity']}*"), rule["alert"]


def test_rules_and_dashboards_ask_for_what_runs_push(
    make_settings: Callable[..., Settings], pushgateway: tuple[str, list[bytes]]
) -> None:
    url, taken = pushgateway
    settings = make_settings(pushgateway_url=url)
    metrics.push_start(settings, "extract-binance")
    metrics.push_run(settings, "extract-binance", 0, 1.5, {"rows_read": 3, "rows_rejected": 1})
    pushed = b"".join(taken).decode()
    boards = "".join(file.read_text() for file in (CHARTS / "grafana/dashboards").glob("*.json"))
    asked = RECORDING + "".join(rule["expr"] for rule in RULES) + boards
    names = set(re.findall(r"tickvault_run_\w+", asked))
    assert len(names) >= 5
    assert names <= set(re.findall(r"^(tickvault_run_\w+)", pushed, re.MULTILINE))
    kinds = set(re.findall(r"tickvault_run_rows\{kind=\\?\"(\w+)", asked))
    assert kinds
    assert kinds <= set(re.findall(r'tickvault_run_rows\{kind="(\w+)"\}', pushed))
    recorded = {rule["record"] for group in yaml.safe_load(RECORDING)["groups"] for rule in group["rules"]}
    assert set(re.findall(r"tickvault:\w+:\w+", asked)) == recorded


@pytest.mark.engine("promtool")
@pytest.mark.usefixtures("helm")
def test_rules_fire_when_they_should(promtool: list[str], tmp_path: Path) -> None:
    config = next(i for i in release("local") if i["metadata"]["name"] == "tickvault-prometheus-config")["data"]
    tmp_path.chmod(0o755)
    for name in ("recording.yaml", "alerts.yaml"):
        (tmp_path / name).write_text(config[name])
    (tmp_path / TESTS.name).write_text(TESTS.read_text())
    command, folder = promtool, tmp_path
    if promtool[-1] != promtool[0]:
        command, folder = [*promtool[:-2], "--volume", f"{tmp_path}:/rules:ro", *promtool[-2:], IMAGE], Path("/rules")
    done = subprocess.run(
        [*command, "test", "rules", str(folder / TESTS.name)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_is_tested() -> None:
    text = TESTS.read_text()
    assert [rule["alert"] for rule in RULES if rule["alert"] not in text] == []
