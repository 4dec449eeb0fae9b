"""Who asks only reads: as a login of its own, on every engine, whatever the statement tries."""

import os
import signal
import threading
import time
from contextlib import closing

import pytest

from tickvault.cli.shell import grid
from tickvault.core.errors import ConfigError, PlatformError, SinkUnavailableError, TerminalError
from tickvault.engines.postgres.connection import Connection
from tickvault.local import postgres
from tickvault.local.snowflake.process import start
from tickvault.local.snowflake.sessions import Limits
from tickvault.query.export import export
from tickvault.query.read import read, session


@pytest.fixture
def settings(make_settings, postgres_database, postgres_settings):
    """A database with a table of before and one of after the reader was made."""
    with Connection.to(postgres_database, "here") as owner:
        owner.run("CREATE SCHEMA IF NOT EXISTS data_platform")
        owner.run("DROP TABLE IF EXISTS data_platform.old, new")
        owner.run("CREATE TABLE data_platform.old AS SELECT 1 AS n")
        user = postgres.create_reader(postgres_database)
        assert postgres.create_reader(postgres_database) == user
        owner.run("CREATE TABLE new AS SELECT 2 AS n")
    return make_settings(**postgres_settings, postgres_reader_user=user)


WRITES = [
    "COMMIT; DROP TABLE new", "select 1; drop table new", "with d as (delete from new returning *) select * from d",
    "select * into copied from new", "explain analyze delete from new", "delete from new",
    "select set_config('role', 'postgres', false)", "select pg_read_file('/etc/passwd')",
    "select query_to_xml('delete from new', true, true, '')", "select lo_create(4711)",
    "select set_config('transaction_read_only', 'off', true), query_to_xml('delete from new', true, true, '')",
    "copy new to program 'true'", "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'postgres'",
]  # fmt: skip


@pytest.mark.parametrize("sql", WRITES)
def test_no_statement_writes_or_becomes_another(settings, postgres_database, sql):
    with Connection.to(postgres_database, "here") as other, pytest.raises(PlatformError) as caught:
        read(settings, "postgres", sql, 10)
        pytest.fail(f"{other} let it pass")
    assert isinstance(caught.value, TerminalError | ConfigError)
    assert read(settings, "postgres", "select n from new union all select n from data_platform.old", 10)[1] == [
        (2,),
        (1,),
    ]
    assert read(settings, "postgres", "select current_user, current_setting('is_superuser')", 1)[1] == [
        (postgres.READER, "off")
    ]


def test_an_export_is_read_by_the_reader(settings, tmp_path):
    assert export(settings, "postgres", "public.new", tmp_path / "new.csv", "csv") == 1
    with pytest.raises(PlatformError):
        export(settings, "postgres", "pg_authid", tmp_path / "x.csv", "csv")


def test_a_number_of_no_certain_precision_stays_a_number_in_a_csv(settings, postgres_database, tmp_path):
    with Connection.to(postgres_database, "here") as owner:
        owner.run(
            """CREATE OR REPLACE VIEW sums AS SELECT -1.5::numeric AS sum, 0::numeric(38,10) AS zero,
            1e-7::float8 AS small, '-1.5'::text AS text, ''::text AS nothing, NULL::text AS missing"""
        )
    assert export(settings, "postgres", "public.sums", tmp_path / "sums.csv", "csv") == 1
    line = (tmp_path / "sums.csv").read_text().splitlines()[1]
    assert line == """-1.5,0.0000000000,0.0000001,"'-1.5","","""
    assert read(settings, "postgres", "select zero from sums", 1)[1] == [(0,)]


@pytest.mark.parametrize("engine", ["postgres", "snowflake"])
def test_a_boolean_comes_as_one(settings, make_settings, snowflake_settings, engine):
    asked = settings if engine == "postgres" else make_settings(**snowflake_settings)
    _, rows = read(asked, engine, "select true, false, 1 = 2 or null", 1)
    assert [grid.text(value) for value in rows[0]] == ["true", "false", ""]


def test_an_interrupt_cancels_the_statement_at_the_server_and_the_session_goes_on(settings, postgres_database):
    def interrupt():
        with Connection.to(postgres_database, "here") as other:
            while not other.one(running)[0]:
                time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(123)%' AND pid <> pg_backend_pid()"
    running += " AND state = 'active'"
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as it is where a person asks, whatever ran here before
    with session(settings, "postgres") as ask:
        impatient = threading.Thread(target=interrupt)
        impatient.start()
        with pytest.raises(KeyboardInterrupt):
            ask("select pg_sleep(123)", 1)
        impatient.join()
        with Connection.to(postgres_database, "here") as other:
            assert other.one(running)[0] == 0
        assert ask("select 1", 1)[1] == [(1,)]
        with pytest.raises(TerminalError, match="may write"):
            ask("delete from new", 1)


def test_without_a_reader_the_transaction_still_only_reads(make_settings, postgres_settings, settings):
    assert settings
    with pytest.raises(TerminalError, match="read-only"):
        read(
            make_settings(**postgres_settings), "postgres", "with d as (delete from new returning 1) select * from d", 1
        )


def test_a_server_that_turned_read_only_is_to_be_tried_again(make_settings, postgres_settings, settings):
    assert settings
    with Connection.open(make_settings(**postgres_settings)) as connection:
        connection.run("SET default_transaction_read_only = on")  # as a standby is
        with pytest.raises(SinkUnavailableError, match="read-only"):
            connection.run("DELETE FROM new")


def test_the_emulator_runs_one_statement_that_reads(make_settings, snowflake_settings):
    settings = make_settings(**snowflake_settings)
    assert read(settings, "snowflake", "select 1 as n", 5)[1] == [(1,)]
    for sql in ("create table x (n int)", "select 1; create table x (n int)", "COMMIT; create table x (n int)"):
        with pytest.raises(PlatformError):
            read(settings, "snowflake", sql, 5)
    assert read(settings, "snowflake", "select count(*) from information_schema.tables where table_name = 'X'", 1)[
        1
    ] == [(0,)]


def test_the_emulator_cancels_what_runs_for_too_long(make_settings, tmp_path):
    from tickvault.engines.snowflake.session import Connection as Snowflake

    with start(tmp_path / "emulator", limits=Limits(statement_seconds=1.0)) as running:
        fields = {name.lower(): value for name, value in running.environment().items()}
        with closing(Snowflake(make_settings(**fields))) as connection:
            with pytest.raises(SinkUnavailableError, match="timeout of 1 second"):
                connection.run("SELECT COUNT(*) FROM range(100000) a, range(100000) b, range(100000) c")
            assert connection.run("SELECT 1") == [(1,)]
