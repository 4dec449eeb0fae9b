"""Yahoo Finance through yfinance: its own code untouched, its requests under the platform's budgets.

yfinance gets a curl_cffi session that (a) sends everything to ``YAHOO_BASE_URL`` where that is set and (b) turns what
went wrong with a data request into the platform's errors, after waiting as the provider asks. Cookie, crumb and consent
pages are left to yfinance, which has ways around them. https://ranaroussi.github.io/yfinance/
"""

import functools
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from tickvault.core.errors import RateLimitError, SourceRejectedError, SourceUnavailableError
from tickvault.engines.http.answer import bare, parse_json, refuse
from tickvault.engines.http.client import HttpClient, Provider
from tickvault.engines.scratch import scratch
from tickvault.sources import Context

PROVIDER = Provider("yahoo", per_minute=1200, url_setting="YAHOO_BASE_URL", attempts=4)
_DATA_PATHS = ("/v7/finance/", "/v8/finance/", "/v10/finance/", "/ws/")
_COLUMNS = ("Open", "High", "Low", "Close", "Adj Close", "Volume", "Dividends", "Stock Splits")
_META = (
    "currency",
    "exchangeTimezoneName",
    "currentTradingPeriod",
    "regularMarketPrice",
    "regularMarketTime",
    "regularMarketVolume",
)
_LEFT_TO_YFINANCE = range(400, 418)
_REFUSED = (401, 403)
_NOT_FOUND = 404


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
    """Daily bars, oldest first, the running day's among them; and what the chart says of the ticker itself."""

    bars: tuple[Bar, ...]
    meta: dict[str, Any]


class Yahoo:
    """Asks Yahoo for one ticker at a time.

    Args:
        context: The run's; gives the address and the HTTP client whose budgets pay.
    """

    def __init__(self, context: Context) -> None:
        import yfinance
        from yfinance.data import YfData

        _place_caches()
        logging.getLogger("yfinance").setLevel(logging.CRITICAL)  # it logs what it also raises
        warnings.filterwarnings("ignore", module="yfinance")  # about its own use of pandas
        yfinance.config.debug.hide_exceptions = False
        YfData.cache_get.cache_clear()  # what another run was told is not this run's answer
        self._ticker = yfinance.Ticker
        self._session = _session(context.http, context.settings.yahoo_base_url)

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
            bars = [Bar(day, closing(day, meta), *v) for day, *v in zip(days, *columns, strict=True)]
            found.append(History(tuple(bars), meta))
        return found[0] if found else None

    def info(self, ticker: str) -> dict[str, Any]:
        """Get what Yahoo says about a company; empty where it says nothing. Raises as ``history`` does."""
        with self._errors(ticker) as found:
            found.append(dict(self._ticker(ticker, session=self._session).info))
        return found[0] if found else {}

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
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise SourceRejectedError(
                f"yahoo ({ticker}): the answer is not what yfinance understands, {type(error).__name__}: {error}"
            ) from error


def closing(day: date, meta: dict[str, Any]) -> datetime:
    """Return when a day's session ends: the exchange's regular closing time, for round-the-clock markets midnight UTC.

    Yahoo tells the hours of the current day alone; a shortened session before a holiday closes earlier than this says.
    """
    period = (meta.get("currentTradingPeriod") or {}).get("regular") or {}
    zone = str(meta.get("exchangeTimezoneName") or "UTC")
    if zone == "UTC" or not isinstance(period.get("end"), datetime):
        return datetime.combine(day, time(23, 59, 59, 999000), UTC)
    return datetime.combine(day, period["end"].time(), ZoneInfo(zone)).astimezone(UTC)


def settled(history: History | None, now: datetime) -> list[Bar]:
    """Leave out the open bar; one that lies more than a day ahead is an error to be put aside, not an open bar."""
    bars = history.bars if history else ()
    return [bar for bar in bars if bar.closes <= now or bar.closes > now + timedelta(days=1)]


def exact(value: Any) -> Any:
    """Turn a number of pandas into the decimal that Yahoo wrote; not-a-number is how pandas says that it is missing."""
    if isinstance(value, float):
        return None if math.isnan(value) else Decimal(repr(value))
    return Decimal(value) if isinstance(value, int) else value


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


def _session(http: HttpClient, base_url: str | None) -> Any:
    """Make the session; the class is local because curl_cffi is imported only where Yahoo is read."""
    from curl_cffi import CurlHttpVersion
    from curl_cffi import requests as curl

    class Session(curl.Session[Any]):
        """Remembers in ``refused`` the status of a data request that yfinance has to deal with."""

        refused: int | None = None

        def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
            """Send to the configured server; data requests within the provider's budgets."""
            address = _redirected(url, base_url)
            if not urlsplit(url).path.startswith(_DATA_PATHS):
                return super().request(method, address, *args, **kwargs)
            return http.call(PROVIDER, lambda: self._data(method, address, *args, **kwargs))

        def _data(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
            where = f"yahoo ({bare(url)})"
            kwargs["timeout"] = PROVIDER.read_timeout
            try:
                response = super().request(method, url, *args, **kwargs)
            except OSError as error:
                raise SourceUnavailableError(f"{where}: {type(error).__name__}; check YAHOO_BASE_URL") from error
            if response.status_code in _LEFT_TO_YFINANCE:
                self.refused = response.status_code
                return response
            self.refused = None
            refuse(PROVIDER, where, response, response.content)
            parse_json(response, response.content, where)
            return response

    plain = base_url is not None and base_url.startswith("http:")  # where curl would ask for an upgrade to HTTP/2
    return Session(impersonate="chrome", http_version=CurlHttpVersion.V1_1 if plain else None)


def _redirected(url: str, base_url: str | None) -> str:
    if not base_url:
        return url
    asked, base = urlsplit(url), urlsplit(base_url)
    return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + asked.path, asked.query, ""))
