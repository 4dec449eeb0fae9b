"""The kind cluster under test: kubectl, Helm, Jobs made from CronJobs, and reads from every target."""

import base64
import json
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from tickvault.core.settings import Settings
from tickvault.engines.storage import open_storage
from tickvault.lake import Lake
from tickvault.query import read as query

ROOT = Path(__file__).parents[2]
CONTEXT = "kind-tickvault"
NAMESPACE = "tickvault"
RELEASE = "tickvault"
WORKER = "deployment/tickvault-jobs-flows"
"""Runs the flows, and has the secrets and the command line of the platform."""
T = TypeVar("T")
Rows = list[tuple[Any, ...]]
_ALL = 1_000_000


@dataclass(frozen=True, slots=True)
class Ended:
    """How a Job ended.

    Args:
        name: The Job's name.
        complete: Whether Kubernetes calls it complete.
        reason: Of its last condition.
        report: The termination message of its last pod that has one.
        pods: How many pods it took.
    """

    name: str
    complete: bool
    reason: str
    report: dict[str, Any]
    pods: int


class Cluster:
    """One installed release, and names nobody used before."""

    def __init__(self) -> None:
        self.run = secrets.token_hex(2)

    def kubectl(self, *arguments: str, text: str | None = None, seconds: float = 120) -> str:
        """Run kubectl in the release's namespace and return what it says."""
        return _run(["kubectl", "--context", CONTEXT, "--namespace", NAMESPACE, *arguments], text, seconds)

    def get(self, *arguments: str) -> Any:
        """Get objects as dictionaries."""
        return json.loads(self.kubectl("get", *arguments, "--output", "json"))

    def helm(self, *arguments: str, seconds: float = 600) -> str:
        """Run Helm on this cluster."""
        return _run(["helm", "--kube-context", CONTEXT, "--namespace", NAMESPACE, *arguments], None, seconds)

    def upgrade(self, *arguments: str) -> None:
        """Upgrade the release to the working tree's chart, as `make up` does."""
        profile = str(ROOT / f"charts/tickvault/profiles/{self.profile}.yaml")
        chart = [str(ROOT / "charts/tickvault"), "--values", profile]
        images = ["--values", str(ROOT / ".images/values.yaml")]
        self.helm("upgrade", "--install", RELEASE, *chart, *images, "--wait", "--timeout", "9m", *arguments)

    @cached_property
    def profile(self) -> str:
        """The profile the release was installed with, as long as the test lasts: only `minimal` has no Kafka."""
        values = json.loads(self.helm("get", "values", RELEASE, "--output", "json"))
        return "local" if values.get("kafka", {}).get("enabled") else "minimal"

    def start(self, cronjob: str, *, env: Mapping[str, str] | None = None, memory: str = "", retries: int = -1) -> str:
        """Make a Job from a CronJob, as a person does; changed where a test needs it. Returns its name.

        By `apply`, not `create`: a busy API server may make a Job and lose its answer, and when kubectl asks again the
        name is taken.
        """
        name = f"{cronjob}-e2e-{self.run}-{secrets.token_hex(2)}"
        create = ("create", "job", f"--from=cronjob/{cronjob}", name)
        job = json.loads(self.kubectl(*create, "--dry-run=client", "--output", "json"))
        container = job["spec"]["template"]["spec"]["containers"][0]
        kept = [entry for entry in container["env"] if entry["name"] not in (env or {})]
        container["env"] = kept + [{"name": key, "value": value} for key, value in (env or {}).items()]
        if memory:
            container["resources"]["limits"]["memory"] = memory
            container["resources"]["requests"]["memory"] = memory
        if retries >= 0:
            job["spec"]["backoffLimit"] = retries
        self.kubectl("apply", "--server-side", "--filename", "-", text=json.dumps(job))
        return name

    def end_of(self, job: str, seconds: float = 300) -> Ended:
        """Wait until a Job is complete or failed."""

        def ended() -> Ended | None:
            conditions = self.get("job", job)["status"].get("conditions", [])
            final = [c for c in conditions if c["type"] in {"Complete", "Failed"} and c["status"] == "True"]
            if not final:
                return None
            pods = self.pods(job)
            reports = [report for pod in pods if (report := _report(pod))]
            return Ended(
                job, final[-1]["type"] == "Complete", final[-1].get("reason", ""), (reports or [{}])[-1], len(pods)
            )

        return until(ended, f"the end of the Job {job}", seconds)

    def pods(self, job: str) -> list[dict[str, Any]]:
        """Give a Job's pods, oldest first."""
        found = self.get("pods", "--selector", f"batch.kubernetes.io/job-name={job}")["items"]
        return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def secret(self, name: str) -> dict[str, str]:
        """Give a Secret's values."""
        data = self.get("secret", name).get("data", {})
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def read(self, engine: str, sql: str) -> Rows:
        """Ask PostgreSQL (as the reader), Trino or the Snowflake emulator."""
        if engine != "snowflake":
            return query.read(self.settings("tickvault_reader", "reader-password"), engine, sql, _ALL)[1]
        with self._forwarded("svc/tickvault-snowflake-emulator", 8080) as port:
            settings = _settings(
                snowflake_account="fakesnow",
                snowflake_password="any",
                snowflake_host="localhost",
                snowflake_port=port,
                snowflake_protocol="http",
            )
            return query.read(settings, engine, sql, _ALL)[1]

    def settings(self, user: str, key: str) -> Settings:
        """Give settings that reach the cluster's engines from this machine."""
        lake, password = self.secret("tickvault-jobs"), self.secret("tickvault-timescaledb")[key]
        return _settings(
            postgres_host="localhost",
            postgres_port=15432,
            postgres_user=user,
            postgres_password=password,
            trino_host="localhost",
            minio_endpoint="http://localhost:9000",
            minio_access_key=lake["MINIO_ACCESS_KEY"],
            minio_secret_key=lake["MINIO_SECRET_KEY"],
        )

    def lake(self) -> Lake:
        """Open the lake in MinIO."""
        return Lake(open_storage(self.settings("tickvault_reader", "reader-password")))

    @contextmanager
    def _forwarded(self, target: str, port: int) -> Iterator[int]:
        command = ["kubectl", "--context", CONTEXT, "--namespace", NAMESPACE, "port-forward", target, f":{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout
            try:
                line = process.stdout.readline()
                match = re.search(r":(\d+) ->", line)
                assert match, f"{line}{process.stderr.read() if process.stderr else ''}"
                yield int(match[1])
            finally:
                process.terminate()


def until(condition: Callable[[], T | None], what: str, seconds: float) -> T:
    """Ask every half second until there is an answer."""
    deadline = time.monotonic() + seconds
    while (answer := condition()) is None:
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.5)
    return answer


def _settings(**fields: Any) -> Settings:
    return Settings.load(_env_file=None, **fields)


def _report(pod: dict[str, Any]) -> dict[str, Any] | None:
    for status in pod["status"].get("containerStatuses", []):
        message = status["state"].get("terminated", {}).get("message", "")
        if message.startswith("{"):
            report: dict[str, Any] = json.loads(message)
            return report
    return None


def _run(command: list[str], text: str | None, seconds: float) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout
