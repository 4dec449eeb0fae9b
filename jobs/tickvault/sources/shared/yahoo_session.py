"""The session that yfinance sends its requests with: the platform's address, budgets, bounds and errors.

It (a) sends everything to ``YAHOO_BASE_URL`` where that is set, (b) turns what went wrong with a data request into the
platform's errors, after waiting as the provider asks, and (c) bounds each answer's bytes and time. Cookie, crumb and
consent pages are left to yfinance, which has ways around them. Company data is waited for by nobody.
"""

import json
import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from curl_cffi import CurlHttpVersion
from curl_cffi import requests as curl
from curl_cffi.curl import CURL_WRITEFUNC_ERROR

from tickvault.core.errors import RateLimitError, SourceRejectedError, SourceUnavailableError
from tickvault.engines.http.answer import Provider, bare, parse_json, refuse
from tickvault.engines.http.client import MAX_BODY, HttpClient

_CHART = "/v8/finance/chart"
_DATA_PATHS = ("/v7/finance/", "/v8/finance/", "/v10/finance/", "/ws/")
_LEFT_TO_YFINANCE = range(400, 418)
_LIMITED = (418, 429)
_NOT_FINITE = re.compile(rb"[:,\[]\s*-?(NaN|Infinity)")


class Session(curl.Session[Any]):
    """Sends everything to the configured server, and remembers what yfinance has to deal with itself.

    Args:
        http: Whose budgets data requests are within.
        base_url: The server; None for Yahoo's own.
        provider: Whose limits they are.

    Attributes:
        refused: Status of the last data request, where it was refused or limited.
        chart: The last chart as it came: yfinance makes a volume of 0 of one that is missing.
    """

    refused: int | None = None
    chart: Any = None

    def __init__(self, http: HttpClient, base_url: str | None, provider: Provider) -> None:
        plain = base_url is not None and base_url.startswith("http:")  # where curl would ask for an upgrade to HTTP/2
        super().__init__(impersonate="chrome", http_version=CurlHttpVersion.V1_1 if plain else None)
        self._http, self._base_url, self._provider = http, base_url, provider
        self._company = replace(provider, attempts=2)

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        """Send to the configured server; data requests within the provider's budgets."""
        address, path = _redirected(url, self._base_url), urlsplit(url).path
        if not path.startswith(_DATA_PATHS):
            return self._bounded(method, address, *args, **kwargs)
        if path.startswith(_CHART):
            return self._http.call(self._provider, lambda: self._data(method, address, *args, **kwargs))
        try:
            return self._http.call(self._company, lambda: self._at_once(method, address, *args, **kwargs))
        except SourceUnavailableError as error:
            raise SourceRejectedError(str(error)) from error

    def _at_once(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        """Send a request that nobody waits for: a limit ends it."""
        try:
            return self._data(method, url, *args, **kwargs)
        except RateLimitError as error:
            raise SourceRejectedError(str(error)) from error

    def _data(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        where = f"yahoo ({bare(url)})"
        try:
            response = self._bounded(method, url, *args, **kwargs)
        except OSError as error:
            raise SourceUnavailableError(f"{where}: {type(error).__name__}; check YAHOO_BASE_URL") from error
        status = response.status_code
        self.refused = status if status in _LEFT_TO_YFINANCE or status in _LIMITED else None
        if status in _LEFT_TO_YFINANCE:
            return response
        refuse(self._provider, where, response, response.content)
        parsed = parse_json(response, response.content, where)
        if _CHART in urlsplit(url).path:
            self.chart = parsed
        response.content = _finite(response.content)
        return response

    def _bounded(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        """Send one request; curl ends it after the time limit for the whole answer, or too many bytes."""
        body = bytearray()

        def take(chunk: bytes) -> int:
            body.extend(chunk)
            return len(chunk) if len(body) <= MAX_BODY else CURL_WRITEFUNC_ERROR

        kwargs |= {"timeout": self._provider.read_timeout, "content_callback": take}
        try:
            response = super().request(method, url, *args, **kwargs)
        except OSError as error:
            if len(body) > MAX_BODY:
                raise SourceRejectedError(
                    f"yahoo ({bare(url)}): the answer is larger than {MAX_BODY >> 20} MiB"
                ) from error
            raise
        response.content = bytes(body)
        return response


def _finite(body: bytes) -> bytes:
    """Write null for NaN and Infinity, which are no JSON: one such number would cost the whole answer."""
    if not _NOT_FINITE.search(body):
        return body
    return json.dumps(json.loads(body, parse_constant=lambda _: None)).encode()


def _redirected(url: str, base_url: str | None) -> str:
    if not base_url:
        return url
    asked, base = urlsplit(url), urlsplit(base_url)
    return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + asked.path, asked.query, ""))
