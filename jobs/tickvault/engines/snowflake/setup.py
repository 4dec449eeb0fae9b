"""What an account needs before the first load. Every statement may be repeated; nothing that exists is replaced."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tickvault.core.errors import ConfigError
from tickvault.core.settings import Settings
from tickvault.engines.snowflake import tables

MONITOR = "TICKVAULT_MONITOR"
_TIMEOUT = 1800
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of the set-up.

    Args:
        topic: What it is about, in a word or two.
        sql: The statement.
        emulated: Whether the emulator has such a thing; it knows no roles, warehouses, users and monitors.
    """

    topic: str
    sql: str
    emulated: bool = False


def steps(settings: Settings, credits_a_month: int) -> list[Step]:
    """Return the statements in order, for a role that may do all of it, such as ACCOUNTADMIN.

    Args:
        settings: Names of role, user, warehouse, database and schemas.
        credits_a_month: Credits after which the warehouse is suspended until the month ends.

    Raises:
        ConfigError: A name is not a plain identifier.
    """
    for name in ("role", "reader_role", "user", "warehouse", "database", "schema", "schema_staging"):
        value = getattr(settings, f"snowflake_{name}")
        if not _PLAIN.fullmatch(value):
            raise ConfigError(f"SNOWFLAKE_{name.upper()}={value!r}: use letters, digits and underscores only")
    names = tables.Names.of(settings)
    return [
        *_account(settings, credits_a_month),
        Step("database", f"CREATE DATABASE IF NOT EXISTS {names.database}", emulated=True),
        *(Step("schemas, stage, ledger", sql, emulated=True) for sql in tables.foundation(names)),
        *_grants(settings, names),
    ]


def _account(settings: Settings, credits_a_month: int) -> Iterator[Step]:
    role, warehouse, user = settings.snowflake_role, settings.snowflake_warehouse, settings.snowflake_user
    yield Step("role", f"CREATE ROLE IF NOT EXISTS {role} COMMENT = 'Loads and builds Tickvault'")
    yield Step("role", f"GRANT ROLE {role} TO ROLE SYSADMIN")
    yield Step("role", f"GRANT ROLE {role} TO USER {user}")
    yield Step(
        "role", f"CREATE ROLE IF NOT EXISTS {settings.snowflake_reader_role} COMMENT = 'Reads what is published'"
    )
    yield Step("role", f"GRANT ROLE {settings.snowflake_reader_role} TO ROLE SYSADMIN")
    yield Step("role", f"GRANT ROLE {settings.snowflake_reader_role} TO USER {user}")
    yield Step(
        "resource monitor",
        f"CREATE RESOURCE MONITOR IF NOT EXISTS {MONITOR} WITH CREDIT_QUOTA = {credits_a_month} FREQUENCY = MONTHLY"
        " START_TIMESTAMP = IMMEDIATELY TRIGGERS ON 80 PERCENT DO NOTIFY ON 100 PERCENT DO SUSPEND",
    )
    yield Step("resource monitor", f"ALTER RESOURCE MONITOR {MONITOR} SET CREDIT_QUOTA = {credits_a_month}")
    yield Step(
        "warehouse",
        f"CREATE WAREHOUSE IF NOT EXISTS {warehouse} WAREHOUSE_SIZE = XSMALL AUTO_SUSPEND = 60 AUTO_RESUME = TRUE"
        " INITIALLY_SUSPENDED = TRUE",
    )
    yield Step(
        "warehouse",
        f"ALTER WAREHOUSE {warehouse} SET AUTO_SUSPEND = 60 RESOURCE_MONITOR = {MONITOR}"
        f" STATEMENT_TIMEOUT_IN_SECONDS = {_TIMEOUT}",
    )
    yield Step(
        "user",
        f"ALTER USER {user} SET DEFAULT_ROLE = {role} DEFAULT_WAREHOUSE = {warehouse} QUERY_TAG = 'tickvault'"
        f" STATEMENT_TIMEOUT_IN_SECONDS = {_TIMEOUT}",
    )


def _grants(settings: Settings, names: tables.Names) -> Iterator[Step]:
    role = settings.snowflake_role
    yield Step("grants", f"GRANT USAGE, OPERATE ON WAREHOUSE {settings.snowflake_warehouse} TO ROLE {role}")
    # dbt makes its own schemas beside these.
    yield Step("grants", f"GRANT USAGE, CREATE SCHEMA ON DATABASE {names.database} TO ROLE {role}")
    # Each publish grants the reader the public schemas and views.
    reader = settings.snowflake_reader_role
    yield Step("grants", f"GRANT USAGE ON WAREHOUSE {settings.snowflake_warehouse} TO ROLE {reader}")
    yield Step("grants", f"GRANT USAGE ON DATABASE {names.database} TO ROLE {reader}")
    for schema in (names.batch, names.prices, tables.LEDGER_SCHEMA):
        full = f"{names.database}.{schema}"
        yield Step("grants", f"GRANT USAGE, CREATE TABLE, CREATE VIEW, CREATE STAGE ON SCHEMA {full} TO ROLE {role}")
        rights = "SELECT, INSERT, UPDATE, DELETE, TRUNCATE"
        yield Step("grants", f"GRANT {rights} ON ALL TABLES IN SCHEMA {full} TO ROLE {role}")
    # READ has to come before WRITE.
    yield Step("grants", f"GRANT READ ON STAGE {names.stage} TO ROLE {role}")
    yield Step("grants", f"GRANT WRITE ON STAGE {names.stage} TO ROLE {role}")
