"""What a provider's answer means: whom it came from, what its status stands for, and whether its body is whole."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlsplit

from tickvault.core import redaction
from tickvault.core.errors import ConfigError, RateLimitError, SourceRejectedError, SourceUnavailableError
from tickvault.core.values import plain
from tickvault.engines.http.charset import decoded

if TYPE_CHECKING:
    import requests

_LONGEST_WAIT = 366 * 86_400.0
_WAIT_DIGITS = 7
_SHOWN = 200
_RESERVED = "%/:?#[]@!$&'()*+,;=-._~"


class Response(Protocol):
    """What requests' and curl_cffi's responses have in common, as far as it is used here."""

    status_code: int
    encoding: Any
    headers: Any


@dataclass(frozen=True, slots=True)
class Provider:
    """Whom a request goes to, and how he wants to be treated.

    Args:
        name: Name in messages; budgets are kept by it.
        per_minute: Cost (requests, or the provider's own weights) he allows within any 60 s.
        key_setting: Setting of his key, named when he answers 401 or 403; None where no key is involved.
        url_setting: Setting of his address, named when it cannot be reached or answers 451.
        blocked_hint: What to do when he does not serve this country (HTTP 451).
        attempts: How often a failing request is tried; waiting for ``Retry-After`` is bound by time alone.
        connect_timeout: Seconds to reach him.
        read_timeout: Seconds between two bytes of an answer; the whole answer may take four times as long.
        most_bytes: No more of an answer is read, and what was read is the answer; None reads all of it.
    """

    name: str
    per_minute: float
    key_setting: str | None = None
    url_setting: str | None = None
    blocked_hint: str = ""
    attempts: int = 5
    connect_timeout: float = 5.0
    read_timeout: float = 20.0
    most_bytes: int | None = None


class RefusedRequestError(SourceRejectedError):
    """A provider answered 4xx; the caller may know what that means.

    Args:
        message: What was refused.
        status: HTTP status.
        body: Start of the answer.
    """

    def __init__(self, message: str, status: int, body: str) -> None:
        super().__init__(message)
        self.status, self.body = status, redaction.text(body)


def refuse(provider: Provider, where: str, response: Response, body: bytes) -> None:
    """Raise what the status stands for; 2xx passes."""
    status = response.status_code
    if status < 300:  # noqa: PLR2004
        return
    excerpt = body[:500].decode("utf-8", "replace")
    if status in {418, 429}:
        wait = _retry_after(response)
        asks = f"asks us to wait {wait:.0f} s" if wait is not None else "asks us to wait"
        raise RateLimitError(f"{where}: HTTP {status}, it {asks}", wait)
    if status >= 500:  # noqa: PLR2004
        wait = _retry_after(response)
        if wait is not None:
            raise RateLimitError(f"{where}: HTTP {status}, it asks us to wait {wait:.0f} s", wait)
        raise SourceUnavailableError(f"{where}: HTTP {status}")
    if status in {401, 403} and provider.key_setting:
        raise ConfigError(f"{where}: HTTP {status}, the key is refused or missing; set {provider.key_setting}")
    if status == 451:  # noqa: PLR2004
        setting = f"set {provider.url_setting} to an address that serves it" if provider.url_setting else ""
        way_out = "; ".join(
            filter(None, ["it does not serve the place this runs in", provider.blocked_hint or setting])
        )
        raise ConfigError(f"{where}: HTTP 451, {way_out}")
    raise RefusedRequestError(f"{where}: HTTP {status}: {' '.join(excerpt[:200].split())}", status, excerpt)


def _retry_after(response: Response) -> float | None:
    """Read seconds or an HTTP date, the latter against the provider's own clock; what is neither says nothing."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return _LONGEST_WAIT if len(text) > _WAIT_DIGITS else float(text)
    until = _http_date(text)
    now = _http_date(response.headers.get("Date", "")) or datetime.now(UTC)
    return min(_LONGEST_WAIT, max(0.0, (until - now).total_seconds())) if until else None


def _http_date(text: str) -> datetime | None:
    try:
        time = parsedate_to_datetime(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):  # all of them have been seen
        return None


def redirected_to(response: "requests.Response") -> str | None:
    """Return where an answer redirects to, None where it does not; bytes that are no UTF-8 stay the bytes they are."""
    if not response.is_redirect:
        return None
    target = response.headers["Location"].encode("latin-1")  # as http.client made text of it
    try:
        return target.decode()
    except UnicodeDecodeError:
        return quote(target, safe=_RESERVED)


def parse_text(response: Response, body: bytes, where: str) -> str:
    """Decode a text as ``charset.decoded`` does; an empty one counts as cut off."""
    if not body:
        raise SourceUnavailableError(f"{where}: the answer is empty")
    return decoded(body, response.headers.get("Content-Type", ""))


def parse_json(response: Response, body: bytes, where: str) -> Any:
    """Parse JSON, telling a body that is cut off (try again) from one that is something else (give up)."""
    text = body.decode("utf-8-sig", "replace").strip()
    if not text:
        raise SourceUnavailableError(f"{where}: the answer is empty")
    if text.startswith("<"):
        kind = response.headers.get("Content-Type", "no type")
        raise SourceRejectedError(f"{where}: HTTP {response.status_code} with a web page ({kind}) where JSON is due")
    try:
        # NaN and Infinity are no JSON, yet some providers send them: kept, so that the one record is put aside
        return json.loads(text, parse_float=Decimal, parse_constant=Decimal)
    except json.JSONDecodeError as error:
        if error.pos >= len(text) or (text[0] in "{[" and text[-1] not in "}]"):
            raise SourceUnavailableError(f"{where}: the JSON is cut off after {len(text)} characters") from error
        raise SourceRejectedError(f"{where}: not JSON, {error.msg} at character {error.pos}") from error
    except (ValueError, RecursionError) as error:
        raise SourceRejectedError(f"{where}: JSON beyond all measure, {error}") from error


def bare(url: str) -> str:
    """Return the address without user, query and fragment: fit for messages, also where it is none."""
    try:
        parts = urlsplit(url)
        host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        host = url.partition("?")[0].partition("#")[0].rpartition("@")[2]
    text = plain(host)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
