"""``tickvault emulator``: run the Snowflake emulator."""

from pathlib import Path

import click

from tickvault.local.snowflake.sessions import Limits


@click.group()
def command() -> None:
    """Run the Snowflake emulator (fakesnow, with its data kept on disk)."""


@command.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8085, show_default=True, help="Port to listen on; 0 chooses a free one.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".tickvault/snowflake"),
    show_default=True,
    help="Folder of its databases and staged files.",
)
@click.option(
    "--idle-seconds",
    default=Limits.idle_seconds,
    show_default=True,
    help="Roll back and end a session that leaves its transaction untouched for so long, once its client is gone.",
)
@click.option(
    "--connected-seconds",
    default=Limits.connected_seconds,
    show_default=True,
    help="The same while its client is still connected.",
)
@click.option(
    "--statement-seconds",
    default=Limits.statement_seconds,
    show_default=True,
    help="Cancel a statement that runs for so long.",
)
@click.option("--with-parent", is_flag=True, help="Also stop when standard input ends.")
@click.option("--inherited", type=int, hidden=True, help="Number of a socket that listens already.")
def serve(
    host: str,
    port: int,
    data_dir: Path,
    idle_seconds: float,
    connected_seconds: float,
    statement_seconds: float,
    with_parent: bool,
    inherited: int | None,
) -> None:
    """Serve until SIGTERM.

    Any user and password are accepted; the account is «fakesnow». Point the platform at it with SNOWFLAKE_HOST,
    SNOWFLAKE_PORT and SNOWFLAKE_PROTOCOL=http.
    """
    from tickvault.local.snowflake.server import serve as run

    def announce(host: str, port: int) -> None:
        click.echo(f"listening on http://{host}:{port}")

    limits = Limits(idle_seconds, connected_seconds, statement_seconds)
    run(data_dir, host, port, limits=limits, announce=announce, with_parent=with_parent, inherited=inherited)
