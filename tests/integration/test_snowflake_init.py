"""``tickvault snowflake init``: the SQL it prints, and what it does in the emulator."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlglot import exp, parse_one

from tickvault.cli.snowflake import command
from tickvault.core.errors import ConfigError
from tickvault.core.settings import Settings
from tickvault.engines.snowflake import session as connection
from tickvault.engines.snowflake.setup import steps


def variables(fields: dict[str, str]) -> dict[str, str]:
    return {name.upper(): value for name, value in fields.items()}


def test_dry_run_prints_everything_and_needs_no_account() -> None:
    result = CliRunner().invoke(command, ["init", "--dry-run"])
    assert result.exit_code == 0, result.output
    for wanted in (
        "USE ROLE ACCOUNTADMIN;",
        "CREATE ROLE IF NOT EXISTS TICKVAULT_ROLE",
        "GRANT USAGE ON DATABASE TICKVAULT TO ROLE TICKVAULT_READER;",
        "WAREHOUSE_SIZE = XSMALL AUTO_SUSPEND = 60",
        "CREATE RESOURCE MONITOR IF NOT EXISTS",
        "STATEMENT_TIMEOUT_IN_SECONDS = 1800",
        "QUERY_TAG = 'tickvault'",
        "CREATE DATABASE IF NOT EXISTS TICKVAULT;",
        "CREATE SCHEMA IF NOT EXISTS TICKVAULT.STAGING;",
        "CREATE STAGE IF NOT EXISTS TICKVAULT.RAW.MINIO_RAW_STAGE;",
        "GRANT WRITE ON STAGE TICKVAULT.RAW.MINIO_RAW_STAGE",
    ):
        assert wanted in result.output


def test_every_statement_is_snowflake_sql_and_repeatable(make_settings: Callable[..., Settings]) -> None:
    for step in steps(make_settings(), 5):
        assert parse_one(step.sql, read="snowflake") is not None
        created = isinstance(parse_one(step.sql, read="snowflake"), exp.Create) or step.sql.startswith("CREATE")
        assert not created or "IF NOT EXISTS" in step.sql


def test_in_the_emulator_twice(snowflake_settings: dict[str, str]) -> None:
    for _ in range(2):
        result = CliRunner().invoke(command, ["init"], env=variables(snowflake_settings))
        assert result.exit_code == 0, result.output
        assert "done      schemas, stage, ledger: CREATE STAGE" in result.output
        assert "left out  role: CREATE ROLE" in result.output


def test_a_name_that_is_no_identifier_is_refused(make_settings: Callable[..., Settings]) -> None:
    with pytest.raises(ConfigError, match="SNOWFLAKE_ROLE"):
        steps(make_settings(snowflake_role="x; DROP DATABASE y"), 5)


def test_a_key_pair_is_read_with_its_passphrase(make_settings: Callable[..., Settings]) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"open sesame"),
    ).decode()
    fields = {"snowflake_account": "x", "snowflake_private_key": pem}
    parameters = connection._parameters(make_settings(**fields, snowflake_private_key_passphrase="open sesame"))
    assert parameters["private_key"] == key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert "password" not in parameters
    assert "host" not in parameters, "a real account is found by its name"
    assert parameters["session_parameters"] == {"QUERY_TAG": "tickvault", "LOCK_TIMEOUT": 10, "TIMEZONE": "UTC"}
    with pytest.raises(ConfigError, match="passphrase"):
        connection._parameters(make_settings(**fields, snowflake_private_key_passphrase="wrong"))
