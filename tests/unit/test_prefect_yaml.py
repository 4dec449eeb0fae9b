"""``prefect.yaml`` says what ``plan.py`` says, in words Prefect knows."""

import inspect
from pathlib import Path

import pytest
import yaml

from tickvault.flows.plan import PLANS

ROOT = Path(__file__).parents[2]
KNOWN = {
    "": {"name", "build", "pull", "deployments"},
    "deployment": {
        "name",
        "flow_name",
        "description",
        "entrypoint",
        "tags",
        "parameters",
        "work_pool",
        "concurrency_limit",
        "schedules",
    },
    "work_pool": {"name"},
    "concurrency_limit": {"limit", "collision_strategy"},
    "schedule": {"slug", "cron", "timezone", "active"},
}
"""Every key that may stand in the file, by where it stands."""


def unknown_keys(document: dict) -> list[str]:
    """Name each key Prefect would ignore in silence, or that we do not use."""
    places = [("", document)]
    for deployment in document["deployments"]:
        places.append(("deployment", deployment))
        places += [(place, deployment[place]) for place in ("work_pool", "concurrency_limit")]
        places += [("schedule", schedule) for schedule in deployment["schedules"]]
    return [f"{place}: {key}" for place, found in places for key in found if key not in KNOWN[place]]


@pytest.fixture(scope="module")
def document() -> dict:
    return yaml.safe_load((ROOT / "prefect.yaml").read_text())


def test_every_key_is_known(document):
    assert unknown_keys(document) == []


@pytest.mark.parametrize("place", ["deployment", "work_pool", "concurrency_limit", "schedule"])
def test_a_misspelt_key_is_found(document, place):
    copy = yaml.safe_load(yaml.safe_dump(document))
    deployment = copy["deployments"][1]
    target = {"deployment": deployment, "schedule": deployment["schedules"][0]}.get(place) or deployment[place]
    target["timzone"] = "UTC"
    assert f"{place}: timzone" in unknown_keys(copy)


def test_prefect_reads_every_key_we_use():
    """Our list is a part of Prefect's own: its models are the authority, and they drop the rest."""
    from prefect.cli.deploy._models import ConcurrencyLimitSpec, DeploymentConfig, PrefectYamlModel, RawScheduleConfig
    from prefect.cli.deploy._models import WorkPoolConfig as Pool

    models = {
        "": PrefectYamlModel,
        "deployment": DeploymentConfig,
        "work_pool": Pool,
        "concurrency_limit": ConcurrencyLimitSpec,
        "schedule": RawScheduleConfig,
    }
    for place, model in models.items():
        assert set(model.model_fields) >= KNOWN[place]


def test_deployments_are_the_plans(document):
    found = {d["flow_name"]: d for d in document["deployments"]}
    assert sorted(found) == sorted(p.name for p in PLANS)
    for plan in PLANS:
        deployment = found[plan.name]
        assert tuple(deployment["tags"]) == plan.tags
        (schedule,) = deployment["schedules"]
        assert (schedule["cron"], schedule["timezone"], schedule["active"]) == (plan.cron, plan.timezone, True)
        assert deployment["work_pool"] == {"name": "tickvault-process"}
        assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}


def test_entrypoints_import_and_take_the_parameters(document):
    from prefect.flows import load_flow_from_entrypoint

    for deployment in document["deployments"]:
        flow = load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False)
        assert flow.name == deployment["flow_name"]
        taken = inspect.signature(flow.fn).parameters
        assert set(deployment["parameters"]) <= set(taken)
        assert set(taken) == {"slot", "force"}
        assert set(flow.parameters.properties) == set(taken)
        assert flow.retries == 0
        assert flow.description
