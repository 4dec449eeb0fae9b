"""A symbol's days: which are known, whether they still stand, and which are missing.

A run reads the last ``OVERLAP`` days once more. What differs from what was read before is a revision; a day that should
have a price and has none is a gap, asked for in each run until it comes or ``PATIENCE`` is over. The cursor keeps, per
symbol: under ``<symbol>`` its last day, ``:first`` the day its history begins, ``:recent`` what the last days said, and
``:gaps`` the missing ones.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Self

import pyarrow as pa

from tickvault.core.batch import Batch
from tickvault.core.package import Cursor, Outcome, OutcomeStatus, Reject
from tickvault.core.records import RecordBuilder, Row
from tickvault.core.stream import Stream
from tickvault.core.values import parser
from tickvault.market.symbols import Asset
from tickvault.sources import Context

OVERLAP = 10
"""How many of the last days are read again each time."""
PATIENCE = timedelta(days=14)
"""How long a missing day is asked for."""
_REMEMBERED = timedelta(days=400)
"""How long a day that was given up is shown."""
_LENIENCE = timedelta(days=7)
"""How much earlier than asked a day may be: a provider may count in weeks, or in another zone."""
_STALE_DAYS = 3
"""How many of the newest days may be missing before a symbol counts as stale."""
_MEASURES = ("market_cap", "pe_ratio", "week_52_high", "week_52_low", "avg_volume")
_ADJUSTED = "adj_close_price"
_JITTER = Decimal("1e-6")  # Yahoo computes adjusted prices anew for each answer
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier runs know of a symbol's days."""

    asset: Asset
    now: datetime
    reach: date
    last: date | None
    first: date | None
    recent: Mapping[str, Mapping[str, Any]]
    gaps: Mapping[str, Mapping[str, Any]]
    revised: bool
    """A cursor of an earlier release, which does not tell what was read: everything is read once more."""

    @classmethod
    def of(cls, context: Context, since: Cursor | None, asset: Asset) -> Self:
        """Read the cursor; a symbol is new where the user's own ``days`` reach further back than its last day."""
        cursor = since or {}
        reach = context.now.date() - timedelta(days=context.history_days)
        known = date.fromisoformat(cursor[asset.symbol]) if asset.symbol in cursor else None
        last = None if known and context.days and reach < known else known
        recent: Mapping[str, Any] = cursor.get(f"{asset.symbol}:recent", {})
        return cls(
            asset=asset,
            now=context.now,
            reach=reach,
            last=last,
            first=_day(cursor.get(f"{asset.symbol}:first", {}).get("date")),
            recent=recent if last else {},
            gaps=cursor.get(f"{asset.symbol}:gaps", {}),
            revised=last is not None and not recent,
        )

    @property
    def begin(self) -> date:
        """The day the history begins, loaded or wanted."""
        return min(filter(None, (self.first, self.start)))

    @property
    def start(self) -> date:
        """The day to read from: the oldest that is missing or looked at again."""
        if self.last is None:
            return self.reach
        if self.revised:
            return self.first or min(self.last, self.reach)
        return min(map(date.fromisoformat, (min(self.recent), *self._open())))

    def is_whole(self, days: Sequence[date]) -> bool:
        """Tell that there is nothing to ask for: all these days are known, and none is missing."""
        return self.last is not None and not self.revised and not self._open() and (not days or days[-1] <= self.last)

    def knows(self, day: date) -> bool:
        """Tell whether a day was loaded before."""
        return self.last is not None and day <= self.last and day.isoformat() not in self.gaps

    def said(self, day: date) -> dict[str, Any]:
        """Return the measures of the moment that a day's row held when it was the newest."""
        return dict(self.recent.get(day.isoformat(), {}).get("said", {}))

    def sift(self, stream: Stream, rows: Iterable[Row]) -> "Sifted":
        """Keep the rows that are new, or differ from what was read before."""
        fresh, changed = [], []
        earliest_changed = False
        for row in rows:
            day = _readable(stream, "date", row.get("date"))
            key = day.isoformat() if day else ""
            if self.last is None or day is None or day > self.last or key in self.gaps:
                fresh.append(row)
            elif self.revised or (key in self.recent and _differs(self.recent[key], seen(stream, row))):
                changed.append(row)
                earliest_changed = earliest_changed or (not self.revised and key == min(self.recent))
        return Sifted(tuple(fresh), tuple(changed), earliest_changed)

    def _open(self) -> list[str]:
        return [day for day, gap in self.gaps.items() if "given_up" not in gap]


@dataclass(frozen=True, slots=True)
class Sifted:
    """What an answer says beyond what is known; ``reaches_back`` where days before it have changed as well."""

    fresh: tuple[Row, ...]
    changed: tuple[Row, ...]
    reaches_back: bool


def daily(
    builder: RecordBuilder, past: Past, rows: Iterable[Row], expected: Iterable[date], notes: Sequence[str] = ()
) -> Batch:
    """Make the batch of one symbol's days.

    Args:
        builder: Of this read.
        past: What is known of the symbol.
        rows: New days, and old ones that changed.
        expected: Days that there have to be, whose session is over; those known need not be among the rows.
        notes: What else is to be said of the symbol.

    Returns:
        Its outcome is FAILED where nothing new fits, or where the newest days have been missing for a while.
    """
    records = builder.build(rows, past.begin - _LENIENCE)
    came = {row["date"]: row for row in records.batch.to_pylist()}
    gaps = _gaps(past, came, expected)
    cursor = _cursor(builder.stream, past, came, gaps)
    outcome = _outcome(past, came, records.rejects, gaps, notes)
    return Batch(builder.stream, records.batch, cursor or None, (outcome,), records.rejects)


