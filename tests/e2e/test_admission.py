"""Every profile before the API server of a real cluster: what it would refuse, defaulting and admission included."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from cluster import ROOT, Cluster

PROFILES = ("minimal", "local", "full")


@pytest.fixture(scope="module")
def empty(cluster: Cluster) -> Iterator[str]:
    """A namespace as strict as the release's own, with nothing in it: what is there already may not be changed."""
    name = f"tickvault-dry-{cluster.run}"
    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": level}}
    cluster.kubectl("create", "--filename", "-", text=json.dumps(namespace))
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.parametrize("profile", PROFILES)
def test_the_api_server_takes_every_object_of_a_profile(cluster: Cluster, empty: str, profile: str) -> None:
    chart, values = str(ROOT / "charts/tickvault"), str(ROOT / f"charts/tickvault/profiles/{profile}.yaml")
    rendered = cluster.helm(
        "template", "tickvault", chart, "--namespace", empty, "--values", values, "--kube-version", "1.34"
    )
    objects = [item for item in yaml.safe_load_all(rendered) if item]
    for item in objects:
        for port in item["spec"].get("ports", []) if item["kind"] == "Service" else []:
            port.pop("nodePort", None)  # the installed release has it
    # A pod is refused whose account is not there, and in a dry run nothing ever is: the accounts are made.
    accounts = [item for item in objects if item["kind"] == "ServiceAccount"]
    _apply(cluster, empty, accounts)
    others = [item for item in objects if item["kind"] != "ServiceAccount"]
    said = _apply(cluster, empty, others, "--dry-run=server").splitlines()
    assert len(said) == len(others)
    assert all(line.endswith("created (server dry run)") for line in said), said


def _apply(cluster: Cluster, namespace: str, objects: list[Any], *how: str) -> str:
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    return cluster.kubectl("apply", "--namespace", namespace, *how, "--filename", "-", text=manifest)
