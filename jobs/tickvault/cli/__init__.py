"""The doors: ``tickvault <command>`` parses, calls one thing and prints. A command is imported when it is called."""

import importlib
import sys
import traceback
from io import TextIOWrapper
from types import TracebackType

import click

from tickvault.core import redaction
from tickvault.core.errors import ExitCode, PlatformError
from tickvault.core.program import called, pasted
from tickvault.core.suggestion import suggestion

COMMANDS = {
    "extract": "Read one source into the lake.",
    "load": "Load pending packages into a target.",
    "run": "Run a whole flow: extract, load, build.",
    "backfill": "Run a source or flow for a range of slots.",
    "run-now": "Start a job of the cluster now.",
    "replay-rejects": "Try records again that were put aside.",
    "logs": "Show the log of a run.",
    "reconcile": "Bring flow runs and ledger in line with what still lives.",
    "retention": "Remove what is old and needed no more.",
    "status": "Show runs, packages, loads and rejects.",
    "lake": "List, export, clean and repair the lake.",
    "dbt": "Build, test and publish the warehouse.",
    "metric": "Answer with a metric, by its dimensions.",
    "latest": "Say what assets cost now.",
    "query": "Ask an engine a question in SQL.",
    "sql": "Open a shell to ask an engine in SQL.",
    "export": "Write a table to a Parquet or CSV file.",
    "snowflake": "Prepare a Snowflake account.",
    "simulate": "Serve a simulated market.",
    "emulator": "Serve a Snowflake emulator.",
    "demo": "Run the whole platform here, simulated.",
    "local": "Run a command against the demo's engines.",
    "cluster": "Run a command in the cluster.",
    "alert": "Take Prometheus's alerts, test their way, list them.",
    "doctor": "Check whether everything can be reached.",
    "settings": "Show every setting, its value and meaning.",
}


class Help(click.HelpFormatter):
    """Writes a help whose examples can be pasted."""

    def getvalue(self) -> str:
        """Return what was written."""
        return pasted(super().getvalue())


class LazyGroup(click.Group):
    """A group that knows its commands' names and one-line helps without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of a user's day."""
        _ = ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        _ = ctx
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"tickvault.cli.{cmd_name.replace('-', '_')}").command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list without importing anything."""
        _ = ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest name for one that is unknown."""
        if args and args[0] not in COMMANDS:
            hint = suggestion(args[0], COMMANDS, otherwise="")
            ctx.fail(f"No such command '{args[0]}'. {hint[:1].upper()}{hint[1:]}".rstrip())
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tickvault", prog_name="tickvault")
def root() -> None:
    """Tickvault: a stock and crypto data platform.

    Settings come from environment variables or a file .env; 'tickvault settings' lists them all.

    Exit codes: 0 complete, 10 partial, 65 data rejected, 75 try again later, 78 configuration.
    """


def main() -> None:
    """Run the command line; the platform's own errors become one sentence and their exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what a terminal has no letter for is shown as \\u…, never an error
            stream.reconfigure(errors="backslashreplace")
    sys.excepthook = _say
    try:
        click.Context.formatter_class = Help
        root.main(prog_name=called())
    except PlatformError as error:
        click.echo(f"error: {pasted(str(error))}", err=True)
        sys.exit(int(error.exit_code))
    except ModuleNotFoundError as error:
        package = (error.name or "tickvault").partition(".")[0]
        if package == "tickvault":
            raise
        click.echo(
            f"error: {package} is not installed here: 'make install' in the checkout brings all extras", err=True
        )
        sys.exit(int(ExitCode.CONFIGURATION))


def _say(_kind: type[BaseException], error: BaseException, _traceback: TracebackType | None) -> None:
    """Print the traceback of what nobody foresaw, without any secret."""
    sys.stderr.write(redaction.text("".join(traceback.format_exception(error))))


if __name__ == "__main__":
    main()
