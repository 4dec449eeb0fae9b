"""The platform's one HTTP client: polite to providers, honest about what came back.

Per provider it keeps a rate budget and a time budget for the run, obeys ``Retry-After`` and backs off with full
jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). Every failure leaves as one of the
platform's own errors. Addresses are reported without their query and headers are never reported, so that no key can
reach a log. An exchange, its headers and redirects included, ends at a deadline, and its bytes are counted unpacked.
"""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPException
from importlib.metadata import version
from typing import Any, Self, TypeVar
from urllib.parse import urljoin

import requests
from requests import exceptions
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential
from urllib3.exceptions import HTTPError

from tickvault.core.errors import (
    ConfigError,
    PlatformError,
    RateLimitError,
    SourceRejectedError,
    SourceUnavailableError,
)
from tickvault.core.settings import Settings
from tickvault.engines.http.answer import (
    Provider,
    RefusedRequestError,
    bare,
    parse_json,
    parse_text,
    redirected_to,
    refuse,
)
from tickvault.engines.http.deadline import deadline, session

__all__ = ["HttpClient", "Provider", "RefusedRequestError"]

_log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_BODY = 32 * 1024 * 1024
"""Bytes after decompression; the largest documented answer (250 coins) is some 250 KB."""
_CHUNK = 64 * 1024
_BURST = 0.25
_REDIRECTS = 10
_LONGEST = 4
"""The whole of an exchange may take this many times what lies between two of its bytes."""


@dataclass(slots=True)
class _Meter:
    """What a provider has left in this run: a token bucket, and seconds.

    The bucket holds a quarter of the allowance and refills with the rest, so that no 60 s see more than all of it.
    """

    per_minute: float
    tokens: float
    at: float
    spent: float = field(default=0.0)
    until: float = field(default=float("inf"))

    @property
    def capacity(self) -> float:
        return self.per_minute * _BURST

    def delay(self, cost: float, now: float) -> float:
        """Take ``cost`` and return how many seconds to wait before using it."""
        rate = self.per_minute * (1 - _BURST) / 60
        self.tokens = min(self.capacity, self.tokens + (now - self.at) * rate) - cost
        self.at = now
        return max(0.0, -self.tokens / rate)


