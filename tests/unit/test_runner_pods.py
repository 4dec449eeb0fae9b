"""What a pod's status says of a step's end; the shapes are those of a Kubernetes 1.34 API server."""

import pytest

from tickvault.core.errors import ExitCode
from tickvault.core.slot import Slot
from tickvault.runners import pods
from tickvault.runners.kubernetes import OWNER, job_manifest
from tickvault.runners.pods import job_end
from tickvault.runners.step import Step

SLOT = Slot.parse("2026-11-20T13:00:00Z")


def pod(state: dict | None = None, **status: object) -> dict:
    container = {"name": "job", "resources": {"limits": {"memory": "64Mi"}}}
    statuses = {"containerStatuses": [{"name": "sidecar", "state": {"running": {}}}, {"name": "job", "state": state}]}
    return {
        "metadata": {"name": "p", "creationTimestamp": "2026-11-20T13:00:00Z"},
        "spec": {"containers": [container, {"name": "sidecar"}]},
        "status": (statuses if state else {}) | status,
    }


def terminated(code: int, reason: str = "Error", message: str | None = None) -> dict:
    return {"terminated": {"exitCode": code, "reason": reason} | ({"message": message} if message else {})}


def test_a_complete_pod():
    end = pods.ending(pod(terminated(0, "Completed", '{"rows_read": 3, "rows_loaded": 2}')))
    assert (end.exit_code, end.rows, end.sentence) == (0, 2, "")


def test_a_partial_pod_says_what_is_missing():
    end = pods.ending(pod(terminated(10, message='{"missing": ["ETH: no answer"]}')))
    assert (end.exit_code, end.sentence) == (10, "ETH: no answer")


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (pod(terminated(137, "OOMKilled")), 137, "memory than its limit of 64Mi"),
        (pod(terminated(137)), 137, "killed by signal 9"),
        (pod(terminated(1)), 1, "exit code 1 and said nothing"),
        (pod(terminated(128, "ContainerCannotRun", "no such file")), 128, "ContainerCannotRun: no such file"),
        (pod(phase="Failed", reason="Evicted", message="low on memory"), 137, "evicted from its node: low on memory"),
        (pod(phase="Failed", reason="DeadlineExceeded"), 137, "deadline"),
        (pod(phase="Failed", reason="NodeLost", message="node gone"), 137, "NodeLost: node gone"),
        (pod(terminated(137, message="a log\nits last line")), 137, "killed by signal 9"),
        (pod(terminated(65, message="a log\nits last line")), 65, "its last line"),
    ],
)
def test_endings(given, code, said):
    end = pods.ending(given)
    assert end.exit_code == code
    assert said in end.sentence
    assert end.may_pass == (code != 65)


def test_what_has_not_ended():
    assert pods.ending(pod({"running": {}}, phase="Running")) is None
    assert pods.started(pod({"running": {}}))
    assert not pods.started(pod({"waiting": {"reason": "ContainerCreating"}}))
    assert pods.ending(pod(phase="Pending")) is None


def test_hindrances():
    pull = pod({"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "x:y"'}})
    assert pods.hindrance(pull) == (ExitCode.CONFIGURATION, 'ImagePullBackOff: Back-off pulling image "x:y"')
    full = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: 1 Insufficient cpu."}
    code, said = pods.hindrance(pod(conditions=[full]))
    assert code == ExitCode.TRANSIENT
    assert "Insufficient cpu" in said
    assert pods.hindrance(pod({"waiting": {"reason": "ContainerCreating"}})) is None


def test_the_newest_pod_counts():
    older, newer = pod(), pod()
    newer["metadata"] = {"name": "q", "creationTimestamp": "2026-11-20T13:00:09Z"}
    assert pods.newest([newer, older])["metadata"]["name"] == "q"
    assert pods.newest([]) is None


def test_a_job_of_a_cron_job():
    container = {
        "name": "job",
        "image": "i",
        "args": ["load", "postgres"],
        "env": [{"name": "TICKVAULT_SLOT", "value": "old"}, {"name": "A", "value": "1"}],
    }
    template = {
        "metadata": {"labels": {"app": "t"}},
        "spec": {
            "backoffLimit": 3,
            "podFailurePolicy": {"rules": []},
            "ttlSecondsAfterFinished": 60,
            "template": {"spec": {"containers": [container]}},
        },
    }
    cron_job = {"metadata": {"name": "load-postgres", "uid": "u1"}, "spec": {"suspend": True, "jobTemplate": template}}
    step = Step("load-postgres-f", "load-postgres", ("load", "postgres", "--flow", "f"))
    job = job_manifest(cron_job, step, SLOT, {"B": "2"}, "run-1")
    assert job["spec"]["backoffLimit"] == 0
    assert "podFailurePolicy" not in job["spec"]
    assert job["spec"]["ttlSecondsAfterFinished"] == 60
    made = job["spec"]["template"]["spec"]["containers"][0]
    assert made["args"] == ["load", "postgres", "--flow", "f"]
    assert {e["name"]: e["value"] for e in made["env"]} == {"A": "1", "B": "2", "TICKVAULT_SLOT": SLOT.id}
    assert job["metadata"]["labels"]["app"] == "t"
    assert job["metadata"]["annotations"][OWNER] == "run-1"
    assert job["metadata"]["ownerReferences"][0]["uid"] == "u1"
    assert container["args"] == ["load", "postgres"]  # the template itself is left alone
    plain = job_manifest(cron_job, Step("load-postgres", "load-postgres", ()), SLOT, {}, "")
    assert plain["spec"]["template"]["spec"]["containers"][0]["args"] == ["load", "postgres"]


def test_a_jobs_end():
    condition = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "too long"}
    assert job_end({"status": {"conditions": [condition]}}) == ("DeadlineExceeded", "too long")
    assert job_end({"status": {"conditions": [{"type": "FailureTarget", "status": "True"}]}}) is None
    assert job_end({"status": {}}) is None
