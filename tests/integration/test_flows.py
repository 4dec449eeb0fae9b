"""The three flows as real Prefect flows, against PostgreSQL and the simulated market, in forks of a warm process."""

import os
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.flows.local import FlowResult, run_flows
from tickvault.flows.plan import PLANS
from tickvault.local import postgres
from tickvault.local.engines import postgres_environment
from tickvault.local.prefect import PrefectServer
from tickvault.local.simulator import Simulator, start
from tickvault.runners.process import ProcessRunner

SLOT = Slot.parse("2026-11-16T13:00:00Z")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A Prefect server; what it exports is taken back at the end."""
    before = dict(os.environ)
    running = PrefectServer(Settings.load(_env_file=None, tickvault_home=tmp_path_factory.mktemp("home")))
    running.start()
    yield running
    running.stop()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with start(now=SLOT.time) as running:
        yield running


@pytest.fixture(scope="module")
def runner() -> Iterator[ProcessRunner]:
    with ProcessRunner() as running:
        running.warm()
        yield running


@pytest.fixture
def platform(server, simulator, runner, postgres_uri, tmp_path, make_settings) -> Callable[..., list[FlowResult]]:
    """Run flows against an empty lake and an empty database."""
    name = f"flows_{uuid.uuid4().hex[:8]}"
    postgres.create_database(postgres_uri, name)
    simulator.clear_faults()
    uri = postgres_uri.replace("/postgres?", f"/{name}?")
    environment = simulator.environment() | postgres_environment(uri)
    environment |= {
        "LAKE_PATH": str(tmp_path / "lake"),
        "SEEDS_PATH": str(ROOT / "seeds"),
        "TICKVAULT_CLOCK": SLOT.time.isoformat(),
        "CRYPTO_SYMBOLS": "BTC,ETH,SOL",
        "STOCK_SYMBOLS": "AAPL,MSFT",
        "HISTORY_DAYS": "20",
        "FAKER_NUM_CUSTOMERS": "50",
        "FAKER_NUM_CORPORATES": "10",
        "FAKER_NUM_STOCK_TRANSACTIONS": "100",
        "FAKER_NUM_CRYPTO_TRANSACTIONS": "60",
    }
    settings = make_settings(
        flow_retries=1, flow_retry_delay_seconds=0.2, snowflake_account=None, tickvault_build="off"
    )

    def run(*names: str, on_event=lambda _event: None, **more: str) -> list[FlowResult]:
        return run_flows(names, SLOT, runner, settings, on_event, server=server, environment=environment | more)

    run.uri = uri
    return run


def state_of(flow: str) -> SimpleNamespace:
    """The latest state of a flow as the Prefect server knows it."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.sorting import FlowRunSort

    with get_client(sync_client=True) as client:
        flows = {f.id: f.name for f in client.read_flows()}
        runs = [r for r in client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC) if flows[r.flow_id] == flow]
        state = runs[0].state
    return SimpleNamespace(type=state.type.value, name=state.name, message=state.message)


def test_all_flows_side_by_side_and_a_second_time_changes_nothing(platform):
    names = [p.name for p in PLANS]
    first = platform(*names)
    assert [r.verdict.exit_code for r in first] == [0, 0, 0], [r.verdict for r in first]
    assert {s.name for r in first for s in r.steps} >= {"extract-binance", "load-postgres-prices-stock-pipeline"}
    assert sum(s.end.rows for r in first for s in r.steps if s.name.startswith("load-")) > 300
    again = platform(*names)
    assert [r.verdict.exit_code for r in again] == [0, 0, 0]
    assert sum(s.end.rows for r in again for s in r.steps if s.name.startswith("load-")) == 0
    assert state_of("batch-data-pipeline").type == "COMPLETED"


def test_one_symbol_missing_is_partial_and_never_green(platform, simulator):
    simulator.fault("binance", "missing_symbols", symbols=["ETH"], path="/api/v3/ticker/24hr")
    (result,) = platform("prices-crypto-pipeline")
    assert (result.verdict.name, result.verdict.exit_code) == ("Partial", 10)
    assert "extract-binance partial: raw_cryptoprices_binance ETH" in result.verdict.message
    status = {s.name: s.status for s in result.steps}
    assert status.pop("extract-binance") == "partial"
    assert set(status.values()) == {"complete"}
    state = state_of("prices-crypto-pipeline")
    assert (state.type, state.name) == ("FAILED", "Partial")
    assert "ETH" in state.message


