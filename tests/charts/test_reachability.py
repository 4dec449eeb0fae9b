"""The network policies as rendered, computed: what is declared in connections.yaml is allowed, everything else is not.

Kind's network does not enforce policies here, so this is the proof. A connection is allowed when some egress rule of
the policies that select its origin permits it and some ingress rule of those that select its target does too; pods
that no policy selects are closed by the namespace's default-deny policy in k8s/.
"""

import functools
import ipaddress
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from manifests import MANAGED, PRODUCTION, ROOT, UMBRELLA, pods, refusal, release, rendered

pytestmark = pytest.mark.usefixtures("helm")
DATA = yaml.safe_load((UMBRELLA / "files/connections.yaml").read_text())
UI_NAMESPACE = {"kubernetes.io/metadata.name": "ingress-nginx"}
PUBLIC, CLUSTER = "93.184.215.14", "10.96.0.1"
EXTERNAL = MANAGED["global"]["external"]
METADATA = "169.254.169.254"  # where a cloud hands the node's credentials to whoever asks
SHARED, LOOPBACK = "100.64.0.1", "127.0.0.1"
PORTS = sorted({port for connection in DATA["connections"] for port in connection["ports"]} | {22, 5433, 8443, 9094})


@dataclass(frozen=True)
class End:
    """One end of a connection: a pod of the namespace by its labels, or something outside by address or namespace."""

    labels: tuple[tuple[str, str], ...] = ()
    address: str | None = None
    namespace: tuple[tuple[str, str], ...] = ()


def _selects(selector: dict[str, Any] | None, labels: tuple[tuple[str, str], ...]) -> bool:
    if selector is None:
        return False
    given = dict(labels)
    wanted = selector.get("matchLabels", {}).items() <= given.items()
    return wanted and all(
        rule["operator"] == "In" and given.get(rule["key"]) in rule["values"]
        for rule in selector.get("matchExpressions", [])
    )


def _peer_fits(peer: dict[str, Any], end: End) -> bool:
    if "ipBlock" in peer:
        if end.address is None:
            return False
        address = ipaddress.ip_address(end.address)
        outside = [ipaddress.ip_network(block) for block in peer["ipBlock"].get("except", [])]
        return address in ipaddress.ip_network(peer["ipBlock"]["cidr"]) and not any(address in net for net in outside)
    if "namespaceSelector" in peer:
        return _selects(peer["namespaceSelector"], end.namespace)
    return bool(end.labels) and _selects(peer["podSelector"], end.labels)


class Policies(list[dict[str, Any]]):
    """Network policies, and the rules of those that select an end, found once for each."""

    def __init__(self, given: Iterable[dict[str, Any]] = ()) -> None:
        super().__init__(given)
        self._rules: dict[tuple[str, End], list[dict[str, Any]]] = {}

    def rules(self, direction: str, end: End) -> list[dict[str, Any]]:
        if (direction, end) not in self._rules:
            specs = (policy["spec"] for policy in self)
            mine = (s for s in specs if direction in s["policyTypes"] and _selects(s["podSelector"], end.labels))
            self._rules[direction, end] = [rule for spec in mine for rule in spec.get(direction.lower(), [])]
        return self._rules[direction, end]


def _permits(policies: Policies, direction: str, own: End, other: End, port: int) -> bool:
    if not own.labels:
        return True  # not a pod of this namespace: no policy of ours governs it
    peers = "from" if direction == "Ingress" else "to"
    for rule in policies.rules(direction, own):
        ports = rule.get("ports")
        port_fits = ports is None or any(p["port"] == port and p.get("protocol", "TCP") == "TCP" for p in ports)
        if port_fits and (peers not in rule or any(_peer_fits(peer, other) for peer in rule[peers])):
            return True
    return False


def _allowed(policies: Policies, origin: End, target: End, port: int) -> bool:
    return _permits(policies, "Egress", origin, target, port) and _permits(policies, "Ingress", target, origin, port)


