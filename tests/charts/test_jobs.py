"""The jobs: held to the modules they run, the images they run in, the flows that start them, and to a snapshot.

The snapshot says in one line per job what starts it, when, and what it may know. To accept a change:
``python tests/charts/test_jobs.py > tests/charts/jobs.txt``.
"""

import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from manifests import CHARTS, ROOT, helm_template, refusal, release

from tickvault.cli import root
from tickvault.core.errors import ExitCode
from tickvault.core.settings import Settings
from tickvault.flows.plan import PLANS, stages
from tickvault.transfer import catalog

sys.path.insert(0, str(ROOT / "images"))
from recipes import recipes

pytestmark = pytest.mark.usefixtures("helm")
SNAPSHOT = Path(__file__).parent / "jobs.txt"
GENERATED: dict[str, Any] = {"global": {"generateSecrets": True}}
SOURCES = {f"extract-{name.replace('_', '-')}": ["extract", name] for name in catalog.source_names()}
SINKS = {f"load-{name}": ["load", name] for name in catalog.sink_names()}


def _cronjobs(objects: Any = None) -> dict[str, dict[str, Any]]:
    found = release("jobs") if objects is None else objects
    return {item["metadata"]["name"]: item["spec"] for item in found if item["kind"] == "CronJob"}


def _pod(spec: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = spec["jobTemplate"]["spec"]["template"]["spec"]
    return pod


def _container(spec: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = _pod(spec)["containers"][0]
    return container


def _secrets(spec: dict[str, Any]) -> list[str]:
    return [entry["name"] for entry in _container(spec)["env"] if "secretKeyRef" in entry.get("valueFrom", {})]


def _render(values: dict[str, Any]) -> list[dict[str, Any]]:
    done = helm_template(CHARTS / "jobs", (), GENERATED | values)
    assert done.returncode == 0, done.stderr
    return [item for item in yaml.safe_load_all(done.stdout) if item]


def snapshot() -> str:
    """Give the lines of the snapshot."""
    lines = []
    for name, spec in sorted(_cronjobs().items()):
        container = _container(spec)
        starter = "prefect" if spec["suspend"] else "cron"
        image = container["image"].rpartition(":")[0]
        lines.append(
            f"{name}: {starter} '{spec['schedule']}' {spec['timeZone']} | {image} {' '.join(container['args'])}"
            f" | {container['resources']['limits']['memory']} | {' '.join(_secrets(spec))}"
        )
    return "\n".join(lines) + "\n"


def test_jobs_and_schedules_are_those_of_the_snapshot() -> None:
    assert snapshot() == SNAPSHOT.read_text(encoding="utf-8")


def test_every_source_and_sink_has_a_job_and_every_job_a_module() -> None:
    jobs = {name: _container(spec)["args"] for name, spec in _cronjobs().items()}
    expected = SOURCES | SINKS
    assert {name: args for name, args in jobs.items() if name.startswith(("extract-", "load-"))} == expected


def test_every_job_has_an_image_and_every_image_is_used() -> None:
    used = {
        _container(spec)["image"].removeprefix("ghcr.io/tickvault/tickvault/").rpartition(":")[0]
        for spec in _cronjobs().values()
    }
    assert used | {"flows", "emulator", "simulator", "alert-receiver", "alertmanager"} == set(recipes())


def test_images_are_those_published_with_the_chart_unless_others_are_named() -> None:
    version = yaml.safe_load((CHARTS / "jobs/Chart.yaml").read_text())["appVersion"]
    place = "ghcr.io/tickvault/tickvault"
    assert _container(_cronjobs()["dbt-trino"])["image"] == f"{place}/dbt:{version}"
    for chart, image in {"alert-receiver": "alert-receiver", "market-simulator": "simulator"}.items():
        (server,) = [item for item in release(chart) if item["kind"] == "Deployment"]
        assert server["spec"]["template"]["spec"]["containers"][0]["image"] == f"{place}/{image}:{version}"

    built_here = {"image": {"registry": "", "repository": "tickvault"}, "imageTags": {"dbt": "4d1f"}}
    assert _container(_cronjobs(_render(built_here))["dbt-trino"])["image"] == "tickvault/dbt:4d1f"
    mirrored = _render({"global": {"generateSecrets": True, "imageRegistry": "mirror.example.com"}})
    assert (
        _container(_cronjobs(mirrored)["dbt-trino"])["image"] == f"mirror.example.com/tickvault/tickvault/dbt:{version}"
    )


def test_every_job_is_a_call_the_command_line_understands() -> None:
    for name, spec in _cronjobs().items():
        group = click.Context(root)
        command_name, command, arguments = root.resolve_command(group, list(_container(spec)["args"]))
        while isinstance(command, click.Group):
            command_name, command, arguments = command.resolve_command(group, arguments)
        assert command, name
        assert command_name
        command.make_context(command_name, arguments, parent=group)


def test_every_step_of_a_flow_has_a_suspended_job_on_its_schedule() -> None:
    jobs = _cronjobs()
    settings = Settings.load(_env_file=None, snowflake_account="a", trino_host="t")
    for flow in PLANS:
        steps = [step for stage in stages(flow, settings) for step in stage]
        assert steps
        for step in steps:
            assert jobs[step.job]["suspend"] is True
            if step.job.startswith("extract-"):
                assert (jobs[step.job]["schedule"], jobs[step.job]["timeZone"]) == (flow.cron, flow.timezone)


def test_a_job_knows_only_the_secrets_it_needs() -> None:
    for name, spec in _cronjobs().items():
        secrets = " ".join(_secrets(spec))
        assert ("SNOWFLAKE" in secrets) == name.endswith("-snowflake"), name
        assert ("TRINO" in secrets) == name.endswith("-trino"), name
        assert ("API_KEY" in secrets) <= name.startswith("extract-"), name
        assert all("secretRef" not in source for source in _container(spec)["envFrom"]), name


def test_exit_codes_decide_what_is_tried_again() -> None:
    usage = click.UsageError.exit_code
    final = [usage, ExitCode.PARTIAL, ExitCode.REJECTED, ExitCode.CONFIGURATION]
    for name, spec in _cronjobs().items():
        job = spec["jobTemplate"]["spec"]
        evicted, failed = job["podFailurePolicy"]["rules"]
        assert evicted["action"] == "Ignore", name
        assert evicted["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}], name
        assert failed["action"] == "FailJob", name
        assert failed["onExitCodes"] == {"containerName": "job", "operator": "In", "values": sorted(map(int, final))}
        assert _pod(spec)["restartPolicy"] == "Never", name
        assert job["backoffLimit"] == (0 if name == "reconcile" else 3), name
        assert job["activeDeadlineSeconds"] > 0, name
        assert job["ttlSecondsAfterFinished"] > 0, name
        assert spec["concurrencyPolicy"] == "Forbid", name
        assert spec["startingDeadlineSeconds"] < 100 * 60, (
            f"{name}: more than 100 missed starts stop a CronJob for good"
        )


def test_only_what_starts_jobs_may_talk_to_kubernetes() -> None:
    for name, spec in _cronjobs().items():
        assert _pod(spec)["automountServiceAccountToken"] is (name == "reconcile"), name
    role = next(item for item in release("jobs") if item["kind"] == "Role")
    allowed = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    assert {("jobs", "create"), ("jobs", "delete"), ("pods/log", "get"), ("cronjobs", "get")} <= allowed
    assert not [pair for pair in allowed if pair[0] in {"secrets", "pods/exec", "configmaps"} or pair[1] == "*"]


def test_any_job_can_be_given_to_cron() -> None:
    values = {"jobs": {name: {"orchestrator": "cron"} for name in _cronjobs()}, "flows": {"enabled": False}}
    assert not [name for name, spec in _cronjobs(_render(values)).items() if spec["suspend"]]


def test_own_symbols_need_no_image() -> None:
    line = "DOGE2,Dogecoin Two,crypto,meme,DOGE2USDT,,"
    objects = _render({"symbols": {"crypto": ["BTC", "DOGE2"], "assets": [line]}})
    seeds = next(item["data"] for item in objects if item["metadata"]["name"] == "tickvault-jobs-seeds")
    assert seeds["cryptolist.txt"] == "BTC\nDOGE2\n"
    assert seeds["stocklist.txt"] == (ROOT / "seeds/stocklist.txt").read_text(encoding="utf-8")
    assert (
        seeds["asset_info.csv"] == (ROOT / "seeds/asset_info.csv").read_text(encoding="utf-8").strip() + f"\n{line}\n"
    )
    container = _container(_cronjobs(objects)["extract-binance"])
    assert {"name": "CRYPTO_SYMBOLS", "value": "/app/seeds/cryptolist.txt"} in container["env"]
    assert not [entry for entry in container["env"] if entry["name"] == "STOCK_SYMBOLS"]
    mounted = {mount["mountPath"]: mount["subPath"] for mount in container["volumeMounts"] if mount["name"] == "seeds"}
    assert mounted == {f"/app/seeds/{name}": name for name in seeds}


def test_a_key_may_lie_in_a_secret_of_its_own() -> None:
    objects = _render({"global": {"generateSecrets": True, "extraJobsSecrets": {"COINGECKO_API_KEY": "my-keys"}}})
    entries = {entry["name"]: entry for entry in _container(_cronjobs(objects)["extract-coingecko"])["env"]}
    assert entries["COINGECKO_API_KEY"]["valueFrom"]["secretKeyRef"]["name"] == "my-keys"
    assert entries["MINIO_ACCESS_KEY"]["valueFrom"]["secretKeyRef"]["name"] == "tickvault-jobs"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"jobs": {"x" * 53: {"args": ["status"]}}}, "Kubernetes allows a CronJob 52"),
        ({"jobs": {"extract-own": {}}}, "set jobs.extract-own.args"),
        ({"jobs": {"extract-own": {"args": ["extract", "own"], "orchestrator": "airflow"}}}, "must be one of"),
        ({"flows": {"enabled": False}}, "nobody would start it"),
        ({"jobs": {"reconcile": {"secrets": {"A": "maybe"}}}}, "write required or optional"),
        ({"jobs": {"reconcile": {"schedul": "* * * * *"}}}, "'schedul' not allowed"),
    ],
)
def test_contradictions_are_refused_with_a_sentence(values: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(GENERATED | values, CHARTS / "jobs")


if __name__ == "__main__":
    sys.stdout.write(snapshot())
