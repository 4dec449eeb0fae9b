"""What fakesnow 0.12.1 does differently from Snowflake and a loader cannot live with; one function per change.

Each change is made from outside, so that a newer fakesnow can be tried by leaving a line of ``apply`` out.
"""

from collections import OrderedDict
from pathlib import Path
from typing import Any

CONFLICT = 625
"""Snowflake's number for «this statement waited too long for a lock»; here: two open transactions met on a row."""
_CONSTRAINT = 100072
_CANCELLED = "57014"
_RESULTS_KEPT = 100


def apply(stage_folder: Path) -> None:
    """Change fakesnow in this process; call once, before its server takes a request.

    Args:
        stage_folder: Absolute folder in which the files of internal stages are kept.
    """
    _keep_stages(stage_folder)
    _merge_inside_a_transaction()
    _report_errors_as_sql_errors()


def _keep_stages(folder: Path) -> None:
    # fakesnow puts staged files into a new temporary folder on every start, and leaves it behind.
    from fakesnow.transforms import stage

    Path(stage.LOCAL_BUCKET_PATH).rmdir()
    folder.mkdir(parents=True, exist_ok=True)
    stage.LOCAL_BUCKET_PATH = str(folder)


def _merge_inside_a_transaction() -> None:
    # A MERGE becomes CREATE TEMPORARY TABLE merge_candidates + UPDATE + INSERT. That CREATE is a means and not DDL of
    # the user's: handled as such it notes a comment in a second database, which DuckDB refuses in one transaction, and
    # with autocommit off commits what came before it.
    from fakesnow.cursor import FakeSnowflakeCursor
    from fakesnow.params import MutableParams
    from sqlglot import Expr, exp

    execute = FakeSnowflakeCursor._execute  # noqa: SLF001

    def patched(self: FakeSnowflakeCursor, transformed: Expr, params: MutableParams | None = None) -> None:
        table = transformed.find(exp.Table) if isinstance(transformed, exp.Create) else None
        if table is None or table.name.upper() != "MERGE_CANDIDATES":
            return execute(self, transformed, params)
        connection = self._conn
        if not connection._autocommit and not connection._in_transaction:  # noqa: SLF001
            self._duck_conn.begin()
            connection._in_transaction = True  # noqa: SLF001
        self._duck_conn.execute(transformed.sql(dialect="duckdb"), params)
        return None

    FakeSnowflakeCursor._execute = patched  # type: ignore[method-assign]  # noqa: SLF001


def _report_errors_as_sql_errors() -> None:
    # An error fakesnow does not know is answered with HTTP 500, which the connector repeats until its time is up.
    from fakesnow.cursor import FakeSnowflakeCursor
    from snowflake.connector.errors import Error

    execute = FakeSnowflakeCursor.execute

    def patched(self: FakeSnowflakeCursor, command: str, *args: Any, **kwargs: Any) -> FakeSnowflakeCursor:
        try:
            return execute(self, command, *args, **kwargs)
        except Error:
            raise
        except Exception as error:
            raise as_sql_error(error) from error

    FakeSnowflakeCursor.execute = patched  # type: ignore[method-assign]


def as_sql_error(error: Exception) -> Exception:
    """Return the connector's error that Snowflake would give for one of DuckDB's (or fakesnow's own)."""
    import duckdb
    from snowflake.connector.errors import ProgrammingError

    known: tuple[tuple[type[Exception], int, str], ...] = (
        (duckdb.TransactionException, CONFLICT, _CANCELLED),
        (duckdb.ConstraintException, _CONSTRAINT, "22000"),
        (duckdb.ConversionException, 100038, "22018"),
        (duckdb.OutOfRangeException, 100132, "22003"),
        (duckdb.CatalogException, 2003, "42S02"),
        (duckdb.BinderException, 904, "42000"),
        (duckdb.ParserException, 1003, "42000"),
    )
    number, state = next(((n, s) for kind, n, s in known if isinstance(error, kind)), (603, "XX000"))
    if number == _CONSTRAINT and "ext_table_catalog" in str(error):
        # Two sessions made the same table at once and met in fakesnow's own list of columns, not in the user's data.
        number, state = CONFLICT, _CANCELLED
    return ProgrammingError(msg=f"{type(error).__name__}: {error}", errno=number, sqlstate=state)


class RecentResults(OrderedDict[str, tuple[object, ...]]):
    """The results of the latest queries; fakesnow would keep every result it ever gave."""

    def __setitem__(self, key: str, value: tuple[object, ...]) -> None:
        super().__setitem__(key, value)
        while len(self) > _RESULTS_KEPT:
            self.popitem(last=False)
