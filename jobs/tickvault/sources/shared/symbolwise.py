"""What sources that read symbols share: which symbols are wanted, and that each gets exactly one outcome."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa

from tickvault.core.batch import Batch
from tickvault.core.errors import ConfigError, RateLimitError, SourceRejectedError, SourceUnavailableError
from tickvault.core.package import Cursor, Outcome, OutcomeStatus, Reject
from tickvault.core.records import RecordBuilder, Row
from tickvault.core.stream import Stream
from tickvault.core.suggestion import suggestion
from tickvault.market.symbols import ASSET_INFO, LISTS, Asset, AssetClass, default_folder, load_assets, load_list
from tickvault.sources import Context

Listing = Literal["binance_pair", "coingecko_id", "yahoo_ticker", "symbol"]

_FAILURES_TO_GIVE_UP = 3


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
        Assets in the order listed; unknown symbols are FAILED, blank ones NOT_OFFERED. Where a slot is completed, only
        what is missing; of that, what is not wanted any more (a slip of the pen, put right) is NOT_OFFERED.

    Raises:
        ConfigError: No symbol is known at all, or a file is missing.
    """
    settings = context.settings
    folder = settings.seeds_path if (settings.seeds_path / ASSET_INFO).is_file() else default_folder()
    known = {s: a for s, a in load_assets(folder / ASSET_INFO).items() if a.asset_class == asset_class}
    seed = next(folder / name for name, kind in LISTS.items() if kind == asset_class)
    given = settings.crypto_symbols if asset_class == "crypto" else settings.stock_symbols
    chosen = context.symbols or ()
    listed = load_list(given or seed) if context.missing or not chosen else []
    asked = dict.fromkeys(s.strip().upper() for s in (*chosen, *listed))
    gone = [s for s in context.missing if s not in asked]
    if context.missing:
        asked = dict.fromkeys(s for s in asked if s in context.missing)
    unknown = {s: _unknown(s, asset_class, known) for s in asked if s not in known}
    if unknown and len(unknown) == len(asked) and not gone:
        raise ConfigError("; ".join(unknown.values()))
    assets = [known[s] for s in asked if s in known]
    return Wanted(
        tuple(a for a in assets if getattr(a, listing)),
        (
            *(Outcome(s, OutcomeStatus.FAILED, why) for s, why in unknown.items()),
            *(Outcome(s, OutcomeStatus.NOT_OFFERED, "not wanted any more") for s in gone),
            *(Outcome(a.symbol, OutcomeStatus.NOT_OFFERED) for a in assets if not getattr(a, listing)),
        ),
    )


def _unknown(symbol: str, asset_class: AssetClass, known: Mapping[str, Asset]) -> str:
    hint = suggestion(symbol, known, f"add a line for it to {ASSET_INFO}", cutoff=0.5, quoted=False)
    return f"unknown {asset_class} symbol '{symbol}': {hint}"


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
    assets: Iterable[Asset],
    rows: Mapping[str, Sequence[Row]],
    since: Cursor | None,
    absent: str = "missing in the answer",
) -> Batch:
    """Make the batch of a stream of latest prices; the cursor is each symbol's last ``observed_at``.

    Args:
        builder: Of this read.
        assets: What was asked for.
        rows: What came, by symbol; a symbol without rows is FAILED.
        since: Prices not later than its entries are left out.
        absent: What is said of a symbol without rows.
    """
    records = builder.build(row for asset in assets for row in rows.get(asset.symbol, ()))
    times: dict[str, str] = {}
    fresh = []
    for row in records.batch.select(["symbol", "observed_at"]).to_pylist():
        symbol, time = row["symbol"], instant(row["observed_at"])
        times[symbol] = max(times.get(symbol, ""), time)
        fresh.append(time > (since or {}).get(symbol, ""))
    return Batch(
        builder.stream,
        records.batch.filter(pa.array(fresh, pa.bool_())),
        {s: t for s, t in times.items() if t > (since or {}).get(s, "")} or None,
        tuple(_outcome(asset, asset.symbol in times, records.rejects, absent=absent) for asset in assets),
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
        came = came or bool(batch.rejects) or any(o.status is OutcomeStatus.OK for o in batch.outcomes)
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
    """Take an answer as the list of objects it is documented to be.

    Raises:
        SourceRejectedError: It is something else.
    """
    if not isinstance(answer, list) or not all(isinstance(one, dict) for one in answer):
        raise SourceRejectedError(f"{provider}: a list of objects is documented, {str(answer)[:80]!r} came")
    return answer


def instant(time: datetime) -> str:
    """Write a time so that text sorts as time."""
    return time.isoformat(timespec="microseconds")
