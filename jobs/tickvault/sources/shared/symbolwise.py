"""What sources that read symbols share: which symbols are wanted, and that each gets exactly one outcome."""

import logging
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from tickvault.core.batch import Batch
from tickvault.core.errors import ConfigError, RateLimitError, SourceRejectedError, SourceUnavailableError
from tickvault.core.package import Cursor, Outcome, OutcomeStatus, Reject
from tickvault.core.records import RecordBuilder, Row
from tickvault.core.stream import Stream
from tickvault.market import symbols
from tickvault.market.symbols import ASSET_INFO, LISTS, Asset, AssetClass
from tickvault.sources import Context
from tickvault.sources.shared.quote import known, stale, without_zeros

Listing = Literal["binance_pair", "coingecko_id", "yahoo_ticker", "symbol"]

_FAILURES_TO_GIVE_UP = 3
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The assets to ask for, and the outcomes of those that need no asking."""

    assets: tuple[Asset, ...]
    outcomes: tuple[Outcome, ...]


def wanted(context: Context, asset_class: AssetClass, listing: Listing) -> Wanted:
    """Find the symbols of this run: the user's own, else the setting's, else the seed list's.

    Args:
        context: The run's.
        asset_class: What the source reads.
        listing: The asset's name at the source; where it is blank the symbol is not offered there.

    Returns:
        Assets in the order listed; symbols that are unknown, or refused by their line of ``asset_info.csv``, are
        FAILED, blank ones NOT_OFFERED. Where a slot is completed, only what is missing; of that, what is not wanted
        any more (a slip of the pen, put right) is NOT_OFFERED.

    Raises:
        ConfigError: Nothing is chosen, no symbol is known at all, or a file is missing.
    """
    settings = context.settings
    folder = settings.seeds_path if (settings.seeds_path / ASSET_INFO).is_file() else symbols.default_folder()
    table = symbols.load_assets(folder / ASSET_INFO)
    for problem in table.problems:
        _log.warning("%s", problem)
    assets = table.of(asset_class)
    asked, gone = _asked(context, asset_class, folder)
    lost = {s: _refusal(s, asset_class, table, listing) for s in asked}
    failures = {s: why for s, why in lost.items() if why}
    if failures and len(failures) == len(asked) and not gone:
        raise ConfigError("; ".join(failures.values()))
    chosen = [assets[s] for s in asked if s not in failures]
    return Wanted(
        tuple(a for a in chosen if getattr(a, listing)),
        (
            *(Outcome(s, OutcomeStatus.FAILED, why) for s, why in failures.items()),
            *(Outcome(s, OutcomeStatus.NOT_OFFERED, "not wanted any more") for s in gone),
            *(Outcome(a.symbol, OutcomeStatus.NOT_OFFERED) for a in chosen if not getattr(a, listing)),
        ),
    )


def _asked(context: Context, asset_class: AssetClass, folder: Path) -> tuple[list[str], list[str]]:
    """Return the symbols to ask for, and of what an earlier read left missing that which nobody wants any more."""
    seed = next(folder / name for name, kind in LISTS.items() if kind == asset_class)
    settings = context.settings
    given = settings.crypto_symbols if asset_class == "crypto" else settings.stock_symbols
    chosen = [s for s in map(symbols.normalise, context.symbols or ()) if s]
    if context.symbols is not None and not chosen:
        raise ConfigError("no symbol is chosen: name some, such as BTC,ETH, or leave the choice out to read all")
    listed = symbols.load_list(given or seed) if context.missing or not chosen else []
    asked = list(dict.fromkeys([*chosen, *listed]))
    if not context.missing:
        return asked, []
    return [s for s in asked if s in context.missing], [s for s in context.missing if s not in asked]


def _refusal(symbol: str, asset_class: AssetClass, table: symbols.AssetTable, listing: Listing) -> str | None:
    """Say why a symbol cannot be asked for; None where it can."""
    assets = table.of(asset_class)
    if symbol in assets:
        return assets[symbol].refused.get(listing)
    return table.refused(asset_class).get(symbol) or f"unknown {asset_class} symbol {symbols.unknown(symbol, assets)}"


def read_each(stream: Stream, assets: Sequence[Asset], read: Callable[[Asset], Batch]) -> Iterator[Batch]:
    """Read symbol by symbol, so that one that fails is a FAILED outcome and the others go on.

    Raises:
        SourceUnavailableError: Nothing could be read, or a rate limit came before anything was; no further symbol is
            tried after a rate limit, or after three failures without a success.
        SourceRejectedError: Every symbol was refused.
    """
    failures: list[Outcome] = []
    first: Exception | None = None
    succeeded = False
    for n, asset in enumerate(assets):
        try:
            batch = read(asset)
        except (SourceUnavailableError, SourceRejectedError) as error:
            first = first or error
            failures.append(failed(asset, str(error)))
            if isinstance(error, RateLimitError) or (not succeeded and len(failures) >= _FAILURES_TO_GIVE_UP):
                failures += [failed(a, f"not tried after: {error}") for a in assets[n + 1 :]]
                break
        else:
            succeeded = True
            yield batch
    if first and not succeeded:
        raise first
    if failures:
        yield without_rows(stream, failures)


def latest(
    builder: RecordBuilder,
    assets: Sequence[Asset],
    rows: Mapping[str, Sequence[Row]],
    since: Cursor | None,
    absent: str = "missing in the answer",
) -> Batch:
    """Make the batch of a stream of latest prices; the cursor is each symbol's last ``observed_at``.

    A record without a price, or with the price 0, is no row: nothing was traded. A high, low or market value of 0 is
    none. A price that is stale is no row either, and its symbol FAILED: what is stored already is no older.

    Args:
        builder: Of this read.
        assets: What was asked for.
        rows: What came, by symbol; a symbol without rows is FAILED.
        since: Prices not later than its entries are left out.
        absent: What is said of a symbol without rows.
    """
    since = since or {}
    came = (row for asset in assets for row in rows.get(asset.symbol, ()))
    records = builder.build(without_zeros(row) for row in came if known(row.get("price")) is not None)
    cursor: Cursor = {}
    old: dict[str, str] = {}
    settled: set[str] = set()
    fresh = []
    for row in records.batch.select(["symbol", "observed_at"]).to_pylist():
        symbol, time = row["symbol"], row["observed_at"]
        why = stale(time, builder.now, since.get(symbol))
        fresh.append(why is None and instant(time) > since.get(symbol, ""))
        if why:
            old[symbol] = f"stale: {why}"
        else:
            settled.add(symbol)
        if fresh[-1]:
            cursor[symbol] = max(cursor.get(symbol, ""), instant(time))
    told = old | dict.fromkeys(rows.keys() - old.keys(), "no trade: the answer has no price")
    return Batch(
        builder.stream,
        records.batch.filter(pa.array(fresh, pa.bool_())),
        cursor or None,
        tuple(_outcome(a, a.symbol in settled, records.rejects, absent=told.get(a.symbol, absent)) for a in assets),
        records.rejects,
    )


def _outcome(asset: Asset, came: bool, rejects: Sequence[Reject], *, absent: str = "") -> Outcome:
    own = [r.reason for r in rejects if r.item == asset.symbol]
    if not came:
        return failed(asset, f"put aside: {own[0]}" if own else absent)
    return Outcome(asset.symbol, OutcomeStatus.OK, f"{len(own)} put aside: {own[0]}" if own else "")


def not_nothing(provider: str, context: Context, batches: Iterable[Batch]) -> Iterator[Batch]:
    """Pass the batches of a stream on, and refuse in the end to believe that of many symbols not one is known.

    Raises:
        SourceUnavailableError: Nothing at all came: that says something about the provider, not about the symbols.
    """
    lost = 0
    came = False
    for batch in batches:
        told = any(o.status is OutcomeStatus.OK or o.detail.startswith("stale") for o in batch.outcomes)
        came = came or told or bool(batch.rejects)
        lost += sum(o.status is OutcomeStatus.FAILED for o in batch.outcomes)
        yield batch
    # What is still missing when a slot is completed may well be gone for good.
    if lost >= _FAILURES_TO_GIVE_UP and not came and not context.missing:
        raise SourceUnavailableError(f"{provider}: answers, but with none of the {lost} symbols asked for")


def without_rows(stream: Stream, outcomes: Iterable[Outcome]) -> Batch:
    """Make a batch of outcomes alone."""
    return Batch(stream, pa.RecordBatch.from_pylist([], schema=stream.schema), outcomes=tuple(outcomes))


def failed(asset: Asset, detail: str) -> Outcome:
    """Make the outcome of a symbol that did not come."""
    return Outcome(asset.symbol, OutcomeStatus.FAILED, detail)


def objects(provider: str, answer: Any) -> list[dict[str, Any]]:
    """Take the objects of an answer that is documented to be a list of them; other things among them are nobody's.

    Raises:
        SourceRejectedError: It is something else, or no object is in it.
    """
    found = [one for one in answer if isinstance(one, dict)] if isinstance(answer, list) else []
    if not found and answer != []:
        raise SourceRejectedError(f"{provider}: a list of objects is documented, {reprlib.repr(answer)} came")
    return found


def text(record: Mapping[str, Any], field: str) -> str:
    """Return a record's text, empty where it is none."""
    value = record.get(field)
    return value if isinstance(value, str) else ""


def instant(time: datetime) -> str:
    """Write a time so that text sorts as time."""
    return time.isoformat(timespec="microseconds")
