"""The demo's engines: shared by commands, found again after kills, ended when nobody comes, open to readers only."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
import requests

from tickvault.core.errors import ConfigError
from tickvault.engines.scratch import scratch
from tickvault.local.engines import are_running, end, running, use
from tickvault.local.home import Access, Home

ROOT = Path(__file__).parents[2]
PATIENCE = 300
"""Seconds: only so that a test that fails ends at all; on a slow machine everything takes long."""
SMALL = {
    "CRYPTO_SYMBOLS": "BTC",
    "STOCK_SYMBOLS": "AAPL",
    "HISTORY_DAYS": "5",
    "NEWS_READ_LIMIT": "1",
    "FAKER_NUM_CUSTOMERS": "20",
    "FAKER_NUM_CORPORATES": "5",
    "FAKER_NUM_STOCK_TRANSACTIONS": "20",
    "FAKER_NUM_CRYPTO_TRANSACTIONS": "20",
    "COLUMNS": "200",
}


@pytest.fixture
def base() -> Iterator[Path]:
    """``TICKVAULT_HOME`` with a demo's folder; whatever a test leaves running there is ended.

    Not below pytest's own folder: that is closed to other users anew by every pytest that starts, and as root
    PostgreSQL runs as a user of its own.
    """
    with scratch("local") as folder:
        (folder / "demo").mkdir()
        yield folder
        for process in at_work(folder):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def at_work(base: Path) -> dict[psutil.Process, str]:
    """Every process that was told of this folder, by its arguments or its environment, with its command."""
    found = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            command = " ".join(process.cmdline())
            told = [command, process.environ().get("TICKVAULT_HOME", "")]
            if process.pid != os.getpid() and any(str(base) in word for word in told):
                found[process] = command
    return found


def count(base: Path, word: str) -> int:
    return sum(word in command for command in at_work(base).values())


def until(said: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not said():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.05)


def environment(base: Path, **more: str) -> dict[str, str]:
    return os.environ | {"TICKVAULT_HOME": str(base), "SEEDS_PATH": str(ROOT / "seeds")} | more


def start(base: Path, *arguments: str, **more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tickvault", *arguments]
    return subprocess.Popen(
        command, env=environment(base, **more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(base: Path, *arguments: str, code: int = 0, **more: str) -> str:
    process = start(base, *arguments, **more)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, out + err
    return out + err


def local(base: Path, *arguments: str, code: int = 0, **more: str) -> str:
    return run(base, "local", *arguments, code=code, **more)


def the(base: Path, word: str) -> psutil.Process:
    """The one process with this word among its arguments that no other of them started."""
    return min((p for p, command in at_work(base).items() if word in command), key=lambda p: (p.create_time(), p.pid))


def supervisor(base: Path) -> psutil.Process:
    return the(base, "tickvault.local.supervisor")


def postmaster(base: Path) -> psutil.Process:
    return psutil.Process(int((base / "demo" / "postgres" / "postmaster.pid").read_text().split()[0]))


def access(base: Path) -> Access:
    return Home(base / "demo").access()


def reader(base: Path, **changes: object) -> "psycopg.Connection[tuple[object, ...]]":
    login: dict[str, object] = {
        "host": "127.0.0.1",
        "port": access(base).postgres_port,
        "dbname": "stock_data",
        "user": "tickvault_reader",
        "password": access(base).reader_password,
    }
    return psycopg.connect(**(login | changes), autocommit=True)


def one(base: Path, sql: str) -> object:
    (row,) = json.loads(local(base, "query", "--json", sql))
    return next(iter(row.values()))


def test_commands_share_what_runs_and_wake_only_what_they_ask(base: Path) -> None:
    together = [start(base, "local", "query", "--json", f"select {n} as n") for n in range(3)]
    answers = [process.communicate(timeout=PATIENCE) for process in together]
    assert [json.loads(out) for out, _ in answers] == [[{"n": 0}], [{"n": 1}], [{"n": 2}]], answers
    server = postmaster(base)
    assert "tickvault" in local(base, "query", "select current_user")
    assert postmaster(base) == server, "it was not started anew"
    assert "wakes at the first call" in local(base, "up")
    assert not count(base, " emulator ")
    assert not count(base, "run_child"), "the market"
    assert "2" in local(base, "query", "--on", "snowflake", "select 2 as two")
    assert count(base, " emulator ") == 1
    assert "have ended" in local(base, "down")
    assert not at_work(base)
    assert "no engines are running" in local(base, "down")


def test_the_reader_logs_in_on_the_loopback_port_and_can_only_read(base: Path) -> None:
    shown = local(base, "up")
    assert f"tickvault_reader@127.0.0.1:{access(base).postgres_port}/stock_data" in shown
    assert access(base).reader_password in shown
    assert stat.S_IMODE((base / "demo" / "access.json").stat().st_mode) == 0o600
    exported = dict(
        line.removeprefix("export ").split("=", 1) for line in local(base, "env").splitlines() if "=" in line
    )
    with psycopg.connect(f"postgresql://{exported['POSTGRES_USER']}@:{exported['POSTGRES_PORT']}/stock_data?host="
                         f"{exported['POSTGRES_HOST']}", autocommit=True) as owner:  # fmt: skip
        owner.execute("CREATE TABLE raw_things AS SELECT 7 AS seven")
    with psycopg.connect(
        host=exported["PGHOST"], port=exported["PGPORT"], dbname=exported["PGDATABASE"], user=exported["PGUSER"],
        password=exported["PGPASSWORD"], autocommit=True,
    ) as connection:  # fmt: skip
        assert connection.execute("SELECT seven FROM raw_things").fetchone() == (7,)
        connection.execute("SET default_transaction_read_only = off")
        for writing in (
            "INSERT INTO raw_things VALUES (8)",
            "UPDATE raw_things SET seven = 8",
            "DROP TABLE raw_things",
            "CREATE TABLE mine (a int)",
            "CREATE TEMPORARY TABLE mine (a int)",
            "CREATE SCHEMA mine",
            "COPY raw_things TO PROGRAM 'cat'",
            "SELECT pg_read_file('PG_VERSION')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(writing.encode())
    for wrong in (
        {"password": "tickvault"},
        {"password": ""},
        {"user": "postgres"},
        {"user": "postgres", "password": ""},
    ):
        with pytest.raises(psycopg.OperationalError):
            reader(base, **wrong)
    listening = {c.laddr.ip for c in postmaster(base).net_connections("inet") if c.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


def test_a_killed_supervisor_takes_its_engines_with_it_and_the_next_one_finds_all_as_it_was(base: Path) -> None:
    local(base, "query", "--on", "snowflake", "select 1")
    before, old, server = access(base), supervisor(base), postmaster(base)
    old.kill()
    until(lambda: not at_work(base), "the engines end with their supervisor")
    assert not server.is_running()
    assert (base / "demo" / "engines.socket").exists(), "its socket is left, and nobody answers there"
    assert one(base, "select 5") == 5
    assert access(base) == before
    assert supervisor(base) != old


def test_a_killed_postgresql_is_started_again_under_its_users(base: Path) -> None:
    local(base, "up")
    server = postmaster(base)
    server.kill()
    server.wait(PATIENCE)
    assert one(base, "select 5") == 5
    again = postmaster(base)
    again.kill()
    again.wait(PATIENCE)

    def mended() -> bool:
        with suppress(psycopg.OperationalError), reader(base) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
        return False

    until(mended, "it is mended without anybody asking for it")


def test_a_killed_emulator_wakes_again_at_the_next_call(base: Path) -> None:
    local(base, "query", "--on", "snowflake", "select 1")
    the(base, " emulator ").kill()
    assert "7" in local(base, "query", "--on", "snowflake", "select 7 as seven")


def test_engines_end_when_nobody_comes_but_not_under_a_session_at_work(base: Path) -> None:
    brief = {"TICKVAULT_LOCAL_IDLE_MINUTES": "0.05"}
    local(base, "up", **brief)
    with reader(base) as connection:
        assert connection.execute("SELECT pg_sleep(8)").fetchone()  # longer than three seconds of idleness
        assert postmaster(base).is_running()
    until(lambda: not at_work(base), "they end")
    assert "nobody used the engines" in (base / "demo" / "engines.log").read_text()


def test_down_does_not_end_engines_under_a_command_unless_it_must(base: Path) -> None:
    busy = start(base, "local", "query", "select pg_sleep(600)")
    home = Home(base / "demo")
    until(lambda: (line := running(home)) and line.ask("facts")["users"], "the query uses the engines")
    assert f"still in use by tickvault query (process {busy.pid})" in local(base, "down", code=1)
    local(base, "down", "--force")
    _, said = busy.communicate(timeout=PATIENCE)
    assert busy.returncode == 75, said
    assert not at_work(base)


def test_engines_end_when_their_folder_is_removed(base: Path) -> None:
    local(base, "up")
    shutil.rmtree(base / "demo")
    until(lambda: not at_work(base), "they end")


def test_two_folders_live_beside_each_other_each_with_ports_of_its_own(tmp_path: Path) -> None:
    homes = [Home(tmp_path / name) for name in "ab"]
    for home in homes:
        home.folder.mkdir()
    first, opened, _ = homes[0].settle()
    second, opened_too, notes = homes[1].settle()
    ports = [p for a in (first, second) for p in (a.postgres_port, a.snowflake_port, a.market_port)]
    assert len(set(ports)) == 6
    assert first.reader_password != second.reader_password
    assert any(f"the simulated market is at {second.market_port}" in note for note in notes)
    for each in (*opened, *opened_too):
        assert each
        each.close()
    again, opened, notes = homes[1].settle()
    assert (again, notes) == (second, []), "what is remembered stays as long as it is free"
    for each in opened:
        assert each
        each.close()
    with socket.create_server(("127.0.0.1", second.postgres_port)):
        moved, opened, notes = homes[1].settle()
    assert moved.postgres_port != second.postgres_port
    assert f"port {second.postgres_port} is taken" in notes[0]
    for each in opened:
        assert each
        each.close()


def test_a_second_demo_in_one_folder_says_so(base: Path) -> None:
    with Home(base / "demo").alone("demo"):
        said = run(base, "demo", "--days", "1", code=78)
        assert f"another demo (process {os.getpid()}) runs in {base / 'demo'}" in said
    with Home(base / "demo").alone("demo"), pytest.raises(ConfigError), Home(base / "demo").alone("demo"):
        pass


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_demo_says_one_sentence_and_leaves_nothing_behind(
    base: Path, number: signal.Signals, code: int
) -> None:
    demo = start(base, "demo", "--days", "1", "--build", "off", "--port", "0", **SMALL)
    # A step is at work: the loader into Snowflake, or an extraction.
    until(lambda: demo.poll() is not None or count(base, "runners.warm") > 1, "a step")
    demo.send_signal(number)
    _, said = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == code, said
    assert said.strip().splitlines() == [
        "interrupted: everything it had started has ended; the same command goes on where it was"
    ]
    assert not at_work(base), "it waited for them"


def test_a_demo_that_is_killed_leaves_nothing_behind(base: Path) -> None:
    demo = start(base, "demo", "--days", "1", "--build", "off", "--port", "0", **SMALL)
    until(lambda: demo.poll() is not None or (base / "demo" / "postgres" / "postmaster.pid").exists(), "it is up")
    demo.kill()
    demo.communicate(timeout=PATIENCE)
    until(lambda: not at_work(base), "all end")
    assert end(Home(base / "demo")) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_demo_that_stops_on_engines_it_joined_sets_the_market_s_clock_going(
    base: Path, number: signal.Signals
) -> None:
    with use(Home(base / "demo"), "a test", idle_minutes=10) as engines:
        assert engines.simulator

        def is_frozen() -> bool:
            return bool(requests.get(f"{engines.simulator.url}/_control/clock", timeout=PATIENCE).json()["frozen"])

        assert not is_frozen()
        demo = start(base, "demo", "--days", "1", "--build", "off", **SMALL)
        until(lambda: demo.poll() is not None or is_frozen(), "the demo's first day")
        assert demo.poll() is None
        demo.send_signal(number)
        demo.communicate(timeout=PATIENCE)
        until(lambda: not is_frozen(), "the clock goes")
        assert are_running(Home(base / "demo"))


def test_after_an_update_commands_say_that_the_engines_are_those_of_before(base: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "jobs", tmp_path / "jobs", ignore=shutil.ignore_patterns("__pycache__"))

    def said() -> str:
        return local(base, "env", PYTHONPATH=str(tmp_path / "jobs"))

    note = "these engines run the code of before an update"
    assert note not in said()
    supervising = supervisor(base)
    with (tmp_path / "jobs" / "tickvault" / "cli" / "status.py").open("a") as source:
        source.write("# no engine imports this\n")
    assert note not in said()
    with (tmp_path / "jobs" / "tickvault" / "local" / "dormant.py").open("a") as source:
        source.write("# an update\n")
    assert note in said() and "local down' ends them" in said()
    assert supervising.is_running()
    local(base, "down")
    assert note not in said()
