"""The installation of docs/steps_by_steps.md is one: its values render, and its Secrets are what is asked for."""

import re
from typing import Any

import pytest
import yaml
from manifests import ROOT, rendered

pytestmark = pytest.mark.usefixtures("helm")
PAGE = (ROOT / "docs" / "steps_by_steps.md").read_text(encoding="utf-8")


def _values() -> dict[str, Any]:
    block = re.search(r"<!-- my-values.yaml -->\n```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert block
    values: dict[str, Any] = yaml.safe_load(block[1])
    return values


def _made() -> dict[str, set[str]]:
    """Give the Secrets that the page makes, and their keys."""
    text = PAGE.replace("\\\n", " ")
    lines = re.findall(r"create secret generic (\S+)(.*)", text)
    return {name: set(re.findall(r"--from-(?:literal|file)=([\w-]+)=", rest)) for name, rest in lines}


def _asked(item: Any) -> set[tuple[str, str]]:
    """Give the Secrets and keys that an object cannot do without."""
    if isinstance(item, list):
        return {pair for one in item for pair in _asked(one)}
    if not isinstance(item, dict):
        return set()
    found = {pair for one in item.values() for pair in _asked(one)}
    reference = item.get("secretKeyRef")
    if reference and not reference.get("optional"):
        found.add((reference["name"], reference["key"]))
    volume = item.get("secret")
    if isinstance(volume, dict) and "secretName" in volume and not volume.get("optional"):
        found |= {(volume["secretName"], entry["key"]) for entry in volume.get("items", [])}
    return found


def test_the_secrets_of_the_page_are_those_that_its_installation_asks_for() -> None:
    objects = rendered(_values())
    own = {item["metadata"]["name"] for item in objects if item["kind"] == "Secret"}
    asked = {(name, key) for name, key in _asked(list(objects)) if name not in own}
    made = {(name, key) for name, keys in _made().items() for key in keys}
    assert asked
    assert asked <= made
    assert {name for name, _ in asked} == set(_made())


def test_the_page_leaves_nothing_of_a_throw_away_cluster() -> None:
    kinds = {(item["kind"], item["metadata"]["name"]) for item in rendered(_values())}
    assert not {name for _, name in kinds if re.search("minio|timescaledb|emulator|simulator", name)}
    assert ("CronJob", "load-snowflake") in kinds
