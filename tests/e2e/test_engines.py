"""Every engine answers a real query, asked by its own chart's test."""

from cluster import RELEASE, Cluster

ENGINES = {
    "minimal": {"minio", "prefect", "snowflake-emulator", "market-simulator", "timescaledb", "trino"},
    "local": {"alert-receiver", "alertmanager", "kafka", "prometheus"},
}


def test_every_engine_answers(cluster: Cluster) -> None:
    said = cluster.helm("test", RELEASE, "--timeout", "5m")
    hooks = [line.split(":", 1)[1].strip() for line in said.splitlines() if line.startswith("TEST SUITE:")]
    phases = [line.split(":", 1)[1].strip() for line in said.splitlines() if line.startswith("Phase:")]
    assert phases == ["Succeeded"] * len(hooks), said
    wanted = ENGINES["minimal"] | (ENGINES["local"] if cluster.profile == "local" else set())
    untested = {engine for engine in wanted if not any(engine in hook for hook in hooks)}
    assert not untested, said
