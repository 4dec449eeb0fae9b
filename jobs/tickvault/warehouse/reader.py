"""The platform's data for a notebook or a script: what ``tickvault.connect()`` gives. Public: its names stay."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date
from decimal import Decimal
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tickvault.core.settings import Settings
from tickvault.query.catalogue import Catalogue
from tickvault.query.latest import LatestPrice, latest
from tickvault.query.read import Ask, session
from tickvault.query.relation import published
from tickvault.warehouse.metrics import metric, statement

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped, unused-ignore]

_MOST = 10_000_000


class Reader:
    """A connection that only reads, for one thread; ``with`` or ``close`` ends it.

    Errors are those of ``tickvault.core.errors``: ``ConfigError`` for a name that is unknown or an engine that is not
    set up, ``SinkUnavailableError`` where it does not answer, ``TerminalError`` for a statement it does not understand.

    Args:
        settings: Where the engine is.
        engine: postgres, snowflake or trino.
        held: What stays open meanwhile, and is closed with it.
    """

    def __init__(self, settings: Settings, engine: str, held: ExitStack) -> None:
        self.settings, self.engine = settings, engine
        self._ask: Ask = held.enter_context(session(settings, engine))
        self._held = held.pop_all()

    def frame(self, sql: str) -> "pd.DataFrame":
        """Run one statement that reads and return its rows; decimals become floats, dates and times datetime64, UTC."""
        columns, rows = self._ask(sql, _MOST)
        return _frame(columns, rows)

    def rows(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run one statement that reads and return columns and rows as the driver gives them: decimals stay exact."""
        return self._ask(sql, _MOST)

    def metric(
        self, name: str, by: Sequence[str] = (), since: date | None = None, until: date | None = None
    ) -> "pd.DataFrame":
        """Compute a metric of ``docs/metrics.md``: a row per combination of the dimensions; days are UTC, inclusive."""
        relation = partial(published, self.settings, self.engine)
        columns, sql = statement(metric(name), by, since, until, relation)
        return _frame(columns, self._ask(sql, _MOST)[1])

    def latest(self, *symbols: str) -> list[LatestPrice]:
        """Return the newest price of each symbol, of all assets where none is named; from PostgreSQL."""
        return latest(self.settings, symbols)

    def tables(self) -> dict[str, list[str]]:
        """Return the columns of every table one may read, by ``schema.table``."""
        catalogue = Catalogue.of(self._ask, self.settings, self.engine)
        return {
            f"{schema}.{table}": [c.name for c in columns] for (schema, table), columns in catalogue.relations.items()
        }

    def close(self) -> None:
        """End the connection."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _frame(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> "pd.DataFrame":
    import pandas as pd  # type: ignore[import-untyped, unused-ignore]

    frame = pd.DataFrame(rows, columns=[name.lower() if name.isupper() else name for name in columns])
    for name in frame.columns:
        known = frame[name].dropna()
        if known.empty or frame[name].dtype != object:
            continue
        if known.map(lambda value: isinstance(value, Decimal)).all():
            frame[name] = frame[name].astype(float)
        elif known.map(lambda value: isinstance(value, date)).all():
            frame[name] = pd.to_datetime(frame[name])
    return frame