def test_a_source_that_refuses_does_not_stop_the_others(platform, simulator):
    simulator.fault("coingecko", "451")
    (result,) = platform("prices-crypto-pipeline")
    assert (result.verdict.name, result.verdict.exit_code) == ("Partial", 78)
    found = {s.name: (s.status, s.attempts) for s in result.steps}
    assert found["extract-coingecko"] == ("failed", 1)  # a wrong setting is not tried again
    assert found["load-postgres-prices-crypto-pipeline"][0] == "complete"


def test_what_may_pass_is_tried_again(platform):
    events = []
    (result,) = platform("prices-stock-pipeline", on_event=events.append, POSTGRES_PORT="1", POSTGRES_HOST="127.0.0.1")
    assert (result.verdict.name, result.verdict.exit_code) == ("Failed", 75)
    assert [s.attempts for s in result.steps] == [2, 2]
    waits = [e.line for e in events if e.kind == "again"]
    assert len(waits) == 2
    assert all("attempt 2 in 0.2 s" in line for line in waits)
    assert state_of("prices-stock-pipeline").name == "Failed"


def test_a_killed_step_is_tried_again_and_said(platform):
    (result,) = platform("prices-stock-pipeline", FAULT_AT="before_manifest")
    extract = next(s for s in result.steps if s.name == "extract-yfinance-stock")
    assert (extract.end.exit_code, extract.attempts, extract.status) == (137, 2, "failed")
    assert "killed by SIGKILL" in result.verdict.message


def test_a_source_without_its_key_is_off_and_the_run_is_complete(platform):
    (result,) = platform("prices-crypto-pipeline", FREECRYPTO_API_KEY="")
    assert result.verdict.exit_code == 0
    assert {s.name: s.status for s in result.steps}["extract-freecryptoapi"] == "off"
    assert "extract-freecryptoapi: off" in result.verdict.message


def test_prefect_variables_reach_the_steps(platform, server):
    from prefect.variables import Variable

    server.wait()
    Variable.set("news_read_limit", "0", overwrite=True)  # not allowed: the step has to refuse it
    try:
        (result,) = platform("batch-data-pipeline")
    finally:
        Variable.unset("news_read_limit")
    assert result.verdict.exit_code == 78
    assert "extract-crypto-news failed: settings do not fit: NEWS_READ_LIMIT" in result.verdict.message


def test_every_run_leaves_its_log_in_the_lake(platform, tmp_path):
    (result,) = platform("prices-stock-pipeline")
    assert result.verdict.exit_code == 0
    with psycopg.connect(platform.uri) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT job, log_uri FROM data_platform.runs ORDER BY job")
        uris = dict(cursor.fetchall())
    assert sorted(uris) == ["extract-yfinance-stock", "load-postgres-prices-stock-pipeline"]
    for job, uri in uris.items():
        assert uri.startswith(f"logs/{job}/{SLOT.id}/")
        text = (tmp_path / "lake" / "tickvault" / uri).read_text()
        assert '"message": "l' in text  # landed …, loaded …


def test_a_run_whose_process_is_gone_is_crashed_and_one_that_lives_is_left_alone(server):
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.states import Running

    from tickvault.flows.pipeline import PROCESS_LABEL
    from tickvault.operations import reconciliation

    @flow
    def nothing() -> None:
        """Only its runs matter."""

    server.wait()
    dead = subprocess.Popen(["true"])
    dead.wait()
    with get_client(sync_client=True) as client:
        runs = {}
        for pid in (dead.pid, os.getpid()):
            run = client.create_flow_run(nothing, state=Running())
            client.update_flow_run_labels(run.id, {PROCESS_LABEL: f"{socket.gethostname()}:{pid}"})
            runs[pid] = run.id
        later = datetime.now(UTC) + timedelta(minutes=1)

        def reconcile(dry_run: bool) -> list[reconciliation.Correction]:
            return reconciliation.reconcile_flows(client, reconciliation.local_death, later, dry_run=dry_run)

        assert [c.why for c in reconcile(True)] == [f"its process {dead.pid} is gone"]
        assert len(reconcile(False)) == 1
        assert reconcile(False) == []
        assert client.read_flow_run(runs[dead.pid]).state.is_crashed()
        assert client.read_flow_run(runs[os.getpid()]).state.is_running()
