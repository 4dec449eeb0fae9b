"""Runs the emulator as a child process, for tests and the demo."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tickvault.core.errors import SinkUnavailableError
from tickvault.local import child
from tickvault.local.snowflake.sessions import Limits

_LOG = "emulator.log"
_LOG_BYTES = 2**20
"""A log longer than this is begun anew by the next start."""


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
            "SNOWFLAKE_PASSWORD": "any",
            "SNOWFLAKE_HOST": self.host,
            "SNOWFLAKE_PORT": str(self.port),
            "SNOWFLAKE_PROTOCOL": "http",
        }


@contextmanager
def start(
    data_dir: Path,
    port: int = 0,
    *,
    limits: Limits = Limits(),  # noqa: B008 - it is frozen
) -> Iterator[Emulator]:
    """Start the emulator on a folder and stop it at the end; it also stops when this process is killed.

    Args:
        data_dir: Folder of its data; its log is ``emulator.log`` there.
        port: Port to listen on; 0 chooses a free one.
        limits: What sessions and statements may take.

    Raises:
        SinkUnavailableError: It did not start; the log's end is in the message.
    """
    options = {"port": port} | asdict(limits)
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    process = _serve(data_dir, arguments, stdout=subprocess.PIPE)
    try:
        yield Emulator("127.0.0.1", _announced_port(process, data_dir / _LOG), process.pid)
    finally:
        child.stop(process)


def spawn(data_dir: Path, listening: socket.socket) -> "subprocess.Popen[bytes]":
    """Start the emulator on a socket that listens already, and return at once; it ends with this process."""
    return _serve(data_dir, ["--inherited", str(listening.fileno())], listening=listening)


def _serve(
    data_dir: Path, arguments: list[str], *, listening: socket.socket | None = None, stdout: int | None = None
) -> "subprocess.Popen[bytes]":
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir / _LOG
    command = ["-c", "from tickvault.cli import main; main()", "emulator", "serve", "--data-dir", str(data_dir)]
    with log.open("wb" if log.exists() and log.stat().st_size > _LOG_BYTES else "ab") as errors:
        return child.start([*command, *arguments, "--with-parent"], listening=listening, stdout=stdout, stderr=errors)


def _announced_port(process: subprocess.Popen[bytes], log: Path) -> int:
    assert process.stdout is not None  # noqa: S101 - it is a pipe, by the call above
    line = process.stdout.readline().decode()
    if "://" not in line:
        raise SinkUnavailableError(f"the emulator did not start: {log.read_text()[-2000:]}")
    return int(line.strip().rsplit(":", 1)[1])
