"""What one part of a release must know of another: switched-off engines, addresses, settings and logins."""

from typing import Any

import pytest
import yaml
from manifests import (
    MANAGED,
    PRODUCTION,
    Object,
    environment,
    named,
    refusal,
    release,
    rendered,
)

pytestmark = pytest.mark.usefixtures("helm")
LOCAL: dict[str, Any] = {"global": {"generateSecrets": True}}
LAKE = {"endpoint": "", "bucket": "lake2", "region": "eu-west-1"}


def _cronjobs(name: str) -> set[str]:
    return {item["metadata"]["name"] for item in release(name) if item["kind"] == "CronJob"}


def _scraped(objects: Any) -> set[str]:
    config = next(item for item in objects if item["metadata"]["name"] == "tickvault-prometheus-config")
    return {job["job_name"] for job in yaml.safe_load(config["data"]["prometheus.yml"])["scrape_configs"]}


def _one(objects: list[Object], kind: str, name: str) -> Object:
    return next(item for item in objects if (item["kind"], item["metadata"]["name"]) == (kind, name))


def test_jobs_are_made_where_their_engine_is() -> None:
    assert {"load-snowflake", "dbt-snowflake", "dbt-trino", "reconcile"} <= _cronjobs("full")
    assert {"load-snowflake", "dbt-snowflake", "dbt-trino", "reconcile"} <= _cronjobs("external")
    assert not {"load-snowflake", "dbt-snowflake"} & _cronjobs("production")
    assert "dbt-trino" in _cronjobs("production")
    assert "dbt-trino" not in _cronjobs("without-trino")
    assert "reconcile" not in _cronjobs("without-prefect")
    assert "dbt-postgres" in _cronjobs("minimal")
    assert not [name for name in ("local", "full", "external", "production") if "dbt-postgres" in _cronjobs(name)]
    assert not [
        item
        for item in release("without-prefect")
        if "flows" in item["metadata"]["name"] and "spec" in item and item["kind"] != "NetworkPolicy"
    ]


def test_only_what_is_there_is_scraped() -> None:
    engines = {"minio", "postgres", "trino", "prefect", "alertmanager", "jobs", "workers"}
    assert _scraped(release("full")) == {*engines, "prometheus"}
    assert _scraped(release("production")) == engines
    assert _scraped(release("without-minio")) == engines - {"minio"}
    assert _scraped(release("without-timescaledb")) == engines - {"postgres"}
    assert _scraped(release("without-trino")) == engines - {"trino"}
    assert _scraped(release("without-prefect")) == engines - {"prefect"}
    assert _scraped(release("without-alertmanager")) == engines - {"alertmanager"}


def test_the_helm_test_asks_for_each_scrape() -> None:
    for name in ("full", "production", "without-trino"):
        script = named(name, "Pod", "tickvault-prometheus-test")["spec"]["containers"][0]["command"][-1]
        (asked,) = [line.strip() for line in script.splitlines() if line.strip().startswith("for job in ")]
        # Of workers there may be none.
        assert {*asked.removeprefix("for job in ").removesuffix("; do").split(), "workers"} == _scraped(release(name))
        assert '"up{job=\\"$job\\"} == 1"' in script


def test_browsers_are_told_the_address_they_can_reach() -> None:
    assert environment(named("production", "Deployment", "tickvault-prefect"))["PREFECT_SERVER_UI_API_URL"] == (
        "https://ui.example.com/api"
    )
    assert environment(named("production", "Deployment", "tickvault-grafana"))["GF_SERVER_ROOT_URL"] == (
        "https://ui.example.com/"
    )
    assert environment(named("production", "StatefulSet", "tickvault-minio"))["MINIO_BROWSER_REDIRECT_URL"] == (
        "https://ui.example.com"
    )
    assert environment(named("full", "Deployment", "tickvault-prefect"))["PREFECT_SERVER_UI_API_URL"] == (
        "http://localhost:4200/api"
    )
    assert environment(named("full", "Deployment", "tickvault-grafana"))["GF_SERVER_ROOT_URL"] == (
        "http://localhost:3000/"
    )
    assert "MINIO_BROWSER_REDIRECT_URL" not in environment(named("full", "StatefulSet", "tickvault-minio"))


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"extra": {"NEWS_READ_LIMIT": "11"}}},
        {"jobs": {"symbols": {"crypto": ["BTC"]}}},
        {"snowflakeEmulator": {"enabled": True}},
    ],
)
def test_the_worker_starts_anew_when_what_it_reads_has_changed(change: dict[str, Any]) -> None:
    def template(values: dict[str, Any]) -> Any:
        return _one(rendered(values), "Deployment", "tickvault-jobs-flows")["spec"]["template"]

    before = template(LOCAL)
    assert template(LOCAL) == before
    assert template({**LOCAL, **change})["metadata"]["annotations"] != before["metadata"]["annotations"]


