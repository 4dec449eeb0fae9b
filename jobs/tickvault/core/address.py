"""Which text is the address of a web page: absolute, http or https, of a host that can exist, and not too long."""

import ipaddress
import re
from urllib.parse import urlsplit

LONGEST = 2048
"""Bytes: the web's common bound, and a key that every target's index takes (PostgreSQL's ends at 2704)."""
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_HOST = 253
_NEVER = frozenset("\\\u2400")
"""No address has them; they are how a record put aside shows half a character and NUL, and must not pass for one."""
_SHOWN = 60


def check_address(text: str) -> None:
    """Pass the address of a web page.

    Raises:
        ValueError: It is none; the text continues a sentence that begins with what it is the address of.
    """
    if len(text.encode("utf-8", "surrogatepass")) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} bytes: {shown(text)}")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValueError(f"is {shown(text)}, which is not the address of a web page: {error}") from error
    is_odd = not text.isprintable() or not _NEVER.isdisjoint(text)
    if parts.scheme not in {"http", "https"} or port == 0 or not _is_host(host) or is_odd:
        raise ValueError(f"is {shown(text)}, which is not the address of a web page")


def shown(text: str) -> str:
    """Quote the start of a text, whatever is in it."""
    start = repr(text[:_SHOWN]).encode("utf-8", "backslashreplace").decode()
    return start if len(text) <= _SHOWN else f"{start[:-1]}…{start[-1]}"


def _is_host(host: str) -> bool:
    if ":" in host:  # an IPv6 address: the brackets are off
        return _is_ip(host)
    try:
        name = host.encode("idna").decode().removesuffix(".")
    except UnicodeError:  # a label of more than 63 letters, an empty one, half a character
        return False
    return 0 < len(name) <= _HOST and all(_LABEL.fullmatch(label) for label in name.split("."))


def _is_ip(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True
