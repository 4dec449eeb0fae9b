"""Values: closed schemas, generated pages that are up to date, and refusals that are sentences."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from manifests import CHARTS, EXTERNAL_ONLY, MANAGED, PROFILES, STANDALONE, UMBRELLA, refusal, release

SCHEMAS = sorted(CHARTS.glob("*/values.schema.json"))


def _objects(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield path, schema
        for key, part in schema.items():
            yield from _objects(part, f"{path}/{key}")


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: file.parent.name)
def test_schemas_are_closed(file: Path) -> None:
    for path, item in _objects(json.loads(file.read_text())):
        handed_on = "closed by the schema of that chart" in item.get("$comment", "")
        checked = item.get("$comment", "").endswith(("the API server checks it", "it checks it when it starts"))
        further = item.get("additionalProperties")
        assert handed_on or checked or further is False or isinstance(further, dict), path


def test_readmes_and_schemas_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, CHARTS / "readme.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("helm")
@pytest.mark.parametrize("chart", STANDALONE)
def test_an_unknown_value_is_refused(chart: str) -> None:
    assert "additional properties 'typo' not allowed" in refusal({"typo": 1}, CHARTS / chart)


def test_subcharts_are_links_to_their_folders() -> None:
    for chart in sorted(CHARTS.glob("*/Chart.yaml")):
        for dependency in yaml.safe_load(chart.read_text()).get("dependencies", []):
            link = chart.parent / "charts" / dependency["name"]
            assert link.is_symlink(), link
            assert link.resolve() == CHARTS / dependency["name"]
            linked = yaml.safe_load((link / "Chart.yaml").read_text())
            assert dependency["version"] == linked["version"], link


@pytest.mark.usefixtures("helm")
@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({**MANAGED, "global": {**MANAGED["global"], "jobsSecret": ""}}, "global.jobsSecret"),
        ({"global": {"generateSecrets": True}, "minio": {"enabled": False}}, "the lake is nowhere"),
        (
            {"global": {"generateSecrets": True, "external": {"postgres": {"host": "db"}}}},
            "timescaledb.enabled and global.external.postgres.host contradict each other",
        ),
        ({**MANAGED, "snowflakeEmulator": {"enabled": True}}, "throw-away clusters only"),
        (
            {
                "global": {"generateSecrets": True, "external": {"snowflake": {"account": "a"}}},
                "snowflakeEmulator": {"enabled": True},
            },
            "snowflakeEmulator.enabled and global.external.snowflake.account contradict",
        ),
        (
            {"global": {"generateSecrets": True, "external": {"s3": {"endpoint": "x"}}}, "minio": {"enabled": False}},
            "cannot be generated",
        ),
        ({"global": {"jobsSecret": "s"}}, "to the name of a Secret with the keys"),
        (
            {"global": {"generateSecrets": True}, "trino": {"ingress": {"enabled": True, "host": "t"}}},
            "trino: ingress.enabled would open Trino to everybody",
        ),
        (
            {"global": {"generateSecrets": True}, "prometheus": {"enabled": True, "ingress": {"enabled": True}}},
            "prometheus: ingress.enabled would open Prometheus to everybody",
        ),
        (
            {"global": {"generateSecrets": True}, "prefect": {"ingress": {"enabled": True}}},
            "prefect: ingress.enabled needs ingress.host",
        ),
        (
            {"global": {"generateSecrets": True, "build": ["postgresql"]}},
            "global.build names postgresql: take of postgres, snowflake and trino.",
        ),
        (
            {"global": {"generateSecrets": True}, "trino": {"catalogs": {"kafka": {"enabled": True}}}},
            "trino.catalogs.kafka.enabled needs a Kafka",
        ),
        (
            {"global": {"generateSecrets": True}, "prometheus": {"enabled": True}, "alertReceiver": {"enabled": True}},
            "alertReceiver.enabled, but Prometheus does not push to it: add tickvault-alert-receiver:9093",
        ),
    ],
)
def test_contradictions_end_in_a_sentence(values: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(values)


@pytest.mark.usefixtures("helm")
def test_two_brokers_are_refused() -> None:
    assert "value must be one of 1, 3" in refusal({"brokers": 2}, CHARTS / "kafka")


@pytest.mark.usefixtures("helm")
def test_settings_name_the_external_engines() -> None:
    settings = next(i for i in release("external") if i["metadata"]["name"] == "tickvault-settings")["data"]
    external = EXTERNAL_ONLY["global"]["external"]
    assert settings["POSTGRES_HOST"] == external["postgres"]["host"]
    assert settings["POSTGRES_PORT"] == "5433"
    assert settings["MINIO_ENDPOINT"] == external["s3"]["endpoint"]
    assert settings["TRINO_HOST"] == external["trino"]["host"]
    assert settings["PREFECT_API_URL"] == external["prefect"]["apiUrl"]
    assert settings["SNOWFLAKE_ACCOUNT"] == external["snowflake"]["account"]
    assert "SNOWFLAKE_HOST" not in settings
    assert not [item for item in release("external") if item["kind"] in {"Secret", "StatefulSet"}]


@pytest.mark.usefixtures("helm")
@pytest.mark.parametrize("profile", PROFILES)
def test_settings_are_known_to_the_jobs(profile: str) -> None:
    from tickvault.core.settings import Settings

    known = {name.upper() for name in Settings.model_fields} | {"PREFECT_API_URL", "KAFKA_BOOTSTRAP_SERVERS"}
    settings = next(i for i in release(profile) if i["metadata"]["name"] == "tickvault-settings")["data"]
    assert set(settings) <= known
    fields = {name.lower(): value for name, value in settings.items() if name.lower() in Settings.model_fields}
    assert Settings.load(_env_file=None, **fields).snowflake_protocol == "http"


def test_umbrella_lists_every_chart() -> None:
    listed = {d["name"] for d in yaml.safe_load((UMBRELLA / "Chart.yaml").read_text())["dependencies"]}
    assert listed == {"common", *STANDALONE}
