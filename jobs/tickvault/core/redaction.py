"""Blots out secrets in whatever is said, kept or stored; the one place that knows what they look like.

The settings tell it their secrets as they are read. Errors, outcomes, rejects, log lines and what a run says at its end
pass through here as they are made; so do the texts of rows, for the keys a provider was sent and may send back. A
secret is also found URL-encoded, in base64 at any place of a longer text, and as JSON and HTML write it.

One of fewer than six characters is not looked for: it would blot out ordinary words, and protects nothing. Neither is
one that is a word of the platform's own, such as ``tickvault``: each sentence with a command would be unreadable.
"""

import base64
import functools
import html
import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

SHORTEST = 6
"""Characters of the shortest secret that is looked for."""
BLOT = "***"
OURS = frozenset({"binance", "coingecko", "postgres", "simulated", "snowflake", "tickvault", "yfinance"})
"""Words of the platform's own, in lower case: as passwords they are not looked for."""

_LONG = 16
"""Characters from which a part of a secret, a line of a key or a piece of an address, is one by itself."""
_said: set[str] = set()
_sent: set[str] = set()


def know(secrets: Iterable[str], *, sent: bool = False) -> None:
    """Look for these from now on.

    Args:
        secrets: In plain text.
        sent: They are sent to providers, which may repeat them in what becomes rows.
    """
    _said.update(secrets)
    if sent:
        _sent.update(secrets)


def forget() -> None:
    """Look for none; for tests, which share a process."""
    _said.clear()
    _sent.clear()


def text(value: str) -> str:
    """Return the text without any secret."""
    return _blotted(value, _said)


def data(value: Any) -> Any:
    """Return lists and dicts of texts, keys too, without any secret; what is no text stays."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        return {data(k): data(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(data, value)) if type(value) in {list, tuple} else value
    return value


def echo(value: str) -> str:
    """Return a row's text without the keys that were sent to providers."""
    return _blotted(value, _sent)


def echoes() -> str:
    """Return a regular expression of RE2 that finds what ``echo`` blots out, "" where there is nothing to find."""
    return "|".join("".join(f"\\x{{{ord(c):x}}}" for c in form) for form in _forms(frozenset(_sent)))


def _blotted(value: str, secrets: set[str]) -> str:
    for form in _forms(frozenset(secrets)):
        value = value.replace(form, BLOT)
    return value


@functools.lru_cache(maxsize=8)
def _forms(secrets: frozenset[str]) -> tuple[str, ...]:
    """Return all the ways secrets may be written, the longest first, so that none leaves a part of another."""
    found = {form for secret in secrets for part in _parts(secret) for form in _written(part)}
    return tuple(sorted((form for form in found if len(form) >= SHORTEST), key=lambda form: (-len(form), form)))


def _parts(secret: str) -> set[str]:
    """Return a secret and what of it is one too: a key's lines, an address's long pieces."""
    pieces = secret.splitlines()
    if "://" in secret:
        pieces += [secret.partition("://")[2].partition("/")[2], *secret.replace("?", "/").replace("=", "/").split("/")]
    return {secret, secret.strip()} | {p for p in pieces if len(p) >= _LONG and not p.startswith("-----")}


def _written(secret: str) -> set[str]:
    if len(secret) < SHORTEST or secret.lower() in OURS:
        return set()
    raw = secret.encode("utf-8", "surrogatepass")
    encoded = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    forms = {secret, html.escape(secret), json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    forms |= encoded | {_lower_hex(form) for form in encoded} | {repr(secret)[1:-1], raw.hex(), raw.hex().upper()}
    for before in range(3):  # bytes of its group of three that belong to what stands before it
        whole = base64.b64encode(b"\0" * before + raw).decode()
        own = whole[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]  # the characters it alone decides
        forms |= {own, own.replace("+", "-").replace("/", "_")}
    return forms


def _lower_hex(encoded: str) -> str:
    first, *rest = encoded.split("%")
    return "%".join([first, *(piece[:2].lower() + piece[2:] for piece in rest)])


def in_address(address: str) -> str | None:
    """Return the password an address holds, None where it holds none."""
    try:
        return urlsplit(address).password if "@" in address and "://" in address else None
    except ValueError:
        return None