def nothing_new(stream: Stream, asset: Asset) -> Batch:
    """Make the batch of a symbol that need not be asked for."""
    outcome = Outcome(asset.symbol, OutcomeStatus.OK, "nothing new")
    return Batch(stream, pa.RecordBatch.from_pylist([], schema=stream.schema), outcomes=(outcome,))


def seen(stream: Stream, row: Row) -> dict[str, Any]:
    """Return what tells two readings of a day apart: a digest of its numbers, and its adjusted price."""
    numbers = [f.name for f in stream.schema if pa.types.is_decimal(f.type)]
    values = {name: _text(_readable(stream, name, row.get(name))) for name in numbers if name not in _MEASURES}
    adjusted = values.pop(_ADJUSTED, None)
    digest = hashlib.sha256(repr(sorted(values.items())).encode()).hexdigest()[:12]
    said = {name: _text(row[name]) for name in _MEASURES if row.get(name) is not None}
    return {"is": digest, **({"adj": adjusted} if adjusted else {}), **({"said": said} if said else {})}


def _differs(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    if before["is"] != now["is"]:
        return True
    old, new = (Decimal(side.get("adj") or 0) for side in (before, now))
    return abs(old - new) > _JITTER * max(old, new)


def _readable(stream: Stream, name: str, value: Any) -> Any:
    """Read a value as the column's; None where it is none: the row's reject says so."""
    try:
        return parser(stream.schema.field(name))(value)
    except (ValueError, ArithmeticError):
        return None


def _text(value: Any) -> str:
    return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)


def _day(text: Any) -> date | None:
    return date.fromisoformat(text) if text else None


def _gaps(past: Past, came: Mapping[date, Row], expected: Iterable[date]) -> dict[str, dict[str, Any]]:
    """Return the missing days: since when, how often each was asked for, and when it was given up."""
    today = past.now.date()
    begin = min((*came, *filter(None, (past.first, past.last))), default=today)
    new = (d for d in expected if d >= begin and (past.last is None or past.revised or d > past.last))
    gaps: dict[str, dict[str, Any]] = {}
    for day in sorted({*map(date.fromisoformat, past.gaps), *new} - set(came)):
        gap = dict(past.gaps.get(day.isoformat(), {"since": today.isoformat(), "asked": 0}))
        if "given_up" in gap:
            if today - date.fromisoformat(gap["given_up"]) < _REMEMBERED:
                gaps[day.isoformat()] = gap
            continue
        gap["asked"] += 1
        if today - date.fromisoformat(gap["since"]) >= PATIENCE:
            gap["given_up"] = today.isoformat()
        gaps[day.isoformat()] = gap
    return gaps


def _cursor(stream: Stream, past: Past, came: Mapping[date, Row], gaps: Mapping[str, Any]) -> Cursor:
    symbol, cursor = past.asset.symbol, Cursor()
    if came:
        recent = {**past.recent, **{day.isoformat(): seen(stream, row) for day, row in came.items()}}
        cursor[symbol] = max((*came, *filter(None, (past.last,)))).isoformat()
        cursor[f"{symbol}:first"] = {"date": min((*came, *filter(None, (past.first,)))).isoformat()}
        cursor[f"{symbol}:recent"] = {day: recent[day] for day in sorted(recent)[-OVERLAP:]}
    if gaps != past.gaps:
        cursor[f"{symbol}:gaps"] = dict(gaps)
    return cursor


def _outcome(
    past: Past,
    came: Mapping[date, Row],
    rejects: Sequence[Reject],
    gaps: Mapping[str, Mapping[str, Any]],
    notes: Sequence[str],
) -> Outcome:
    today = past.now.date().isoformat()
    symbol = past.asset.symbol
    own = [r.reason for r in rejects if r.item == symbol]
    waiting = [day for day, gap in gaps.items() if "given_up" not in gap]
    given_up = [day for day, gap in gaps.items() if gap.get("given_up") == today]
    newest = max((*came, *filter(None, (past.last,))), default=None)
    behind = [day for day in gaps if newest and day > newest.isoformat()]
    parts = []
    if again := sum(map(past.knows, came)):
        parts.append(f"{again} known {'day' if again == 1 else 'days'} revised")
    parts += notes
    if own:
        parts.append(f"{len(own)} put aside: {own[0]}" if came else f"put aside: {own[0]}")
    if waiting:
        parts.append(f"no price yet for {_list(waiting)}")
    if given_up:
        parts.append(f"given up after {PATIENCE.days} days without a price: {_list(given_up)}")
    is_stale = newest is not None and len(behind) >= _STALE_DAYS
    if is_stale:
        parts.insert(0, f"stale: no price since {newest}")
    status = OutcomeStatus.FAILED if is_stale or (own and not came) else OutcomeStatus.OK
    if not came and status is OutcomeStatus.OK:
        parts.insert(0, "nothing new")
    return Outcome(symbol, status, "; ".join(parts))


def _list(days: Sequence[str]) -> str:
    shown = ", ".join(days[:_SHOWN])
    return shown if len(days) <= _SHOWN else f"{shown} and {len(days) - _SHOWN} more"
