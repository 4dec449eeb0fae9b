"""What the shell does with a statement or a backslash command; it knows no keyboard, so scripts use it too."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import click

from tickvault.cli.shell import grid
from tickvault.core.engine import ENGINES
from tickvault.core.errors import ConfigError, PlatformError, SinkUnavailableError
from tickvault.core.settings import Settings
from tickvault.core.suggestion import suggestion
from tickvault.query.catalogue import Catalogue
from tickvault.query.read import Answer, Ask, session

HELP = {
    "\\?": "this list",
    "\\q": "quit; so does Ctrl-D",
    "\\dt [schema]": "the tables and views you may read",
    "\\d [table]": "a table's columns; without a name as \\dt",
    "\\x [on|off|auto]": "a line per column: always, never, or where a row is wider than the terminal",
    "\\e": "edit the last statement in $EDITOR, and run it",
    "\\timing": "show how long each statement takes, or do not",
    "\\engine [name]": f"ask another engine: {', '.join(ENGINES)}",
}


class Quit(Exception):  # noqa: N818 - not an error
    """The shell is left."""


@dataclass
class Console:
    """Runs what was typed against one engine at a time.

    Args:
        settings: Where the engines are.
        engine: The one asked first.
        limit: Rows shown at most.
        interactive: Whether somebody looks at it: only then is there a width to fit into.
    """

    settings: Settings
    engine: str
    limit: int = 1000
    interactive: bool = False
    expanded: str = "auto"
    timing: bool = False
    last: str = ""
    _held: ExitStack = field(default_factory=ExitStack)
    _ask: Ask | None = None
    _catalogue: Catalogue | None = None

    def do(self, text: str) -> None:
        """Run one statement or one backslash command and print what comes of it.

        Raises:
            PlatformError: It failed; where a name was unknown, with a near one.
            Quit: It was ``\\q``.
        """
        if text.startswith("\\"):
            self._command(text)
        elif text.strip().rstrip(";").strip():
            self.last = text
            self._statement(text)

    def connect(self) -> None:
        """Connect now, so that it is said at once when nobody answers."""
        self._asked()

    def close(self) -> None:
        """End the connection; the next statement opens another."""
        self._ask = None
        self._held.close()

    @property
    def catalogue(self) -> Catalogue:
        """What can be named, read once per engine."""
        if self._catalogue is None:
            self._catalogue = Catalogue.of(self._asked(), self.settings, self.engine)
        return self._catalogue

    def answer(self, text: str) -> Answer:
        """Run one statement and return its columns and rows; errors as of ``do``."""
        try:
            return self._asked()(text, self.limit)
        except KeyboardInterrupt:
            self.close()  # whatever is under way there ends with it
            raise
        except SinkUnavailableError:
            self.close()
            raise
        except PlatformError as error:
            raise self._with_hint(error) from error

    def _statement(self, text: str) -> None:
        start = time.perf_counter()
        columns, rows = self.answer(text)
        for line in self._drawn(columns, rows):
            click.echo(line)
        if self.interactive:
            click.echo(f"({len(rows):,} row{'' if len(rows) == 1 else 's'})")
        if len(rows) == self.limit:
            click.echo(f"only the first {self.limit:,} rows are shown; --limit shows more", err=True)
        if self.timing:
            click.echo(f"time: {1000 * (time.perf_counter() - start):,.0f} ms", err=not self.interactive)

    def _with_hint(self, error: PlatformError) -> PlatformError:
        try:
            hint = self.catalogue.hint(str(error))
        except PlatformError:  # the engine's own message is what counts
            return error
        return type(error)(f"{error}\n{hint}") if hint else error

    def _drawn(self, columns: list[str], rows: list[tuple[object, ...]]) -> Iterator[str]:
        wide = self.interactive and grid.breadth(columns, rows) > shutil.get_terminal_size().columns
        upright = bool(rows) and (self.expanded == "on" or (self.expanded == "auto" and wide))
        yield from grid.records(columns, rows) if upright else grid.table(columns, rows)

    def _asked(self) -> Ask:
        if self._ask is None:
            self._ask = self._held.enter_context(session(self.settings, self.engine))
        return self._ask

    def _command(self, text: str) -> None:
        word, *arguments = text.rstrip("; \n").split()
        argument = arguments[0] if arguments else ""
        commands: dict[str, Callable[[str], None]] = {
            "\\?": lambda _: self._show(["command", "what it does"], list(HELP.items())),
            "\\q": self._quit,
            "\\dt": self._tables,
            "\\d": lambda name: self._columns(name) if name else self._tables(""),
            "\\x": self._expand,
            "\\e": lambda _: self._edit(),
            "\\timing": lambda _: self._time(),
            "\\engine": self._change_engine,
        }
        if word not in commands:
            raise ConfigError(f"no command {word}; {suggestion(word, commands, otherwise='')} \\? lists them")
        commands[word](argument)

    def _show(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        for line in grid.table(columns, rows):
            click.echo(line)

    def _tables(self, schema: str) -> None:
        found = [(s, t, len(c)) for (s, t), c in self.catalogue.relations.items() if schema.lower() in {"", s}]
        if not found:
            raise ConfigError(f"no table in '{schema}'; {suggestion(schema, self.catalogue.schemas)}")
        self._show(["schema", "table", "columns"], found)

    def _columns(self, name: str) -> None:
        schema, table = self.catalogue.find(name.rstrip(";"))
        click.echo(f"{schema}.{table}")
        columns = self.catalogue.relations[schema, table]
        self._show(["column", "type", "null"], [(c.name, c.type, "" if c.nullable else "not null") for c in columns])

    def _expand(self, wanted: str) -> None:
        if wanted not in {"", "on", "off", "auto"}:
            raise ConfigError("\\x takes on, off or auto")
        self.expanded = wanted or ("off" if self.expanded == "on" else "on")
        click.echo(f"a line per column: {self.expanded}", err=not self.interactive)

    def _time(self) -> None:
        self.timing = not self.timing
        click.echo(f"timing: {'on' if self.timing else 'off'}", err=not self.interactive)

    def _edit(self) -> None:
        edited = click.edit(self.last or "select ", extension=".sql") if self.interactive else None
        if edited is None:
            click.echo("nothing was changed", err=True)
        else:
            click.echo(edited.rstrip())
            self.do(edited.strip())

    def _change_engine(self, name: str) -> None:
        if name and name not in ENGINES:
            raise ConfigError(f"no engine '{name}'; {suggestion(name, ENGINES)}")
        if name and not ENGINES[name].is_on(self.settings):
            raise ConfigError(f"{name} is off: {ENGINES[name].setting.upper()} is not set")
        if name and name != self.engine:
            self.close()
            self.engine, self._catalogue = name, None
        click.echo(f"asking {self.engine}", err=not self.interactive)

    def _quit(self, _: str) -> None:
        raise Quit
