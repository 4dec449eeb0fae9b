"""``tickvault local``: the engines of this machine, and any command against them."""

import click

from tickvault.cli.options import load_settings
from tickvault.core import program
from tickvault.core.errors import ConfigError, SinkUnavailableError
from tickvault.core.settings import export
from tickvault.local.engines import Local, end, running, use
from tickvault.local.home import Home


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--live", is_flag=True, help="Use what 'tickvault demo --live' left.")
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED)
def command(live: bool, arguments: tuple[str, ...]) -> None:
    """Run a tickvault command against the demo's engines, which stay for the next one.

    \b
    Examples:
      tickvault local status
      tickvault local query "select count(*) from raw_customers"
      tickvault local query --on snowflake "select count(*) from RAW.RAW_TRANSACTIONS"
      tickvault local up
      tickvault local env
      tickvault local down --force

    Of the engines themselves: 'up' starts them and says how to connect; 'status' says where they are, then what ran;
    'env' prints export lines, so that eval "$(tickvault local env)" connects a shell, its psql and its notebooks;
    'down' ends them, with --force also under who uses them.

    They end by themselves when nobody used them for TICKVAULT_LOCAL_IDLE_MINUTES.
    """
    settings = load_settings()
    home = Home.of(settings.tickvault_home, live=live)
    word, *rest = arguments
    if word == "down":
        _down(home, rest)
        return
    if word != "up" and not home.folder.exists():
        raise ConfigError(
            f"there is nothing in {home.folder}; run '{'tickvault demo --live' if live else 'tickvault demo'}' first"
        )
    with use(home, f"tickvault {word}", idle_minutes=settings.tickvault_local_idle_minutes) as engines:
        for note in engines.notes:
            click.echo(note, err=True)
        if word == "env":
            _env(home, engines)
        elif word == "up":
            _show(home)
        else:
            if word == "status" and not rest:
                _show(home)
            _run(arguments, engines, "local --live" if live else "local")


def _run(arguments: tuple[str, ...], engines: Local, called: str) -> None:
    """Become the command, in this very process: a second one would cost half a second."""
    from tickvault.cli import root

    export(engines.environment)
    program.call_through(called)  # what it advises to call, it advises for these engines
    try:
        root.main(list(arguments), prog_name=program.called())
    except SinkUnavailableError:
        for failure in engines.line.ask("facts").get("failures", []) if engines.line else []:
            click.echo(failure, err=True)
        raise


def _down(home: Home, options: list[str]) -> None:
    if options not in ([], ["--force"]):
        raise click.UsageError("'down' knows one option, --force")
    users = end(home, force=bool(options))
    if users is None:
        click.echo("no engines are running")
    elif users and not options:
        raise click.ClickException(f"still in use by {', '.join(users)}; wait for it, or say --force")
    else:
        click.echo("the engines have ended")


def _reader(home: Home) -> dict[str, str]:
    """Return what psql and libpq take for the reader's login."""
    from tickvault.local import postgres
    from tickvault.local.running import DATABASE

    access = home.access()
    return {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(access.postgres_port),
        "PGDATABASE": DATABASE,
        "PGUSER": postgres.READER,
        "PGPASSWORD": access.reader_password,
    }


def _env(home: Home, engines: Local) -> None:
    import shlex

    for name, value in (engines.environment | _reader(home)).items():
        click.echo(f"export {name}={shlex.quote(value)}")


def _show(home: Home) -> None:
    """Say where the engines are and how to connect."""
    line = running(home)
    facts = line.ask("facts") if line else {}
    if line:
        line.close()
    for name, what in facts.get("engines", {}).items():
        click.echo(f"{name:<20} {what}")
    reader = _reader(home)
    address = f"{reader['PGUSER']}@{reader['PGHOST']}:{reader['PGPORT']}/{reader['PGDATABASE']}"
    click.echo(f"{'to read with':<20} psql postgresql://{address}")
    click.echo(f"{'its password':<20} {reader['PGPASSWORD']}")
    minutes = f"{facts.get('idle_minutes', 0):g} min after the last use"
    click.echo(f"{'they end':<20} {minutes}, or by '{program.called()} local down'\n")
