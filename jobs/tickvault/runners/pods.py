"""What a Job and its pod say of their end: exit code, message, and why, where the program could not say it."""

from typing import Any

from tickvault.core.errors import ExitCode
from tickvault.runners.runner import StepEnd, parse_report

KILLED = 137
_WRONG = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError")
"""Why a container waits that no waiting mends, after a little patience."""


def newest(pods: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the pod made last."""
    return max(pods, key=lambda p: str(p["metadata"]["creationTimestamp"]), default=None)


def started(pod: dict[str, Any]) -> bool:
    """Tell whether its container runs or ran, so that there is a log."""
    state = _container(pod).get("state", {})
    return "running" in state or "terminated" in state


def ending(pod: dict[str, Any]) -> StepEnd | None:
    """Return how a pod ended, None while it has not."""
    status = pod.get("status", {})
    ended = _container(pod).get("state", {}).get("terminated")
    report = parse_report((ended or {}).get("message"))
    if status.get("reason") == "Evicted":
        return StepEnd(KILLED, report, f"evicted from its node: {status.get('message', 'no reason given')}")
    if status.get("reason") == "DeadlineExceeded":
        return StepEnd(KILLED, report, "ended by its deadline (activeDeadlineSeconds)")
    if ended:
        return _terminated(pod, ended, report)
    if status.get("phase") == "Failed":
        return StepEnd(KILLED, report, f"{status.get('reason', 'Failed')}: {status.get('message', 'its node is gone')}")
    return None


def _terminated(pod: dict[str, Any], ended: dict[str, Any], report: dict[str, Any]) -> StepEnd:
    code, cause = int(ended.get("exitCode", 1)), ended.get("reason")
    if cause == "OOMKilled":
        limit = _limit(pod)
        return StepEnd(KILLED, report, f"killed for using more memory than its limit{limit} (OOMKilled)")
    if cause not in (None, "Completed", "Error"):
        return StepEnd(code or 1, report, f"{cause}: {ended.get('message') or 'no message'}")
    return StepEnd(code, report, None if code == 0 or "exit_code" in report else _unsaid(code))


def hindrance(pod: dict[str, Any]) -> tuple[ExitCode, str] | None:
    """Say why a pod does not start; a wrong image or a missing Secret is a wrong setting, a full node may pass."""
    waiting = _container(pod).get("state", {}).get("waiting", {})
    if waiting.get("reason") in _WRONG:
        return ExitCode.CONFIGURATION, f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
    for condition in pod.get("status", {}).get("conditions", []):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return ExitCode.TRANSIENT, f"never scheduled: {condition.get('message', '')}"
    return None


def _container(pod: dict[str, Any]) -> dict[str, Any]:
    statuses = pod.get("status", {}).get("containerStatuses") or [{}]
    first = pod["spec"]["containers"][0]["name"]
    return next((s for s in statuses if s.get("name") == first), statuses[0])


def _limit(pod: dict[str, Any]) -> str:
    limit = pod["spec"]["containers"][0].get("resources", {}).get("limits", {}).get("memory")
    return f" of {limit}" if limit else ""


def _unsaid(code: int) -> str | None:
    """Say what a bare exit code means; those of the platform say it in its log."""
    return f"killed by signal {code - 128}" if code > 128 else None  # noqa: PLR2004 - the shell's way to say it


def job_end(job: dict[str, Any]) -> tuple[str, str] | None:
    """Return reason and message of a Job's end, None while it is under way."""
    for condition in job.get("status", {}).get("conditions", []):
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            return condition.get("reason", condition["type"]), condition.get("message", "")
    return None
