"""The interactive shell: reads statements of several lines, and goes on after errors and Ctrl-C."""

import os
from pathlib import Path

import click
from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import PygmentsLexer
from prompt_toolkit.output import Output
from pygments.lexers.sql import SqlLexer  # type: ignore[import-untyped]

from tickvault.cli.shell.completion import ShellCompleter
from tickvault.cli.shell.console import Console, Quit
from tickvault.core.errors import PlatformError
from tickvault.query.script import is_complete, statements

HISTORY = ".tickvault_sql_history"


def converse(console: Console, terminal: tuple[Input, Output] | None = None) -> None:
    """Prompt until it is left: Ctrl-C forgets what is typed or cancels what runs, Ctrl-D leaves.

    Args:
        console: What runs the statements.
        terminal: Where keys come from and what is shown goes; the process's own by default.
    """
    given = {"input": terminal[0], "output": terminal[1]} if terminal else {}
    prompts: PromptSession[str] = PromptSession(
        history=_history(),
        completer=ShellCompleter(lambda: console.catalogue, lambda: console.engine),
        complete_in_thread=False,
        auto_suggest=AutoSuggestFromHistory(),
        lexer=PygmentsLexer(SqlLexer),
        key_bindings=_keys(),
        multiline=True,
        prompt_continuation=lambda width, *_: ">".rjust(width - 1) + " ",
        **given,  # type: ignore[arg-type]
    )
    click.echo(f"asking {console.engine}; \\? helps, Tab completes, a semicolon ends a statement, \\q leaves")
    while True:
        try:
            _run(console, prompts.prompt(f"{console.engine}=> "))
        except KeyboardInterrupt:
            continue
        except (EOFError, Quit):
            return


def _run(console: Console, typed: str) -> None:
    text = typed.strip()
    try:
        for statement in [text] if text.startswith("\\") else statements(text):
            console.do(statement)
    except KeyboardInterrupt:
        click.echo("cancelled")
    except PlatformError as error:
        click.echo(f"error: {error}", err=True)


def _keys() -> KeyBindings:
    """Have Enter run what is complete, and begin a new line otherwise."""
    keys = KeyBindings()

    @Condition
    def runs() -> bool:
        text = get_app().current_buffer.text.strip()
        return not text or text.startswith("\\") or is_complete(text)

    @keys.add("enter", filter=runs)
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    return keys


def _history() -> History:
    """Return the history in the home folder, for its owner's eyes only; where that cannot be, one that is forgotten."""
    try:
        path = Path.home() / HISTORY
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    except (OSError, RuntimeError):  # no home folder, or none that may be written to
        return InMemoryHistory()
    return FileHistory(path)
