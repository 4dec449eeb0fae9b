"""What a package may hold, so that the ledger and both targets take all that was sealed.

PostgreSQL's jsonb has no NUL, no half characters and no NaN, and nobody reads a reason of a megabyte. It is used before
the seal, and again where a manifest is read: one that was sealed before this was looked at is healed.
"""

import math
from collections.abc import Mapping
from typing import Any

ITEM_CHARACTERS = 500
DETAIL_CHARACTERS = 2_000
RECORD_CHARACTERS = 250_000
"""Of a record put aside, as JSON; a longer one cannot be replayed and is kept by its beginning only."""
KEY_BYTES = 2_000
"""Of UTF-8, over the text columns of a key. PostgreSQL's B-tree refuses rows beyond 2,704 bytes, other columns of the
key included: https://www.postgresql.org/docs/current/btree.html#BTREE-LIMITS"""
TEXT_BYTES = 8_000_000
"""Of UTF-8 in one value; Snowflake's VARCHAR ends at 16,777,216 bytes, PostgreSQL's text at 1 GB."""
_DEPTH = 50
_BITS = 10_000


def text(value: str, limit: int | None = None) -> str:
    """Write what no database stores in a way it does, and shorten what is longer than a limit in characters."""
    shown = value.replace("\0", "␀").encode("utf-8", "backslashreplace").decode()
    return shown if limit is None or len(shown) <= limit else f"{shown[: limit - 1]}…"


def json_value(value: Any, depth: int = 0) -> Any:
    """Make any value one that PostgreSQL's jsonb takes."""
    if depth > _DEPTH:
        return f"nested deeper than {_DEPTH} levels"
    if isinstance(value, Mapping):
        return {text(str(k)): json_value(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(v, depth + 1) for v in value]
    return _plain(value)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= _BITS else hex(value)
    if isinstance(value, float) and math.isfinite(value):
        return value
    return text(str(value))
