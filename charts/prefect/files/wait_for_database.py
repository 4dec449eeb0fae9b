"""Waits until the server's own user can log in to its database: the database's init Job may still be running."""

import asyncio
import os
import sys
import time

import asyncpg


async def main() -> None:
    deadline = time.monotonic() + 240
    while True:
        try:
            connection = await asyncpg.connect(timeout=5)  # host, user, database and password from PG* variables
            await connection.close()
            return
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            if time.monotonic() > deadline:
                sys.exit(f"no login at {os.environ['PGHOST']} as {os.environ['PGUSER']} within four minutes: {error}")
            await asyncio.sleep(2)


asyncio.run(main())
