"""Removes what loads leave behind in the emulator, since later ones pay for it: a COPY looks at every folder there is.

A load's file is removed by its COPY (PURGE), its two folders are not; a killed one leaves the file, too. Of a staging
table that is dropped fakesnow keeps what it noted on it, and of each file that it was loaded.
"""

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tickvault.engines.snowflake.tables import STAGE

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_TICK = 600.0
_EMPTY_SECONDS = 3600.0
"""A folder this long empty will not be written to: those of an attempt are its own."""
_FILE_SECONDS = 86_400.0
"""A loader's file this old is a killed attempt's. Files of other stages stay: their owners alone know what they are."""
_HISTORY_DAYS = 64
"""As long as Snowflake remembers which files were loaded."""
_NOTES = "_fs_global._fs_information_schema"


async def watch(stage: Path) -> None:
    """Sweep the stages now and every ten minutes until cancelled."""
    while True:
        await asyncio.to_thread(sweep, stage, time.time())
        await asyncio.sleep(_TICK)


def sweep(stage: Path, now: float) -> None:
    """Remove the files of loads that were killed, and folders that are empty.

    Args:
        stage: Folder of all stages: ``<database>/<schema>/<stage>/…``.
        now: The current time.
    """
    for parent, _, names in os.walk(stage, topdown=False):
        folder = Path(parent)
        loader = folder.relative_to(stage).parts[2:3] == (STAGE,)
        for name in names:
            if loader and _untouched_for(folder / name, now) > _FILE_SECONDS:
                (folder / name).unlink(missing_ok=True)
        if folder != stage and _untouched_for(folder, now) > _EMPTY_SECONDS:
            with suppress(OSError):  # it is not empty
                folder.rmdir()


def _untouched_for(path: Path, now: float) -> float:
    try:
        return now - path.stat().st_mtime
    except FileNotFoundError:  # a COPY has just removed it
        return 0.0


def forget(connection: "DuckDBPyConnection", databases: list[str]) -> None:
    """Forget notes on tables that are gone, and of files loaded long ago that they were; before anybody connects."""
    there = "SELECT database_name, schema_name, table_name FROM duckdb_tables()"
    there += " UNION ALL SELECT database_name, schema_name, view_name FROM duckdb_views()"
    for table in ("_fs_tables_ext", "_fs_columns_ext"):
        key = "(ext_table_catalog, ext_table_schema, ext_table_name)"
        connection.execute(f"DELETE FROM {_NOTES}.{table} WHERE {key} NOT IN ({there})")
    for name in databases:
        connection.execute(
            f'DELETE FROM "{name}"._fs_information_schema._fs_load_history'
            f" WHERE LAST_LOAD_TIME < now() - INTERVAL {_HISTORY_DAYS} DAY"
        )
