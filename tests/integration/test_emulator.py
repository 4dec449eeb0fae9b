"""The Snowflake emulator: data, stages and transactions behave as a loader needs them to."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import snowflake.connector
from snowflake.connector.errors import Error, IntegrityError, ProgrammingError

from tickvault.core.errors import ConfigError
from tickvault.local.snowflake import patches, server
from tickvault.local.snowflake.patches import CONFLICT
from tickvault.local.snowflake.process import Emulator, start
from tickvault.local.snowflake.sessions import Limits

Ask = Callable[..., list[tuple]]


@contextmanager
def session(emulator: Emulator, database: str = "PLAIN") -> Iterator[Ask]:
    connection = snowflake.connector.connect(
        user="any", password="any", account="fakesnow", host=emulator.host, port=emulator.port, protocol="http",
        database=database, schema="RAW", network_timeout=20, login_timeout=20,
    )  # fmt: skip
    try:
        yield lambda sql: connection.cursor().execute(sql).fetchall()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One that ends a transaction after two seconds, although its client is still connected."""
    with start(tmp_path_factory.mktemp("hasty"), limits=Limits(idle_seconds=0.1, connected_seconds=2.0)) as running:
        yield running


def eventually(check: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.1)


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"id": [1, 2], "v": ["new", "ünïcode"]}), path)
    return path


def stage(ask: Ask, parquet: Path) -> None:
    ask("CREATE STAGE IF NOT EXISTS FILES")
    assert ask(f"PUT 'file://{parquet}' @FILES/a/ AUTO_COMPRESS = FALSE")[0][6] == "UPLOADED"


COPY = "COPY INTO STAGED FROM @FILES/a/ FILE_FORMAT = (TYPE = PARQUET) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE"
MERGE = (
    "MERGE INTO T USING (SELECT * FROM STAGED QUALIFY ROW_NUMBER() OVER (PARTITION BY ID ORDER BY V) = 1) S"
    " ON T.ID = S.ID WHEN MATCHED THEN UPDATE SET V = S.V WHEN NOT MATCHED THEN INSERT (ID, V) VALUES (S.ID, S.V)"
)


def tables(ask: Ask) -> None:
    ask("CREATE OR REPLACE TABLE T (ID INT, V VARCHAR)")
    ask("CREATE OR REPLACE TABLE STAGED (ID INT, V VARCHAR)")
    ask("CREATE OR REPLACE TABLE LEDGER (P VARCHAR)")
    ask("INSERT INTO T VALUES (1, 'old')")


def test_a_restart_keeps_rows_stages_and_files(tmp_path: Path, parquet: Path) -> None:
    data = tmp_path / "data"
    with start(data) as killed, session(killed) as ask:
        tables(ask)
        stage(ask, parquet)
        os.kill(killed.pid, signal.SIGKILL)
    with start(data) as stopped, session(stopped) as ask:
        assert ask("SELECT * FROM T") == [(1, "old")]
        ask("INSERT INTO T VALUES (2, 'later')")
        patches.apply(tmp_path / "stages")  # which also removes fakesnow's temporary folder
        with pytest.raises(ConfigError, match="another one"):
            server._open(data, wait_seconds=0)
    assert not (data / "databases" / "PLAIN.db.wal").exists(), "SIGTERM leaves everything in the database file"
    with start(data) as emulator, session(emulator) as ask:
        assert ask("SELECT * FROM T ORDER BY ID") == [(1, "old"), (2, "later")]
        assert [row[0] for row in ask("LIST @FILES")] == ["files/a/rows.parquet"]
        ask(COPY)
        assert ask("SELECT COUNT(*) FROM STAGED") == [(2,)]


