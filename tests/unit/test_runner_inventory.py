"""What a Job's last pod left, as an API server gives it."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from kubernetes_asyncio.client import ApiException

from tickvault.core.errors import ConfigError
from tickvault.runners import inventory


def pod(name: str, minute: int, **state: object) -> dict:
    limits = {"resources": {"limits": {"memory": "48Mi"}}}
    return {
        "metadata": {"name": name, "creationTimestamp": f"2026-11-20T13:{minute:02}:00Z"},
        "spec": {"containers": [{"name": "job"} | limits]},
        "status": {"containerStatuses": [{"name": "job", "state": state}]},
    }


class Core:
    """Answers for the pods API."""

    def __init__(self, *pods: dict, log: bytes | ApiException = b"") -> None:
        self.pods, self.log, self.asked = list(pods), log, {}

    async def list_namespaced_pod(self, _namespace: str, label_selector: str) -> dict:
        assert label_selector == "batch.kubernetes.io/job-name=extract-a-1"
        return {"items": self.pods}

    async def read_namespaced_pod_log(self, name: str, _namespace: str, **how: object) -> SimpleNamespace:
        if isinstance(self.log, ApiException):
            raise self.log
        self.asked = {"name": name} | how

        async def read() -> bytes:
            return self.log

        return SimpleNamespace(read=read)


@pytest.fixture
def remains(monkeypatch, make_settings):
    def ask(core: Core):
        @asynccontextmanager
        async def connected():
            yield SimpleNamespace(api_client=SimpleNamespace(sanitize_for_serialization=lambda found: found)), core

        monkeypatch.setattr(inventory, "connected", connected)
        return inventory.Inventory(make_settings()).remains("extract-a-1")

    return ask


def test_the_last_pod_that_started_is_read(remains):
    killed = {"exitCode": 137, "reason": "OOMKilled"}
    core = Core(
        pod("first", 1, terminated={"exitCode": 1}),
        pod("second", 2, terminated=killed),
        pod("never-started", 3, waiting={"reason": "ContainerCreating"}),
        log=b"2026-11-20T13:02:01Z caf\xc3\xa9\n2026-11-20T13:02:02Z \xff\n",
    )
    left = remains(core)
    assert left.end == "killed for using more memory than its limit of 48Mi (OOMKilled)"
    assert left.log == ["2026-11-20T13:02:01Z café", "2026-11-20T13:02:02Z \ufffd", ""]
    assert (core.asked["name"], core.asked["container"], core.asked["timestamps"]) == ("second", "job", True)


def test_no_pod_leaves_nothing_and_no_right_is_said(remains):
    assert remains(Core()) is None
    with pytest.raises(ConfigError, match="read the log of job/extract-a-1: 403"):
        remains(Core(pod("a", 1, terminated={"exitCode": 1}), log=ApiException(status=403, reason="Forbidden")))