class HttpClient:
    """GETs JSON and text, and POSTs JSON; one instance per run.

    Args:
        settings: Contact for the User-Agent, and the time budget.
        sleep: Waits a number of seconds; for tests.
        clock: Monotonic seconds; for tests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session()
        self._session.headers["User-Agent"] = f"tickvault/{version('tickvault')} (+{settings.http_contact})"
        self._budget = settings.http_time_budget
        self._sleep, self._clock = sleep, clock
        self._meters: dict[str, _Meter] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def get_json(
        self,
        provider: Provider,
        url: str,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        cost: float = 1,
    ) -> Any:
        """Get a JSON document; numbers with a point come as ``Decimal``, digit by digit as they were sent.

        Args:
            provider: Whose budgets pay.
            url: Address without query.
            params: Query.
            headers: Extra headers, for instance a key; a redirect is then refused, so that no key travels on.
            cost: What the request costs of the provider's rate budget.

        Raises:
            ConfigError: 401 or 403 where a key is involved, 451, or an address that is none.
            RateLimitError: 418 or 429 and the wait asked for does not fit the time budget.
            RefusedRequestError: Another 4xx; 404 among them.
            SourceRejectedError: A body that is not JSON, such as a web page with status 200, or one too large.
            SourceUnavailableError: No answer, 5xx, or a body that is cut off, after all attempts.
        """
        return self._get(provider, url, params, headers, cost, parse_json)

    def get_text(
        self,
        provider: Provider,
        url: str,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        cost: float = 1,
    ) -> str:
        """Get a text (a web page, a feed); arguments and errors as in ``get_json``."""
        return self._get(provider, url, params, headers, cost, parse_text)

    def post_json(self, provider: Provider, url: str, body: Any) -> None:
        """Post a JSON document that may arrive twice: it is tried again where trying helps; the answer is not read.

        Raises:
            ConfigError: 401 or 403 where a key is involved, 451, or an address that is none.
            RateLimitError: 418 or 429 and the wait asked for does not fit the time budget.
            RefusedRequestError: Another 4xx, or a redirect.
            SourceUnavailableError: No answer or 5xx, after all attempts.
        """
        where = f"{provider.name} ({bare(url)})"
        self.call(provider, lambda: self._fetch(provider, where, "POST", url, json=body))

    def call(self, provider: Provider, attempt: Callable[[], T], *, cost: float = 1) -> T:
        """Run an attempt within the provider's budgets until it succeeds, for clients that bring their own session.

        Args:
            provider: Whose budgets pay.
            attempt: Sends one request; raises SourceUnavailableError where trying again may help.
            cost: What one attempt costs of the rate budget.

        Raises:
            RateLimitError: The wait asked for does not fit the time budget.
            SourceUnavailableError: The last attempt's.
        """
        meter = self._meters.setdefault(
            provider.name, _Meter(provider.per_minute, provider.per_minute * _BURST, self._clock())
        )
        started = self._clock()
        meter.until = started + self._budget - meter.spent

        def left() -> float:
            return meter.until - self._clock()

        def paced() -> T:
            delay = meter.delay(cost, self._clock())
            if delay >= left():
                raise RateLimitError(f"{provider.name}: this run's {self._budget:.0f} s for it are used up", delay)
            if delay:
                self._sleep(delay)
            return attempt()

        def stop(state: RetryCallState) -> bool:
            limited = isinstance(_error(state), RateLimitError)
            out_of_attempts = not limited and state.attempt_number >= provider.attempts
            return out_of_attempts or state.upcoming_sleep >= left()

        try:
            retry = retry_if_exception_type(SourceUnavailableError)
            return Retrying(sleep=self._sleep, stop=stop, wait=_wait, retry=retry, reraise=True)(paced)
        finally:
            meter.spent += self._clock() - started

    def _get(
        self,
        provider: Provider,
        url: str,
        params: Mapping[str, str | int] | None,
        headers: Mapping[str, str] | None,
        cost: float,
        read: Callable[[requests.Response, bytes, str], T],
    ) -> T:
        where = f"{provider.name} ({bare(url)})"
        request = {"params": dict(params or {}), "headers": dict(headers or {})}

        def attempt() -> T:
            return read(*self._fetch(provider, where, "GET", url, follow=not headers, **request), where)

        return self.call(provider, attempt, cost=cost)

    def _fetch(
        self, provider: Provider, where: str, method: str, url: str, *, follow: bool = False, **request: Any
    ) -> tuple[requests.Response, bytes]:
        """Make one exchange, with what it redirects to; every way it may fail leaves as an error of the platform's."""
        hops: list[str] = []
        left = self._meters[provider.name].until - self._clock()
        try:
            with deadline(min(_LONGEST * provider.read_timeout, max(left, 1.0))):
                response, body = self._exchange(provider, where, method, url, hops if follow else None, request)
        except PlatformError:
            raise
        except Exception as error:
            raise _meaning(error, provider, where, hops) from error
        refuse(provider, where, response, body)
        return response, body

    def _exchange(
        self, provider: Provider, where: str, method: str, url: str, hops: list[str] | None, request: dict[str, Any]
    ) -> tuple[requests.Response, bytes]:
        """Send a request and read its answer; ``hops``, where redirects are followed, takes where they lead."""
        timeout = (provider.connect_timeout, provider.read_timeout)
        while True:
            with closing(self._session.request(method, url, timeout=timeout, stream=True, **request)) as response:
                target = redirected_to(response) if hops is not None else None
                if hops is None or target is None:
                    return response, _body(response, where, provider.most_bytes)
            if len(hops) == _REDIRECTS:
                raise SourceRejectedError(f"{where}: redirects without end{_check(provider)}")
            hops.append(target)
            url, request = urljoin(response.url, target), request | {"params": {}}


def _body(response: requests.Response, where: str, most: int | None) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):  # unpacked, and no more of it at once
        body += chunk
        if most and len(body) >= most:
            return bytes(body[:most])
        if len(body) > MAX_BODY:
            raise SourceRejectedError(f"{where}: the answer is larger than {MAX_BODY >> 20} MiB")
    return bytes(body)


def _check(provider: Provider) -> str:
    return f"; check {provider.url_setting}" if provider.url_setting else ""


def _meaning(error: Exception, provider: Provider, where: str, hops: list[str]) -> PlatformError:
    """Return what an error of the libraries below means; not all of theirs are of the classes they document."""
    check = _check(provider)
    if isinstance(error, exceptions.ChunkedEncodingError | exceptions.ContentDecodingError):
        return SourceUnavailableError(f"{where}: the answer is cut off or garbled")
    if isinstance(error, exceptions.Timeout | TimeoutError) or "timed out" in str(error):
        return SourceUnavailableError(f"{where}: no answer within {provider.read_timeout:g} s{check}")
    if isinstance(error, exceptions.InvalidHeader):
        key = f"; check {provider.key_setting}" if provider.key_setting else ""
        return ConfigError(f"{where}: a header that cannot be sent{key}")
    if isinstance(error, ValueError | OverflowError):  # also urllib3's LocationParseError, and every UnicodeError
        kind = ConfigError if provider.url_setting and not hops else SourceRejectedError
        what = "redirects to what is no address" if hops else "not an address to call"
        return kind(f"{where}: {what}{check}")
    if not isinstance(error, exceptions.RequestException | HTTPError | HTTPException | OSError):
        _log.error("%s: an error nobody foresaw", where, exc_info=error)
    return SourceUnavailableError(f"{where}: cannot be reached, {type(error).__name__}{check}")


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _wait(state: RetryCallState) -> float:
    asked = getattr(_error(state), "retry_after", None)
    return max(float(asked or 0), _backoff(state))  # never less than asked, and never a tight loop


_backoff = wait_random_exponential(multiplier=0.5, max=30)
