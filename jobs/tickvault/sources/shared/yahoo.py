"""Yahoo Finance through yfinance: its own code untouched, its requests under the platform's budgets.

What it says about a company is optional: nobody waits for it, and the prices come without it. An error of any kind that
yfinance or its parts raise is one ticker's. https://ranaroussi.github.io/yfinance/
"""

import functools
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Context as DecimalContext
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tickvault.core.errors import PlatformError, RateLimitError, SourceRejectedError, SourceUnavailableError
from tickvault.engines.http.client import Provider
from tickvault.engines.scratch import scratch
from tickvault.sources import Context
from tickvault.sources.shared.exchange import Exchange

PROVIDER = Provider("yahoo", per_minute=1200, url_setting="YAHOO_BASE_URL", attempts=4)
_COLUMNS = ("Open", "High", "Low", "Close", "Adj Close", "Volume", "Dividends", "Stock Splits")
_META = (
    "currency",
    "instrumentType",
    "exchangeName",
    "exchangeTimezoneName",
    "currentTradingPeriod",
    "regularMarketPrice",
    "regularMarketTime",
    "regularMarketVolume",
)
_REFUSED, _LIMITED = (401, 403), (418, 429)
_NOT_FOUND = 404
_FAILURES_TO_GIVE_UP = 3
_FACTOR_DIGITS = Decimal("1e-18")
_EXACT = DecimalContext(prec=10_000)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bar:
    """One day as Yahoo has it: prices adjusted for splits, ``closes`` the end of its session."""

    date: date
    closes: datetime
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    adj_close: Decimal | None
    volume: Decimal | None
    dividends: Decimal | None
    splits: Decimal | None


@dataclass(frozen=True, slots=True)
class History:
    """Daily bars, oldest first, the running day's among them; what the chart says of the ticker, and its exchange."""

    bars: tuple[Bar, ...]
    meta: dict[str, Any]
    exchange: Exchange

    def expected(self, first: date, now: datetime) -> list[date]:
        """Return the closed days from ``first`` on that have to have a price.

        Where nobody knows the exchange's sessions: those that Yahoo itself names, with a price or without.
        """
        days = self.exchange.days(first, now)
        return days or [bar.date for bar in self.bars if bar.date >= first and bar.closes <= now]


class Yahoo:
    """Asks Yahoo for one ticker at a time.

    Args:
        context: The run's; gives the address and the HTTP client whose budgets pay.
    """

    def __init__(self, context: Context) -> None:
        import yfinance
        from yfinance.data import YfData

        from tickvault.sources.shared.yahoo_session import Session

        _place_caches()
        logging.getLogger("yfinance").setLevel(logging.CRITICAL)  # it logs what it also raises
        warnings.filterwarnings("ignore", module="yfinance")  # about its own use of pandas
        yfinance.config.debug.hide_exceptions = False
        YfData.cache_get.cache_clear()  # what another run was told is not this run's answer
        self._ticker = yfinance.Ticker
        self._session = Session(context.http, context.settings.yahoo_base_url, PROVIDER)
        self._company_failures = 0
        self._without_company: str | None = None

    def history(self, ticker: str, start: date, end: date) -> History | None:
        """Get the days from ``start`` to ``end`` (excluded), or None where Yahoo does not know the ticker.

        Raises:
            SourceUnavailableError: No answer, 5xx, a cut off body; RateLimitError among them.
            SourceRejectedError: The request is refused, or the answer is none that yfinance understands.
        """
        with self._errors(ticker) as found:
            one = self._ticker(ticker, session=self._session)
            frame = one.history(
                start=start.isoformat(),
                end=end.isoformat(),
                interval="1d",
                auto_adjust=False,
                actions=True,
                keepna=True,
            )
            metadata = one.history_metadata
            meta = {name: metadata[name] for name in _META if name in metadata}
            columns = [[exact(v) for v in frame[name].tolist()] for name in _COLUMNS]
            days = [stamp.date() for stamp in frame.index]
            exchange = Exchange(meta, start, max([end, *days]))
            bars = [Bar(day, exchange.closes(day), *v) for day, *v in zip(days, *columns, strict=True)]
            unknown = _without_volume(self._session.chart, exchange.zone)
            bars = [replace(bar, volume=None) if bar.date in unknown and not bar.volume else bar for bar in bars]
            found.append(History(tuple(bars), meta, exchange))
        return found[0] if found else None

    def info(self, ticker: str) -> tuple[dict[str, Any], str]:
        """Get what Yahoo says about a company, and why that is nothing where it is; never raises.

        It is not asked for any more in this run once it is refused or limited, or has failed three times.
        """
        if self._without_company:
            return {}, self._without_company
        try:
            with self._errors(ticker) as found:
                found.append(dict(self._ticker(ticker, session=self._session).info))
        except PlatformError as error:
            why = f"no company data: {error}"
        else:
            info = found[0] if found else {}
            if any(info.get(name) is not None for name in ("longName", "shortName", "marketCap")):
                return info, ""
            status = self._session.refused
            why = f"no company data: HTTP {status}" if status else "no company data: Yahoo has none"
        self._company_failures += 1
        is_refused = self._session.refused in {*_REFUSED, *_LIMITED}
        if is_refused or self._company_failures >= _FAILURES_TO_GIVE_UP:
            self._without_company = f"{why}; not asked for again in this run"
        return {}, why

    @contextmanager
    def _errors(self, ticker: str) -> Iterator[list[Any]]:
        """Map yfinance's errors once; what is merely not there leaves the list empty."""
        from yfinance.exceptions import YFRateLimitError, YFTickerMissingError

        self._session.refused = None
        try:
            yield []
        except YFRateLimitError as error:
            raise RateLimitError(f"yahoo ({ticker}): too many requests") from error
        except (YFTickerMissingError, OSError) as error:
            if self._session.refused in _REFUSED:
                raise SourceRejectedError(f"yahoo ({ticker}): HTTP {self._session.refused}, refused") from error
            if isinstance(error, OSError) and self._session.refused != _NOT_FOUND:
                raise SourceUnavailableError(f"yahoo ({ticker}): {type(error).__name__}") from error
        except PlatformError:
            raise
        except Exception as error:
            # Whatever yfinance, pandas or curl make of an answer, it is one ticker's; the log keeps where it arose.
            _log.warning("yahoo (%s): the answer could not be read", ticker, exc_info=True)
            raise SourceRejectedError(
                f"yahoo ({ticker}): the answer is not what yfinance understands, {type(error).__name__}: {error}"
            ) from error