def test_everybody_uses_one_bucket_and_one_region() -> None:
    objects = rendered({"global": {"generateSecrets": True, "external": {"s3": LAKE}}})
    settings = _one(objects, "ConfigMap", "tickvault-settings")["data"]
    assert (settings["MINIO_BUCKET"], settings["MINIO_REGION"]) == ("lake2", "eu-west-1")
    assert environment(_one(objects, "StatefulSet", "tickvault-minio"))["MINIO_REGION"] == "eu-west-1"
    init = next(item for item in objects if item["metadata"]["name"].startswith("tickvault-minio-init-r"))
    for item in (
        init,
        _one(objects, "Pod", "tickvault-minio-test"),
        _one(objects, "CronJob", "tickvault-timescaledb-backup"),
    ):
        assert environment(item)["BUCKET"] == "lake2", item["metadata"]["name"]
    assert "lake2" in _one(objects, "ConfigMap", "tickvault-minio-init")["data"]["policy-jobs.json"]
    lake = _one(objects, "ConfigMap", "tickvault-trino-catalogs")["data"]["lake.properties"]
    assert "s3://lake2/warehouse" in lake
    assert "s3.region=eu-west-1" in lake


def test_an_external_database_is_spoken_to_as_it_asks() -> None:
    assert named("external", "ConfigMap", "tickvault-settings")["data"]["PGSSLMODE"] == "require"
    assert environment(named("managed", "Deployment", "tickvault-prefect"))["PGSSLMODE"] == "require"
    assert "PGSSLMODE" not in named("production", "ConfigMap", "tickvault-settings")["data"]


def test_a_login_of_prefect_s_own_reaches_prometheus() -> None:
    volumes = named("production", "StatefulSet", "tickvault-prometheus")["spec"]["template"]["spec"]["volumes"]
    assert [v["secret"]["secretName"] for v in volumes if v["name"] == "scrape-prefect"] == ["prefect"]


def test_a_scrape_can_be_left_out() -> None:
    values = {
        **LOCAL,
        "timescaledb": {"exporter": {"enabled": False}},
        "prometheus": {"enabled": True, "scrape": {"postgres": None}},
    }
    assert _scraped(rendered(values)) == {"minio", "trino", "prefect", "jobs", "workers", "prometheus"}


def _generated(chart: str, keys: list[str]) -> dict[str, Any]:
    return {
        "global": {"generateSecrets": True, "extraJobsSecrets": dict.fromkeys(keys, "mine")},
        chart: {"existingSecret": "mine"},
    }


def test_a_login_that_was_given_is_not_generated_for_the_jobs() -> None:
    objects = rendered(_generated("minio", ["MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"]))
    assert "MINIO_SECRET_KEY" not in _one(objects, "Secret", "tickvault-jobs")["stringData"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({**PRODUCTION, "prefect": {"enabled": False}}, "the flows have no Prefect server"),
        (_generated("minio", ["MINIO_ACCESS_KEY"]), "global.extraJobsSecrets.MINIO_SECRET_KEY"),
        (_generated("timescaledb", []), "timescaledb.existingSecret holds a login"),
        (_generated("prefect", []), "global.extraJobsSecrets.PREFECT_API_AUTH_STRING"),
        (
            {**PRODUCTION, "prometheus": {"enabled": True}, "alertmanager": {}, "alertReceiver": {}},
            "Prometheus does not know the login of prefect.existingSecret",
        ),
        (
            {**LOCAL, "prometheus": {"enabled": True}, "timescaledb": {"exporter": {"enabled": False}}},
            "set prometheus.scrape.postgres=null",
        ),
        (
            {"global": {"generateSecrets": True, "engines": {"trino": True}}, "trino": {"enabled": False}},
            "upgrade with --reset-then-reuse-values",
        ),
        ({**LOCAL, "settings": {"postgres": {"database": "other"}}}, "makes the database stock_data"),
        (
            {**MANAGED, "settings": {"postgres": {"database": "other"}}},
            "trino.catalogs.postgres.database is stock_data, but the jobs load into other",
        ),
        (
            {**MANAGED, "trino": {**MANAGED["trino"], "service": {"type": "NodePort"}}},
            "trino: service.type=NodePort would open Trino to everybody",
        ),
        (
            {
                **MANAGED,
                "prometheus": {"enabled": True, "service": {"type": "LoadBalancer"}},
                "prefect": {"enabled": False},
                "jobs": {"enabled": False},
            },
            "prometheus: service.type=LoadBalancer would open Prometheus to everybody",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_a_sentence(values: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(values)
