"""Serves fakesnow over HTTP with its data kept in a folder.

``<data>/databases/*.db`` are the databases, ``<data>/objects.db`` stages, file formats, comments and text lengths,
``<data>/stage`` the staged files, ``<data>/tmp`` what queries write to disk for want of memory.
"""

import asyncio
import importlib
import json
import shutil
import signal
import socket
import sys
import time
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickvault.core.errors import ConfigError
from tickvault.local import parent
from tickvault.local.snowflake import leftovers, patches
from tickvault.local.snowflake.sessions import Limits, Sessions, close

if TYPE_CHECKING:
    from fakesnow.instance import FakeSnow
    from starlette.applications import Starlette
    from starlette.responses import Response

_LOCK_WAIT = 30.0
_KEEP_ALIVE_SECONDS = 3600
_OVER = "000630"


def serve(
    data_dir: Path,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    limits: Limits = Limits(),  # noqa: B008 - it is frozen
    announce: Callable[[str, int], None] | None = None,
    with_parent: bool = False,
    inherited: int | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then roll open transactions back and write everything to disk.

    Args:
        data_dir: Folder of the data, made if missing; one server at a time.
        host: Address to listen on.
        port: Port to listen on; 0 chooses a free one.
        limits: What sessions and statements may take.
        announce: Called with host and port once connections are accepted.
        with_parent: Also stop when standard input ends, which it does when the parent process is gone.
        inherited: Number of a socket that listens already, instead of host and port.

    Raises:
        ConfigError: The folder is in use by another server, or the port is taken.
    """
    import uvicorn

    warnings.filterwarnings("ignore", "Arrow output on a DB-API result", UserWarning)  # fakesnow's own way
    warnings.filterwarnings("ignore", ".*doesn't match a supported version")  # of the chardet that sqlfluff brings
    data_dir = data_dir.expanduser().resolve()
    patches.apply(data_dir / "stage")
    engine = _open(data_dir)
    try:
        listener = socket.create_server((host, port)) if inherited is None else socket.socket(fileno=inherited)
    except OSError as error:
        raise ConfigError(
            f"the emulator cannot listen on {host}:{port}: {error.strerror}; choose another port"
        ) from error
    # asyncio does this only for sockets whose protocol is named; without it every answer waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # uvicorn raises the signal that stopped it once more when it is done: end with 0 then.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    ready = (lambda: announce(host, listener.getsockname()[1])) if announce else (lambda: None)

    def connected(client: object) -> bool:
        return any(getattr(each, "client", None) == client for each in server.server_state.connections)

    fakesnow_server: Any = importlib.import_module("fakesnow.server")  # its package has a function of that name
    fakesnow_server.shared_fs = engine
    sessions = Sessions(fakesnow_server.sessions, limits, connected)
    config = uvicorn.Config(
        _application(engine, data_dir / "stage", sessions, limits.statement_seconds, ready),
        log_level="warning",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=5,
        lifespan="on",
    )
    server = uvicorn.Server(config)
    if with_parent:
        parent.follow()
    server.run(sockets=[listener])


def _open(data_dir: Path, wait_seconds: float = _LOCK_WAIT) -> "FakeSnow":
    import duckdb

    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return _attach(data_dir)
        except duckdb.IOException as error:
            # A predecessor that was just told to stop still holds the files for a moment.
            held = "Could not set lock" in str(error)
            if not held or time.monotonic() > deadline:
                why = "is another one serving it?" if held else "remove it to begin anew:"
                raise ConfigError(f"the emulator cannot open {data_dir}; {why} {error}") from error
            time.sleep(0.2)


def _attach(data_dir: Path) -> "FakeSnow":
    from fakesnow import info_schema
    from fakesnow.instance import GLOBAL_DATABASE_NAME, FakeSnow
    from fakesnow.transforms import show

    databases = data_dir / "databases"
    databases.mkdir(parents=True, exist_ok=True)
    engine = FakeSnow(db_path=databases)
    engine.results_cache = patches.RecentResults()
    # fakesnow keeps stages and file formats in memory while the load history is on disk: keep both on disk.
    engine.duck_conn.execute(f"DETACH {GLOBAL_DATABASE_NAME}")
    engine.duck_conn.execute(f"ATTACH '{data_dir / 'objects.db'}' AS {GLOBAL_DATABASE_NAME}")
    engine.duck_conn.execute(info_schema.fs_global_creation_sql())
    engine.duck_conn.execute(show.fs_global_creation_sql())
    # It attaches a database only when a client names it at login: have all of them from the start.
    for file in sorted(databases.glob("*.db")):
        engine.connect(database=file.stem).close()
    leftovers.forget(engine.duck_conn, [file.stem for file in databases.glob("*.db")])
    # In the working folder, where it would be, an image may write nothing.
    shutil.rmtree(data_dir / "tmp", ignore_errors=True)
    engine.duck_conn.execute(f"SET temp_directory = '{data_dir / 'tmp'}'")
    return engine


def _refused(message: str, code: str = "000603") -> "Response":
    from starlette.responses import JSONResponse

    return JSONResponse({"data": {"sqlState": "XX000"}, "code": code, "message": message, "success": False})


def _application(
    engine: "FakeSnow", stage: Path, sessions: Sessions, statement_seconds: float, ready: Callable[[], None]
) -> "Starlette":
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    fakesnow_server: Any = importlib.import_module("fakesnow.server")

    async def query(request: Request) -> Response:
        try:
            token = fakesnow_server.to_token(request)
        except fakesnow_server.ServerError:
            token = ""  # fakesnow answers it itself, with 401
        await request.body()  # so that all that can still arrive is the client's end
        client = request.client and tuple(request.client)
        async with sessions.using(token, statement_seconds, client, request.is_disconnected) as limit:
            response: Response = await fakesnow_server.query_request(request)
        if limit.over:
            return _refused(f"Statement reached its timeout of {statement_seconds:g} second(s) and was canceled", _OVER)
        if response.status_code != 500:  # noqa: PLR2004
            return response
        return _refused(json.loads(bytes(response.body))["message"])

    async def session(request: Request) -> Response:
        connection = sessions.connection(request.headers.get("Authorization", "")[17:-1])
        response: Response = await fakesnow_server.session(request)
        if connection is not None and request.query_params.get("delete"):
            close(connection)
        return response

    async def failed(_: Request, error: Exception) -> Response:
        return _refused(f"{type(error).__name__}: {error}")

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "idle_seconds": sessions.idle_seconds()})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        watchers = asyncio.gather(sessions.watch(), leftovers.watch(stage))
        ready()
        yield
        watchers.cancel()
        with suppress(asyncio.CancelledError):
            await watchers
        sessions.close()
        engine.duck_conn.close()

    own = [
        Route("/queries/v1/query-request", query, methods=["POST"]),
        Route("/session", session, methods=["POST"]),
        Route("/healthz", health),
    ]
    replaced = {route.path for route in own}
    routes = own + [route for route in fakesnow_server.routes if route.path not in replaced]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={Exception: failed})
