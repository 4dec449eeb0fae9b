"""Every chart, in every profile and on its own: valid for Kubernetes, restricted, and without critical findings."""

import functools
import json
import subprocess
from pathlib import Path

import kubernetes_validate.utils
import pytest
import yaml
from kubernetes_validate import validate
from manifests import CHARTS, RELEASES, UMBRELLA, WITHOUT, pods, release

pytestmark = pytest.mark.usefixtures("helm")
# The library reads some megabytes of definitions again for each object.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)
# Only what creates the jobs' pods talks to the API server.
TOKEN_HOLDERS = ("Deployment/tickvault-jobs", "Job/tickvault-jobs", "CronJob/")
_MEBIBYTES = {"Mi": 1, "Gi": 1024}
# A release without one chart has no object that the whole has not.
EACH_RELEASE = pytest.mark.parametrize("name", [name for name in RELEASES if not name.startswith("without-")])


def _mebibytes(quantity: str) -> int:
    return int(quantity[:-2]) * _MEBIBYTES[quantity[-2:]]


@EACH_RELEASE
def test_objects_are_valid_for_kubernetes(name: str) -> None:
    objects = release(name)
    assert objects
    for item in objects:
        validate(item, "1.34", strict=True)


@EACH_RELEASE
def test_names_are_unique_and_fit(name: str) -> None:
    seen = [(item["kind"], item["metadata"]["name"]) for item in release(name)]
    assert len(seen) == len(set(seen))
    assert all(len(label) <= (52 if kind == "CronJob" else 63) for kind, label in seen)


@EACH_RELEASE
def test_pods_keep_the_restricted_standard(name: str) -> None:
    for label, template in pods(name):
        spec = template["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), label
        assert spec["securityContext"]["runAsNonRoot"] is True, label
        assert spec["securityContext"]["runAsUser"] > 0, label
        assert spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", label
        allowed = {"configMap", "emptyDir", "projected", "secret", "persistentVolumeClaim", "downwardAPI"}
        assert all(set(volume) - {"name"} <= allowed for volume in spec["volumes"]), label
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, label
            assert context["readOnlyRootFilesystem"] is True, label
            assert context["capabilities"] == {"drop": ["ALL"]}, label
            assert not any("hostPort" in port for port in container.get("ports", [])), label


@EACH_RELEASE
def test_pods_state_resources_and_have_no_token(name: str) -> None:
    for label, template in pods(name):
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False or label.startswith(TOKEN_HOLDERS), label
        assert spec["enableServiceLinks"] is False, label
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            resources = container["resources"]
            assert {"cpu", "memory", "ephemeral-storage"} <= set(resources["requests"]), label
            assert {"memory", "ephemeral-storage"} <= set(resources["limits"]), label


@EACH_RELEASE
def test_a_pod_may_fill_the_room_it_was_promised(name: str) -> None:
    for label, template in pods(name):
        spec = template["spec"]
        folders = [volume["emptyDir"] for volume in spec["volumes"] if "emptyDir" in volume]
        promised = sum(_mebibytes(folder["sizeLimit"]) for folder in folders if folder.get("medium") != "Memory")
        # The kubelet evicts a pod by its containers' limits together; while init containers run, by theirs alone.
        for containers in (spec["containers"], *([init] for init in spec.get("initContainers", []))):
            limit = sum(_mebibytes(c["resources"]["limits"]["ephemeral-storage"]) for c in containers)
            assert limit >= promised + 256, f"{label}: {promised} Mi of folders, and evicted at {limit} Mi"


@EACH_RELEASE
def test_servers_have_probes(name: str) -> None:
    for label, template in pods(name):
        if label.startswith(("Deployment/", "StatefulSet/")):
            for container in template["spec"]["containers"]:
                if container.get("ports"):
                    assert {"readinessProbe", "livenessProbe"} <= set(container), label


@EACH_RELEASE
def test_secrets_are_referred_to_and_never_written_into_pods(name: str) -> None:
    planted = {value for item in release(name) if item["kind"] == "Secret" for value in item["stringData"].values()}
    long = {value for value in planted if len(value) >= 16}
    elsewhere = json.dumps([item for item in release(name) if item["kind"] != "Secret"])
    assert not [value for value in long if value in elsewhere]


@EACH_RELEASE
def test_volumes_outlive_the_release(name: str) -> None:
    assert not [item for item in release(name) if item["kind"] == "PersistentVolumeClaim"], "use volumeClaimTemplates"
    for item in release(name):
        if item["kind"] == "Secret":
            assert item["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


@EACH_RELEASE
def test_kube_score_finds_nothing_critical(name: str, kube_score: str) -> None:
    ignored = ["container-image-pull-policy"]  # Always would make kind, and a registry that is away, fatal
    if RELEASES[name][0] != UMBRELLA:
        ignored.append("pod-networkpolicy")  # the umbrella renders them, with the whole picture
    command = [kube_score, "score", "--kubernetes-version", "v1.34", "--ignore-container-cpu-limit"]
    command += [word for test in ignored for word in ("--ignore-test", test)]
    manifests = yaml.safe_dump_all(release(name))
    done = subprocess.run([*command, "-o", "ci", "-"], input=manifests, capture_output=True, text=True, check=False)
    critical = [line for line in done.stdout.splitlines() if line.startswith("[CRITICAL]")]
    assert (critical, done.stderr, done.returncode) == ([], "", 0)


@pytest.mark.parametrize("file", sorted((CHARTS.parent / "k8s").glob("*.yaml")), ids=lambda file: file.name)
def test_what_no_chart_owns_is_valid(file: Path) -> None:
    for item in yaml.safe_load_all(file.read_text()):
        validate(item, "1.34", strict=True)
        assert "tickvault" in {item["metadata"]["name"], item["metadata"].get("namespace")}


@pytest.mark.parametrize("chart", WITHOUT)
def test_every_subchart_can_be_switched_off(chart: str) -> None:
    labels = [item["metadata"]["labels"] for item in release(f"without-{chart}")]
    names = {label["app.kubernetes.io/name"] for label in labels if label.get("helm.sh/chart")}
    assert "tickvault" in names
    assert chart.replace("R", "-r") not in names


def test_every_engine_has_a_test_hook() -> None:
    for chart in sorted(CHARTS.glob("*/values.yaml")):
        if chart.parent.name in {"tickvault", "jobs"}:
            continue
        hooks = [
            item
            for item in release(chart.parent.name)
            if item["kind"] == "Pod" and item["metadata"]["annotations"].get("helm.sh/hook") == "test"
        ]
        assert len(hooks) == 1, chart.parent.name


def test_node_ports_are_those_of_the_kind_cluster() -> None:
    config = yaml.safe_load((CHARTS.parent / "kind-config.yaml").read_text())
    mapped = {mapping["containerPort"] for node in config["nodes"] for mapping in node["extraPortMappings"]}
    services = [item for item in release("full") if item["kind"] == "Service"]
    opened = {port["nodePort"] for item in services for port in item["spec"]["ports"] if "nodePort" in port}
    assert opened == mapped
