"""The shape of what runs until it is told to stop: each test is a real process with real signals."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tickvault.core.errors import ConfigError
from tickvault.runs.endpoints import listening
from tickvault.runs.service import Service

_PROLOGUE = """
import sys, threading, time
from pathlib import Path
from tickvault.core.errors import ConfigError, SinkUnavailableError
from tickvault.core.settings import Settings
from tickvault.runs.child import child
from tickvault.runs.service import run_service

def serve(work=None, **more):
    announce = lambda url: print(url, flush=True)
    sys.exit(run_service("probe", Settings(), work, host="127.0.0.1", port=0, announce=announce, **more))
"""


class Running:
    """A service in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self.process, self.url = process, url

    def get(self, path: str, body: bytes | None = None) -> tuple[int, str]:
        try:
            with urlopen(Request(self.url + path, body), timeout=60) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def end(self) -> tuple[int, list[dict[str, object]]]:
        _, log = self.process.communicate(timeout=300)
        return self.process.returncode, [json.loads(line) for line in log.splitlines()]


@contextmanager
def running(code: str, drain: float = 15.0) -> Iterator[Running]:
    environment = os.environ | {"SERVICE_DRAIN_SECONDS": str(drain), "TICKVAULT_LOG_FORMAT": "json"}
    command = [sys.executable, "-c", _PROLOGUE + code]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        yield Running(process, process.stdout.readline().strip())
    finally:
        process.kill()
        process.communicate()


def _until(said: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not said():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_work_under_way_is_finished_after_sigterm_and_no_longer_ready_meanwhile(tmp_path: Path) -> None:
    gate, done = tmp_path / "gate", tmp_path / "done"
    code = f"""
def work(service):
    while not service.wait(0.05):
        pass
    while not Path({str(gate)!r}).exists():
        time.sleep(0.02)
    Path({str(done)!r}).touch()

serve(work)
"""
    with running(code) as service:
        assert service.get("/healthz") == (200, "ok")
        assert service.get("/readyz") == (200, "ok")
        service.process.send_signal(signal.SIGTERM)
        _until(lambda: service.get("/readyz") == (503, "probe is stopping"))
        assert service.get("/healthz") == (200, "ok")
        assert not done.exists()
        gate.touch()
        code, log = service.end()
    assert (code, done.exists()) == (0, True)
    assert [line["message"] for line in log] == ["listening", "stopping", "ended"]
    assert {line["service"] for line in log} == {"probe"}


def test_an_open_request_is_answered_after_sigterm(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    code = f"""
def slow(body, headers):
    Path({str(begun)!r}).touch()
    time.sleep(1)
    return 200, body.decode() + " " + headers["Content-Type"]

serve(routes={{("POST", "/slow"): slow}})
"""
    with running(code) as service:
        client = socket.create_connection(("127.0.0.1", int(service.url.rsplit(":", 1)[1])), timeout=60)
        client.sendall(b"POST /slow HTTP/1.0\r\nContent-Type: text/x\r\nContent-Length: 2\r\n\r\nhi")
        _until(begun.exists)
        service.process.send_signal(signal.SIGTERM)
        answer = client.makefile("rb").read().decode()
        assert service.end()[0] == 0
    assert answer.startswith("HTTP/1.0 200")
    assert answer.endswith("\r\n\r\nhi text/x")


@pytest.mark.parametrize("again", [True, False], ids=["second signal", "drain over"])
def test_work_that_does_not_end_is_given_up(again: bool) -> None:
    with running("serve(lambda service: time.sleep(600))", drain=600 if again else 0.3) as service:
        service.process.send_signal(signal.SIGTERM)
        if again:
            _until(lambda: service.get("/readyz")[0] == 503)
            service.process.send_signal(signal.SIGINT)
        code, log = service.end()
    assert code == 75
    reason = "it was told to stop twice" if again else "it was not done in 0.3 s"
    assert log[-1]["message"] == f"ended with work undone: {reason}"


def test_work_that_hangs_fails_the_liveness_probe() -> None:
    code = """
def work(service):
    while not service.stopping.is_set():
        time.sleep(0.01)

serve(work, silence_seconds=0.5)
"""
    with running(code) as service:
        _until(lambda: service.get("/healthz")[0] == 500)
        assert "has not beaten for" in service.get("/healthz")[1]
        assert service.get("/readyz")[0] == 503
        service.process.send_signal(signal.SIGTERM)
        assert service.end()[0] == 0


def test_what_is_not_ready_says_what_it_waits_for() -> None:
    code = """
def work(service):
    service.waits_for = "its partitions"
    service.stopping.wait()

serve(work)
"""
    with running(code) as service:
        _until(lambda: service.get("/readyz") == (503, "probe waits for its partitions"))
        assert service.get("/healthz") == (200, "ok")


def test_a_wait_may_be_longer_than_the_silence() -> None:
    with running("serve(lambda service: service.wait(60) and None, silence_seconds=0.1)") as service:
        time.sleep(0.3)
        assert service.get("/healthz") == (200, "ok")


@pytest.mark.parametrize(
    ("work", "code", "message"),
    [
        ("lambda service: None", 0, "stopping"),
        ("lambda service: 10", 10, "stopping"),
        ("lambda service: (_ for _ in ()).throw(SinkUnavailableError('no broker'))", 75, "no broker"),
        ("lambda service: (_ for _ in ()).throw(ConfigError('no topic'))", 78, "no topic"),
        ("lambda service: 1 / 0", 1, "a bug, not a failure of yours: please report it with this traceback"),
    ],
)
def test_the_end_of_the_work_is_the_end_of_the_service(work: str, code: int, message: str) -> None:
    with running(f"serve({work})") as service:
        found, log = service.end()
    assert found == code
    assert log[1]["message"] == message
    assert log[-1]["exit_code"] == code
    assert ("ZeroDivisionError" in str(log)) == (code == 1)


def test_dead_work_fails_the_liveness_probe() -> None:
    service = Service("probe")
    assert service.perform(lambda _: 3) == 3
    assert service.illness() == "the work of probe has ended with 3"
    with listening(service, "127.0.0.1", 0) as url, pytest.raises(HTTPError, match="500"):
        urlopen(f"{url}/healthz", timeout=10)


def test_figures_are_served() -> None:
    code = """
from prometheus_client import Counter
Counter("tickvault_probe_rows", "Rows").inc(7)
serve()
"""
    with running(code) as service:
        status, text = service.get("/metrics")
    assert status == 200
    assert "tickvault_probe_rows_total 7.0\n" in text
    assert "process_resident_memory_bytes" in text


def test_routes_answer_and_their_errors_have_a_status() -> None:
    code = """
def fail(error):
    def handler(body, headers):
        raise error
    return handler

serve(routes={
    ("GET", "/away"): fail(SinkUnavailableError("no database")),
    ("GET", "/wrong"): fail(ConfigError("no url")),
    ("GET", "/bug"): fail(KeyError("x")),
    ("POST", "/healthz"): lambda body, headers: (201, "mine"),
})
"""
    with running(code) as service:
        assert service.get("/away") == (503, "no database")
        assert service.get("/wrong?why=1") == (500, "no url")
        assert service.get("/bug") == (500, "KeyError: see the log")
        assert service.get("/healthz", b"") == (201, "mine")
        assert service.get("/healthz") == (200, "ok")
        status, sentence = service.get("/nowhere")
        assert status == 404
        assert sentence.startswith("GET /nowhere is nothing; there is GET /away, ")
        assert service.get("/away", b"")[0] == 404


@pytest.mark.parametrize(("length", "status"), [("", 411), ("many", 411), ("5000000", 413)])
def test_a_body_says_its_length_and_is_not_endless(length: str, status: int) -> None:
    routes = {("POST", "/x"): lambda _body, _headers: (200, "")}
    with listening(Service("probe"), "127.0.0.1", 0, routes) as url:
        client = socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=60)
        client.sendall(f"POST /x HTTP/1.0\r\nContent-Length: {length}\r\n\r\n".encode())
        assert client.makefile("rb").readline().split()[1] == str(status).encode()
        client.close()


def test_a_taken_port_says_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}: .*; choose another --port"):
            listening(Service("probe"), "127.0.0.1", port).__enter__()
        code = f'sys.exit(run_service("probe", Settings(), host="127.0.0.1", port={port}))'
        with running(code) as service:
            found, log = service.end()
    assert found == 78
    assert [line["message"][:15] for line in log] == ["cannot listen o", "ended"]


