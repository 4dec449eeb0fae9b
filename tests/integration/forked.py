"""The command line in forks of one process that has imported everything: a test's many calls import nothing anew."""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from tickvault.runners.warm import PRELOAD

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([*PRELOAD, "tickvault.cli.lake", "tickvault.cli.status", "tickvault.sources"])


def tickvault(
    arguments: list[str], environment: Mapping[str, str], folder: Path, timeout: float = 300
) -> tuple[int, str, str]:
    """Run ``tickvault`` as a process of its own; returns its exit code and what it printed to both streams."""
    with tempfile.TemporaryDirectory() as place:
        streams = [Path(place, name) for name in ("stdout", "stderr")]
        child = _FORKS.Process(target=_become, args=(arguments, dict(environment), str(folder), *map(str, streams)))
        child.start()
        child.join(timeout)
        if child.exitcode is None:
            child.kill()
            child.join()
        said = [stream.read_text(encoding="utf-8") if stream.exists() else "" for stream in streams]
        return child.exitcode, said[0], said[1]


def _become(arguments: list[str], environment: dict[str, str], folder: str, stdout: str, stderr: str) -> NoReturn:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, path in ((1, stdout), (2, stderr)):
        file = os.open(path, os.O_CREAT | os.O_WRONLY)
        os.dup2(file, number)
        os.close(file)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", closefd=False)
    sys.argv = ["tickvault", *arguments]
    from tickvault.cli import main

    try:
        main()
    finally:
        sys.stdout.flush()