def _parties(name: str) -> dict[str, End]:
    """Give the pods of a release by the names of connections.yaml; a pod without a name there fails the test."""
    found: dict[str, End] = {}
    for label, template in pods(name):
        labels = template["metadata"]["labels"]
        matching = [
            party
            for party, wanted in DATA["parties"].items()
            if labels["app.kubernetes.io/name"] == wanted["name"]
            and wanted.get("component") in {None, labels["app.kubernetes.io/component"]}
        ]
        assert matching, f"{label} is no party of connections.yaml"
        # The most particular name: flows rather than jobs.
        party = max(matching, key=lambda key: len(DATA["parties"][key]))
        found[party] = End(tuple(labels.items()))
    return found


@functools.cache
def _names(party: str) -> set[str]:
    """Give every party whose pods these are: flows are jobs too."""
    own = DATA["parties"].get(party, {})
    general = {n for n, is_ in DATA["parties"].items() if is_["name"] == own.get("name") and "component" not in is_}
    return {party} | general


def _declared(origin: str, target: str, port: int) -> bool:
    return any(
        connection["from"] in _names(origin) and connection["to"] in _names(target) and port in connection["ports"]
        for connection in DATA["connections"]
    )


def _policies(name: str) -> Policies:
    return Policies(item for item in release(name) if item["kind"] == "NetworkPolicy")


def _violations(policies: Policies, parties: dict[str, End]) -> list[str]:
    return [
        f"{origin} -> {target}:{port} is {'closed' if declared else 'open'}"
        for (origin, a), (target, b), port in itertools.product(parties.items(), parties.items(), PORTS)
        if (declared := _declared(origin, target, port)) != _allowed(policies, a, b, port)
    ]


@pytest.mark.parametrize("name", ["minimal", "local", "full", "production", "workers"])
def test_declared_connections_are_allowed_and_no_other(name: str) -> None:
    assert not _violations(_policies(name), _parties(name))


def test_a_missing_and_a_generous_policy_are_noticed() -> None:
    policies, parties = _policies("minimal"), _parties("minimal")
    without = Policies(policy for policy in policies if policy["metadata"]["name"] != "tickvault-timescaledb")
    assert "trino -> timescaledb:5432 is closed" in _violations(without, parties)
    generous = {"metadata": {"name": "x"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}}
    generous["spec"] |= {"policyTypes": ["Ingress", "Egress"], "egress": [{}]}
    assert "prefect -> minio:9000 is open" in _violations(Policies([*policies, generous]), parties)


@pytest.mark.parametrize("name", ["minimal", "local", "full", "production"])
def test_only_uis_are_open_to_users(name: str) -> None:
    policies, parties = _policies(name), _parties(name)
    stranger = End(address=PUBLIC, namespace=(("kubernetes.io/metadata.name", "elsewhere"),))
    ingress_controller = End(address=CLUSTER, namespace=tuple(UI_NAMESPACE.items()))
    for (party, end), port in itertools.product(parties.items(), PORTS):
        reached = _allowed(policies, ingress_controller, end, port)
        assert not reached or _declared("users", party, port), f"users -> {party}:{port}"
        if name == "production":
            assert not _allowed(policies, stranger, end, port), f"anybody -> {party}:{port}"
        elif _declared("users", party, port):
            assert reached, f"{party}:{port} is a NodePort that nobody can open"


@pytest.mark.parametrize("name", ["minimal", "full", "production"])
def test_only_jobs_leave_the_cluster(name: str) -> None:
    policies = _policies(name)
    addresses = (PUBLIC, CLUSTER, METADATA, SHARED, LOOPBACK)
    for (party, end), port, address in itertools.product(_parties(name).items(), PORTS, addresses):
        kubernetes = _declared(party, "kubernetes", port) and address != METADATA
        wanted = (_declared(party, "internet", port) and address == PUBLIC) or kubernetes
        assert _allowed(policies, end, End(address=address), port) == wanted, f"{party} -> {address}:{port}"