_CHILD = """
import signal, sys, time
def stop(*_):
    print("told", file=sys.stderr, flush=True)
    {on_stop}
signal.signal(signal.SIGTERM, stop)
print("up", flush=True)
time.sleep({lives})
sys.exit(5)
"""


def _supervise(on_stop: str = "sys.exit(7)", lives: float = 600) -> str:
    return f"serve(child([sys.executable, '-c', {_CHILD.format(on_stop=on_stop, lives=lives)!r}]))"


def test_a_child_is_told_to_stop_and_its_exit_code_is_ours() -> None:
    with running(_supervise()) as service:
        assert service.process.stdout.readline() == "up\n"
        assert service.get("/healthz") == (200, "ok")
        service.process.send_signal(signal.SIGTERM)
        _, log = service.process.communicate(timeout=300)
    assert service.process.returncode == 7
    assert "told\n" in log


def test_a_child_that_ends_ends_the_service() -> None:
    with running(_supervise(lives=0)) as service:
        assert service.end()[0] == 5
    with running("serve(child(['sh', '-c', 'kill -9 $$']))") as service:
        assert service.end()[0] == 137
    with running("serve(child(['no-such-program']))") as service:
        code, log = service.end()
    assert code == 78
    assert log[1]["message"] == "no-such-program cannot be started: No such file or directory; is it installed here?"


def test_a_child_that_knows_no_signal_is_stopped_in_peace() -> None:
    with running("serve(child(['sleep', '600']))") as service:
        service.process.send_signal(signal.SIGTERM)
        assert service.end()[0] == 0


def test_a_child_that_does_not_stop_is_killed_with_its_own_children(tmp_path: Path) -> None:
    note = tmp_path / "note"
    script = f"trap '' TERM; sleep 600 & echo $! > {note}.part; mv {note}.part {note}; wait; wait"
    with running(f"serve(child(['sh', '-c', {script!r}]))", drain=0.5) as service:
        _until(note.exists)
        service.process.send_signal(signal.SIGTERM)
        assert service.end()[0] == 75
    grandchild = Path(f"/proc/{note.read_text().strip()}/stat")
    _until(lambda: not grandchild.exists() or grandchild.read_text().rsplit(")", 1)[1].split()[0] == "Z")
