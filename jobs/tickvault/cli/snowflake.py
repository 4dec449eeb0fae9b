"""``tickvault snowflake``: prepare an account."""

import click

from tickvault.cli.options import dry_run_option, load_settings


@click.group()
def command() -> None:
    """Prepare a Snowflake account for the loader and dbt."""


@command.command()
@dry_run_option
@click.option("--admin-role", default="ACCOUNTADMIN", show_default=True, help="Role that runs the statements.")
@click.option("--admin-user", help="User that runs them, with SNOWFLAKE_PASSWORD or key [default: the loader].")
@click.option(
    "--credits", "credits_a_month", default=20, show_default=True, help="Credits a month before the warehouse stops."
)
def init(dry_run: bool, admin_role: str, admin_user: str | None, credits_a_month: int) -> None:
    """Make role, warehouse, monitor, database, schemas, stage, ledger and grants; safe to repeat.

    With --dry-run only the SQL is printed, for an administrator to read or run. The emulator gets what it knows.
    """
    from tickvault.engines.snowflake.session import Connection
    from tickvault.engines.snowflake.setup import steps

    settings = load_settings()
    planned = steps(settings, credits_a_month)
    if dry_run:
        click.echo("\n".join([f"USE ROLE {admin_role};", *(f"{step.sql};" for step in planned)]))
        return
    emulated = settings.snowflake_host is not None
    admin = {"snowflake_role": admin_role, "snowflake_user": admin_user or settings.snowflake_user}
    connection = Connection(settings.model_copy(update=admin))
    try:
        for step in planned:
            if step.emulated or not emulated:
                connection.run(step.sql)
                click.echo(f"done      {step.topic}: {step.sql}")
            else:
                click.echo(f"left out  {step.topic}: {step.sql}")
    finally:
        connection.close()
    if emulated:
        click.echo("The emulator knows no roles, users, warehouses and monitors: those statements were left out.")