def test_engines_reach_the_external_ones_on_their_port_alone() -> None:
    policies, parties = _policies("managed"), _parties("managed")
    outside = End(address=PUBLIC)
    reached = {
        (n, p) for (n, end), p in itertools.product(parties.items(), PORTS) if _allowed(policies, end, outside, p)
    }
    jobs = {(n, p) for n, p in reached if DATA["parties"][n]["name"] == "jobs"}
    assert reached - jobs == {("trino", 5433), ("trino", 443), ("prefect", 5433)}


def test_every_broker_of_an_external_kafka_is_reached_and_no_metadata_service() -> None:
    brokers = {"kafka": {"bootstrap": "kafka-1.example.com:9094,kafka-2.example.com:5433"}}
    objects = rendered({**MANAGED, "global": {**MANAGED["global"], "external": {**EXTERNAL, **brokers}}})
    policies = Policies(item for item in objects if item["kind"] == "NetworkPolicy")
    trino = _parties("managed")["trino"]
    assert all(_allowed(policies, trino, End(address=PUBLIC), port) for port in (9094, 5433))
    assert not [port for port in PORTS if _allowed(policies, trino, End(address=METADATA), port)]


def test_an_ingress_opens_the_console_and_a_node_port_the_objects_too() -> None:
    controller = End(address=CLUSTER, namespace=tuple(UI_NAMESPACE.items()))
    for name, opened in (("production", [9001]), ("full", [9000, 9001])):
        minio = _parties(name)["minio"]
        assert [port for port in PORTS if _allowed(_policies(name), controller, minio, port)] == opened


def test_prometheus_reaches_the_figures_of_every_worker() -> None:
    scraped = [
        End(tuple(template["metadata"]["labels"].items()))
        for _, template in pods("workers")
        if template["metadata"]["labels"].get("tickvault.io/metrics") == "true"
    ]
    assert [dict(end.labels)["tickvault.io/worker"] for end in scraped] == ["consume-trade"]
    prometheus = _parties("workers")["prometheus"]
    assert all(_allowed(_policies("workers"), prometheus, end, 8080) for end in scraped)


def test_single_parties_may_be_allowed_more() -> None:
    rule = {"to": [{"ipBlock": {"cidr": f"{CLUSTER}/32"}}], "ports": [{"protocol": "TCP", "port": 22}]}
    extra = {"networkPolicy": {"extraEgress": {"grafana": [rule]}}}
    policies = Policies(o for o in rendered({**PRODUCTION, **extra}) if o["kind"] == "NetworkPolicy")
    reached = [n for n, end in _parties("production").items() if _allowed(policies, end, End(address=CLUSTER), 22)]
    assert reached == ["grafana"]
    assert "networkPolicy.extraEgress.graphana is no party" in refusal(
        {**PRODUCTION, "networkPolicy": {"extraEgress": {"graphana": [rule]}}}
    )


def test_everybody_resolves_names_at_the_cluster_s_own_servers() -> None:
    for policy in _policies("full"):
        first = policy["spec"]["egress"][0]
        assert {"protocol": "UDP", "port": 53} in first["ports"]
        assert [peer["podSelector"]["matchLabels"] for peer in first["to"]] == [{"k8s-app": "kube-dns"}]
    anywhere = rendered({**PRODUCTION, "networkPolicy": {"dnsPeers": []}})
    assert all("to" not in item["spec"]["egress"][0] for item in anywhere if item["kind"] == "NetworkPolicy")


def test_the_namespace_denies_by_default() -> None:
    documents = yaml.safe_load_all((ROOT / "k8s/network-policy.yaml").read_text())
    (deny,) = [item["spec"] for item in documents if item["metadata"]["name"] == "default-deny"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