def settled(history: History | None, now: datetime) -> list[Bar]:
    """Leave out the open bar, and days without a price: a null, a zero.

    A bar that lies more than a day ahead is an error to be put aside, not an open bar.
    """
    bars = history.bars if history else ()
    return [bar for bar in bars if bar.close and (bar.closes <= now or bar.closes > now + timedelta(days=1))]


def later_splits(history: History) -> dict[date, Decimal]:
    """Return by day the product of the splits after it, those of the running day among them.

    An answer's prices are adjusted for exactly these, so price x product is the price as traded on that day. Another
    answer, of another day, may know others.
    """
    splits = {bar.date: bar.splits for bar in history.bars}
    factors, factor = dict[date, Decimal](), Decimal(1)
    for day in sorted(splits, reverse=True):
        factors[day] = factor
        split = splits[day]
        if isinstance(split, Decimal) and split.is_finite() and split > 0:
            factor = _EXACT.multiply(factor, split).quantize(_FACTOR_DIGITS, context=_EXACT)
    return factors


def exact(value: Any) -> Any:
    """Turn a number of pandas into the decimal that Yahoo wrote; not-a-number is how pandas says that it is missing."""
    if isinstance(value, float):
        return None if math.isnan(value) else Decimal(repr(value))
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _without_volume(chart: Any, zone: str) -> set[date]:
    """Return the days whose volume a chart leaves out, which yfinance makes 0 of."""
    (result,) = chart["chart"]["result"]
    stamps, volumes = result.get("timestamp", ()), result["indicators"]["quote"][0].get("volume", ())
    missing = [at for at, v in zip(stamps, volumes, strict=False) if v is None or not Decimal(v).is_finite()]
    return {datetime.fromtimestamp(int(at), ZoneInfo(zone)).date() for at in missing}


def tomorrow(context: Context) -> date:
    """Return an end that leaves no day out, wherever the exchange is."""
    return context.now.date() + timedelta(days=2)


@functools.cache
def _place_caches() -> None:
    """Give yfinance a folder of this process for its time zones and cookies: the default may be read-only."""
    import atexit

    import yfinance

    stack = ExitStack()
    yfinance.set_tz_cache_location(str(stack.enter_context(scratch("yfinance"))))
    atexit.register(stack.close)
