"""A mistyped name in a question to Snowflake is named, with what comes near it; a bare account is to be set up."""

from collections.abc import Callable
from contextlib import closing

import pytest

from tickvault.cli.shell.console import Console
from tickvault.core.errors import PlatformError, TerminalError
from tickvault.core.settings import Settings
from tickvault.engines.snowflake.session import Connection, MissingObjectError
from tickvault.query.read import read


@pytest.fixture
def settings(make_settings: Callable[..., Settings], snowflake_settings: dict[str, str]) -> Settings:
    return make_settings(**snowflake_settings)


@pytest.fixture
def tables(settings: Settings) -> None:
    with closing(Connection(settings)) as connection:
        database = settings.snowflake_database
        for schema in ("RAW", "MARTS"):
            connection.run(f"CREATE SCHEMA IF NOT EXISTS {database}.{schema}")
        connection.run(f"CREATE TABLE IF NOT EXISTS {database}.RAW.RAW_CUSTOMERS (ID INT)")
        connection.run(f"CREATE OR REPLACE VIEW {database}.MARTS.DIM_ASSET AS SELECT 1 AS ID")


def said(settings: Settings, sql: str) -> tuple[type[PlatformError], str]:
    with pytest.raises(PlatformError) as caught:
        read(settings, "snowflake", sql, 10)
    return type(caught.value), str(caught.value)


def test_with_nothing_there_it_is_to_be_set_up(settings: Settings) -> None:
    kind, text = said(settings, "SELECT * FROM RAW.RAW_CUSTOMERS")
    assert kind is MissingObjectError
    assert "tickvault snowflake init" in text


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(
    ("sql", "name", "hint"),
    [
        ("SELECT * FROM RAW.RAW_CUSTOMRES", "RAW_CUSTOMRES", "did you mean raw.raw_customers?"),
        (
            "select * from marts.dim_assets a join raw.raw_customers c on 1 = 1",
            "DIM_ASSETS",
            "did you mean marts.dim_asset?",
        ),
        ("SELECT * FROM DIM_ASET", "DIM_ASET", "did you mean marts.dim_asset?"),
        ("SELECT * FROM DIM_ASSET", "DIM_ASSET", "did you mean marts.dim_asset?"),
        ("SELECT * FROM MRTS.DIM_ASSET", "MRTS.DIM_ASSET", "did you mean marts.dim_asset?"),
        ('WITH a AS (SELECT 1 AS i) SELECT * FROM a JOIN RAW."NOTHING_LIKE_IT" USING (i)', "NOTHING_LIKE_IT", ""),
    ],
)
def test_a_mistyped_name_is_named(settings: Settings, sql: str, name: str, hint: str) -> None:
    kind, text = said(settings, sql)
    assert kind is TerminalError
    assert f"name {name} does not exist" in text.replace('"', "")
    assert text.endswith(f"\n{hint}") if hint else "did you mean" not in text
    assert "init" not in text
    with closing(Console(settings, "snowflake")) as console, pytest.raises(TerminalError) as caught:
        console.answer(sql)
    assert str(caught.value) == text


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("sql", ["SELECT NO_FUNCTION(1)", "SELECT NO_COLUMN FROM RAW.RAW_CUSTOMERS"])
def test_what_is_no_table_is_left_to_snowflake_s_own_words(settings: Settings, sql: str) -> None:
    kind, text = said(settings, sql)
    assert kind is TerminalError
    assert "no_function" in text.lower() or "no_column" in text.lower()
    assert "init" not in text
