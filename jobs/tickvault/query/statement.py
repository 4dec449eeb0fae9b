"""Tells a statement that only reads from any other, by how it begins: the first of two bars, and the same everywhere.

The second is the engine's own: PostgreSQL takes one prepared statement, in a read-only transaction, of a login that
may only read; Trino and Snowflake take one statement, Snowflake as the reader's role.
"""

import re

from tickvault.core.errors import TerminalError

_READING = frozenset({"select", "with", "values", "table", "show", "describe", "desc", "explain"})
_BLANK = re.compile(r"\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/|\(", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_]+")
_OPTIONS = re.compile(
    r"analyze\b|verbose\b|using\s+(?:text|json|tabular)\b"
    r"|\(\s*(?:analyze|verbose|costs|settings|generic_plan|buffers|serialize|wal|timing|summary|memory|format|type)\b"
    r"[^()]*\)",
    re.IGNORECASE,
)
_QUOTED = tuple(
    re.compile(rf"""'(?:{inside})*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/""", re.DOTALL)
    for inside in ("[^']|''", r"[^'\\]|\\.|''")  # not every engine takes a backslash for an escape
)
_DOLLARS = re.compile(r"\$\w*\$")
_CHAIN = "->>"
"""Snowflake's pipe, which hands one statement's rows to the next; to PostgreSQL it is a part of a JSON document."""


def require_reading(sql: str, engine: str) -> str:
    """Return the statement, without what ends it, if it is one that reads.

    Raises:
        TerminalError: It does not begin as one does.
    """
    text = sql.strip().rstrip(";").rstrip()
    word, rest = _begin(text)
    if word == "explain":  # EXPLAIN ANALYZE runs what follows
        inner, _ = _begin(_skip(rest, _OPTIONS, _BLANK))
        word = inner if inner != "explain" else ""
    if word not in _READING or _several(text) or (engine == "snowflake" and _CHAIN in text):
        raise TerminalError(
            f"only one statement that reads is run ({', '.join(sorted(_READING)).upper()}); this one may write"
        )
    return text


def _several(text: str) -> bool:
    """Tell whether a semicolon may end one statement and begin another: the emulator would run both."""
    return ";" in text and (bool(_DOLLARS.search(text)) or any(";" in quoted.sub("", text) for quoted in _QUOTED))


def _begin(text: str) -> tuple[str, str]:
    text = _skip(text, _BLANK)
    found = _WORD.match(text)
    return (found[0].lower(), text[found.end() :]) if found else ("", text)


def _skip(text: str, *patterns: re.Pattern[str]) -> str:
    at = 0
    while found := next((m for p in patterns if (m := p.match(text, at))), None):
        at = found.end()
    return text[at:]
