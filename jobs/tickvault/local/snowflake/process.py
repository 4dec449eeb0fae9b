"""Runs the emulator as a child process, for tests and the demo."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tickvault.core.errors import SinkUnavailableError
from tickvault.local.snowflake.server import IDLE_SECONDS

_STOP_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator.

    Args:
        host: Address it listens on.
        port: Port it listens on.
        pid: Its process.
    """

    host: str
    port: int
    pid: int

    def environment(self) -> dict[str, str]:
        """Return the variables that point the platform at it."""
        return {
            "SNOWFLAKE_ACCOUNT": "fakesnow",
            "SNOWFLAKE_USER": "tickvault",
            "SNOWFLAKE_PASSWORD": "tickvault",
            "SNOWFLAKE_HOST": self.host,
            "SNOWFLAKE_PORT": str(self.port),
            "SNOWFLAKE_PROTOCOL": "http",
        }


@contextmanager
def start(data_dir: Path, port: int = 0, *, idle_seconds: float = IDLE_SECONDS) -> Iterator[Emulator]:
    """Start the emulator on a folder and stop it at the end; it also stops when this process is killed.

    Args:
        data_dir: Folder of its data; its log is ``emulator.log`` there.
        port: Port to listen on; 0 chooses a free one.
        idle_seconds: How long a session may leave a transaction untouched before it is ended.

    Raises:
        SinkUnavailableError: It did not start; the log's end is in the message.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir / "emulator.log"
    command = [sys.executable, "-c", "from tickvault.cli import main; main()", "emulator", "serve"]
    command += ["--data-dir", str(data_dir), "--port", str(port), "--idle-seconds", str(idle_seconds), "--with-parent"]
    with log.open("ab") as errors:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        yield Emulator("127.0.0.1", _announced_port(child, log), child.pid)
    finally:
        _stop(child)


def _announced_port(child: subprocess.Popen[str], log: Path) -> int:
    assert child.stdout is not None  # noqa: S101 - it is a pipe, by the call above
    line = child.stdout.readline()
    if "://" not in line:
        raise SinkUnavailableError(f"the emulator did not start: {log.read_text()[-2000:]}")
    return int(line.strip().rsplit(":", 1)[1])


def _stop(child: subprocess.Popen[str]) -> None:
    child.terminate()
    try:
        child.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
