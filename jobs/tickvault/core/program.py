"""How a person calls this program from where they are: what it prints can be pasted.

Besides the settings the one variable of the environment: nobody sets it, a command tells it those it starts; and it is
wanted before any setting is, by the help and by errors of settings that do not fit.
"""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

CALLED = "TICKVAULT_CALLED"
"""Environment variable: what a command that starts others was called as, such as ``.venv/bin/tickvault local``."""
_COMMAND = re.compile(r"(?<![\w./-])(?<!-m )tickvault(?= (?:[a-z]|-))")


def called() -> str:
    """Return what a shell in this folder finds the program by: its name, the path it lies at, or Python's module."""
    if given := os.environ.get(CALLED):
        return given
    script = Path(sys.prefix, "bin", "tickvault")
    if Path(sys.argv[0]).name == "__main__.py" or not script.exists():
        return f"{_from_here(Path(sys.executable))} -m tickvault"
    found = shutil.which("tickvault")
    return "tickvault" if found and Path(found).resolve() == script.resolve() else _from_here(script)


def call_through(command: str) -> None:
    """Have this process, and those it starts, advise to call the program through one of its commands.

    Args:
        command: For instance ``local``: what is advised then is ``tickvault local status``.
    """
    os.environ[CALLED] = f"{called()} {command}"


def pasted(text: str) -> str:
    """Write the commands in a text, which call the program by its bare name, as they are called from here."""
    return _COMMAND.sub(lambda _: called(), text)


def _from_here(path: Path) -> str:
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))