def test_a_killed_one_leaves_nothing_that_the_next_does_not_remove(
    tmp_path: Path, parquet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, temporary = tmp_path / "data", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.chdir(temporary)
    with start(data) as killed, session(killed) as ask:
        tables(ask)
        stage(ask, parquet)
        ask(COPY)
        ask("DROP TABLE STAGED")
        os.kill(killed.pid, signal.SIGKILL)
    assert list(temporary.iterdir()) == []
    (data / "tmp").mkdir()
    (data / "tmp" / "spilled").touch()
    with start(data) as emulator, session(emulator) as ask:
        noted = ask("SELECT DISTINCT EXT_TABLE_NAME FROM _FS_GLOBAL._FS_INFORMATION_SCHEMA._FS_COLUMNS_EXT ORDER BY 1")
        assert noted == [("LEDGER",), ("T",)]
        assert not (data / "tmp").exists()
        assert ask("SELECT current_setting('temp_directory')") == [(str(data / "tmp"),)]


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_copy_merge_and_ledger_are_one_transaction(emulator: Emulator, parquet: Path, end: str) -> None:
    with session(emulator) as ask, session(emulator) as other:
        tables(ask)
        stage(ask, parquet)
        ask("BEGIN")
        ask(COPY)
        assert ask(MERGE) == [(1, 1)], "inserted, updated"
        ask("INSERT INTO LEDGER VALUES ('p')")
        assert other("SELECT * FROM T") == [(1, "old")]
        assert other("SELECT COUNT(*) FROM LEDGER") == [(0,)]
        ask(end)
        done = end == "COMMIT"
        assert other("SELECT * FROM T ORDER BY ID") == ([(1, "new"), (2, "ünïcode")] if done else [(1, "old")])
        assert other("SELECT COUNT(*) FROM LEDGER") == [(1 if done else 0,)]


def test_a_slow_client_keeps_its_transaction_and_one_that_is_gone_does_not(emulator: Emulator) -> None:
    code = f"""
import sys, snowflake.connector
cursor = snowflake.connector.connect(user="any", password="any", account="fakesnow", host={emulator.host!r},
    port={emulator.port}, protocol="http", database="PLAIN", schema="RAW").cursor()
cursor.execute("BEGIN")
cursor.execute("UPDATE T SET V = 'slow' WHERE ID = 1")
print("updated", flush=True)
sys.stdin.readline()
cursor.execute("COMMIT")
cursor.execute("BEGIN")
cursor.execute("UPDATE T SET V = 'gone' WHERE ID = 1")
print("again", flush=True)
sys.stdin.readline()
"""
    with session(emulator) as ask:
        tables(ask)
        with subprocess.Popen([sys.executable, "-c", code], text=True, stdin=PIPE, stdout=PIPE) as slow:
            assert slow.stdin
            assert slow.stdout
            assert slow.stdout.readline() == "updated\n"
            time.sleep(5)  # longer than the fixture's two seconds for a client that is gone
            slow.stdin.write("\n")
            slow.stdin.flush()
            assert slow.stdout.readline() == "again\n", "it was given the time, and committed"
            assert ask("SELECT V FROM T") == [("slow",)]
            slow.kill()

        def updated() -> bool:
            try:
                return bool(ask("UPDATE T SET V = 'other' WHERE ID = 1"))
            except ProgrammingError:
                return False

        eventually(updated)
        assert ask("SELECT V FROM T") == [("other",)]


def test_an_abandoned_transaction_is_rolled_back_and_its_commit_fails(hasty: Emulator) -> None:
    with session(hasty) as ask, session(hasty) as other:
        tables(ask)
        ask("BEGIN")
        ask("UPDATE T SET V = 'abandoned' WHERE ID = 1")

        def updated() -> bool:
            try:
                other("UPDATE T SET V = 'other' WHERE ID = 1")
            except ProgrammingError as error:
                assert error.errno == CONFLICT
                return False
            return True

        assert not updated(), "a conflict is an SQL error at once"
        eventually(updated)
        with pytest.raises(Error):
            ask("COMMIT")
        assert other("SELECT V FROM T") == [("other",)]


def test_an_idle_session_outside_a_transaction_stays(hasty: Emulator) -> None:
    with session(hasty) as ask, session(hasty) as other:
        tables(ask)
        ask("BEGIN")
        ask("UPDATE T SET V = 'mine' WHERE ID = 1")
        eventually(lambda: _gone(ask))
        assert other("SELECT V FROM T") == [("old",)]


def _gone(ask: Ask) -> bool:
    # Asking keeps a session alive, so let it rest for longer than the limit of the fixture.
    time.sleep(3)
    try:
        ask("SELECT 1")
    except Error:
        return True
    return False


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("SELECT * FROM NOWHERE", 2003),
        ("SELEKT 1", 1003),
        ("INSERT INTO T VALUES ('text', 'v')", 100035),
        ("REMOVE @FILES", 1003),
        ("SELECT UNKNOWN_FUNCTION(1)", 2003),
    ],
)
def test_errors_are_sql_errors_at_once(emulator: Emulator, sql: str, number: int) -> None:
    with session(emulator) as ask:
        tables(ask)
        with pytest.raises(ProgrammingError) as caught:
            ask(sql)
        # What the connector repeats until its time is up ends as an OperationalError of another number.
        assert caught.value.errno == number


def test_a_null_in_a_required_column_is_an_sql_error(emulator: Emulator) -> None:
    with session(emulator) as ask:
        ask("CREATE OR REPLACE TABLE REQUIRED (A INT NOT NULL)")
        with pytest.raises(IntegrityError) as caught:
            ask("INSERT INTO REQUIRED VALUES (NULL)")
        assert caught.value.errno == 100072
