"""The closed JSON schema of a chart's values: types from the defaults, the rest from the comments' hints.

Every object forbids what it does not name; the only open ones are Kubernetes' and Alertmanager's own types, which they
check themselves.
"""

import json
from pathlib import Path
from typing import Any

from values_file import CHARTS, Value, read

Schema = dict[str, Any]
_TEXT: Schema = {"type": "string"}
_QUANTITY: Schema = {"type": ["string", "integer"], "pattern": r"^[0-9.]+(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"}
_TEXTS: Schema = {"type": "object", "additionalProperties": _TEXT}


def _closed(**properties: Schema) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _kubernetes(kind: str, name: str) -> Schema:
    return {"type": kind, "$comment": f"Kubernetes' {name}; the API server checks it"}


def _alertmanagers(kind: str, name: str) -> Schema:
    return {"type": kind, "$comment": f"Alertmanager's {name}; it checks it when it starts"}


_AMOUNTS = _closed(cpu=_QUANTITY, memory=_QUANTITY, **{"ephemeral-storage": _QUANTITY})
KNOWN: dict[str, Schema] = {
    "resources": _closed(requests=_AMOUNTS, limits=_AMOUNTS),
    "jobResources": _closed(requests=_AMOUNTS, limits=_AMOUNTS),
    "ingress": _closed(enabled={"type": "boolean"}, className=_TEXT, host=_TEXT, tlsSecret=_TEXT, annotations=_TEXTS),
    "pod": _closed(
        labels=_TEXTS,
        annotations=_TEXTS,
        nodeSelector=_TEXTS,
        tolerations=_kubernetes("array", "tolerations"),
        affinity=_kubernetes("object", "affinity"),
        topologySpreadConstraints=_kubernetes("array", "topologySpreadConstraints"),
        priorityClassName=_TEXT,
    ),
    "probes": _closed(**{kind: _kubernetes("object", "Probe") for kind in ("startup", "readiness", "liveness")}),
    "persistence": _closed(
        size=_QUANTITY,
        storageClass=_TEXT,
        accessModes={"type": "array", "items": {"enum": ["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"]}},
    ),
    "settings": {"type": "object", "additionalProperties": {"type": ["string", "integer", "number"]}},
    "config": {"type": "object", "additionalProperties": {"type": ["string", "integer", "number"]}},
    "dnsPeers": _kubernetes("array", "NetworkPolicyPeer"),
    "people": _alertmanagers("object", "receiver"),
    "receivers": _alertmanagers("array", "receivers"),
    "routes": _alertmanagers("array", "routes"),
    # Empty means «not given», and a port is a number to everybody who gives one.
    "port": {"type": ["string", "integer"]},
}
_SERVICE_TYPES = {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]}


def schema(chart: Path) -> Schema:
    """Give the schema of one chart; ``global`` is closed with the umbrella's."""
    tree = _object(read(chart), (), {})
    if chart.name == "tickvault":
        # A subchart closes its own values; here they are only handed on.
        for name in _subcharts(chart):
            tree["properties"][name] = {"type": "object", "$comment": "closed by the schema of that chart"}
    else:
        umbrella = read(CHARTS / "tickvault")
        tree["properties"]["global"] = _object(umbrella, ("global",), {})
    tree["properties"]["common"] = _closed(**{"global": tree["properties"]["global"]})
    return {"$schema": "http://json-schema.org/draft-07/schema#", **tree}


def _subcharts(chart: Path) -> list[str]:
    return [
        value.path[0]
        for value in read(chart)
        if isinstance(value.default, dict)
        and "enabled" in value.default
        and len(value.path) == 1
        and value.path[0] != "networkPolicy"
    ]


def _object(values: list[Value], prefix: tuple[str, ...], default: dict[str, Any]) -> Schema:
    properties = {}
    for value in values:
        if len(value.path) == len(prefix) + 1 and value.path[: len(prefix)] == prefix:
            properties[value.path[-1]] = {"description": value.meaning, **_value(value, values)}
    for name, item in default.items():
        properties.setdefault(name, _infer(name, item))
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _value(value: Value, values: list[Value]) -> Schema:
    if value.hint == "one of":
        return {"enum": [json.loads(word) if word.isdigit() else word for word in str(value.argument).split(", ")]}
    if value.hint == "map of":
        return {"type": "object", "additionalProperties": {"type": value.argument}}
    if value.hint == "map":
        entry = _merged([_infer(value.path[-1], entry) for entry in value.default.values()])
        if value.argument:  # an entry is like the value of this name, and may have more
            entry["properties"] |= _object(values, (value.argument,), {})["properties"]
        return {"type": "object", "additionalProperties": entry}
    if any(other.path[:-1] == value.path for other in values):
        return _object(values, value.path, value.default)
    return _infer(value.path[-1], value.default)


def _merged(entries: list[Schema]) -> Schema:
    """Give one schema for entries that look alike; a nested object knows the keys of all of them."""
    first = entries[0]
    if "properties" not in first:
        return first
    names = {name: entry["properties"][name] for entry in entries for name in entry["properties"]}
    return {**first, "properties": names}


def _infer(name: str, default: Any) -> Schema:
    if name in KNOWN and not (
        name == "settings" and isinstance(default, dict) and any(isinstance(v, dict) for v in default.values())
    ):
        return KNOWN[name]
    match default:
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case str():
            return _TEXT
        case list():
            return {"type": "array", "items": _infer("", default[0]) if default else _TEXT}
        case dict():
            properties = {key: _infer(key, item) for key, item in default.items()}
            if name == "service":
                properties["type"] = _SERVICE_TYPES
            return _closed(**properties)
    raise ValueError(f"{name}: no schema for the default {default!r}")
