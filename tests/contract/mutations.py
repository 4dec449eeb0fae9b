"""Mutations of genuine answers, as Hypothesis strategies: a value, a record, some bytes, or the envelope."""

import json
from copy import deepcopy
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from stage import Answer


@dataclass(frozen=True)
class Raw:
    """A number that no float and no int says: written into the JSON as it stands."""

    text: str


EVIL = (
    *(None, True, False, "", " ", 0, -1, 10**18, 10**40, 0.1, [], {}, [[]], {"a": {"b": None}}, [None] * 3),
    *map(
        Raw, ("NaN", "Infinity", "-Infinity", "1e999999", "-1e999999", "1e-30", "0.000000000000000000000001", "1e400")
    ),
    *(
        "NaN",
        "Infinity",
        "1e999999",
        "-0",
        "0",
        "1_000",
        "0x10",
        "١٢٣",
        "1,5",
        "\0",
        "a\0b",
        "\ud83d",
        "\u200b",
        "\ufeff",
    ),
    *("x" * 5000, "é", "e\u0301", "<script>", "A & B", "=1+1", "None", "null"),
    *("1970-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "2026-11-19X10:00:00Z", "20261119", "10:00", "2026-13-01"),
    *("javascript:alert(1)", f"http://{'n' * 64}.com/x", "//", "/a", "http://[::1", "http://h:99999/", "http://a b/"),
    *("http://127.0.0.1:1/\ud83d", "http://127.0.0.1:1/" + "q" * 4000, "ftp://a/", "mailto:a@b"),
    *(1_795_093_200, 1_795_093_200_000, 1_795_093_200_000_000, -62_135_596_800_000, 253_402_300_800_000),
)
PIECES = (
    b"<",
    b">",
    b"&",
    b"&#0;",
    b"&#xD800;",
    b"<!DOCTYPE x>",
    b"<![CDATA[",
    b"]]>",
    b"<!--",
    b"\0",
    b"\xff\xfe",
    b"\xe9",
)
PIECES += (
    b'"',
    b"\\",
    b"\\u0000",
    b"\\ud83d",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"1e999999",
    b"\r\n\r\n",
    b"<p>" * 50,
    b"\xf0\x9f",
)
PLACES = ("/caf\xe9", f"http://{'n' * 64}.com/", "http://[::1", "\xff")
Path = tuple[Any, ...]


@dataclass(frozen=True)
class Mutation:
    """One change of one answer; ``path`` says which value of a JSON document it touched, where it was one alone."""

    address: str
    spoilt: Answer
    what: str
    path: Path | None = None

    def __call__(self, answer: Answer) -> Answer:
        """Change the answer it is about."""
        return self.spoilt if answer.address == self.address else answer


@st.composite
def mutations(draw: st.DrawFn, answers: tuple[Answer, ...]) -> Mutation:
    """Choose an answer and how it is spoilt."""
    answer = draw(st.sampled_from(answers))
    ways = [_bytes, _envelope]
    if answer.body[:1] in b"{[" and answer.body:
        ways = [_value, _value, _value, _value, _record, *ways]
    return draw(st.sampled_from(ways))(draw, answer)


def _value(draw: st.DrawFn, answer: Answer) -> Mutation:
    document = json.loads(answer.body, parse_float=Decimal)
    path = draw(st.sampled_from(paths(document)))
    value = draw(st.sampled_from(EVIL))
    changed = placed(document, path, value)
    return Mutation(answer.address, replace(answer, body=written(changed)), f"{path} = {value!r}"[:200], path)


def _record(draw: st.DrawFn, answer: Answer) -> Mutation:
    document = json.loads(answer.body, parse_float=Decimal)
    inner = [path for path in paths(document) if path] or [()]
    path = draw(st.sampled_from(inner))
    way = draw(st.sampled_from(["drop", "twice", "nest"]))
    if not path:
        return _value(draw, answer)
    parent, last = value_at(document, path[:-1]), path[-1]
    if way == "drop":
        del parent[last]
    elif way == "twice" and isinstance(parent, list):
        parent.append(deepcopy(parent[last]))
    else:
        parent[last] = [parent[last]]
    alone = path if way != "twice" and not (way == "drop" and isinstance(parent, list)) else None
    return Mutation(answer.address, replace(answer, body=written(document)), f"{way} {path}", alone)


def _bytes(draw: st.DrawFn, answer: Answer) -> Mutation:
    at = draw(st.integers(0, len(answer.body)))
    cut = draw(st.integers(0, 40))
    piece = draw(st.sampled_from((b"", *PIECES)))
    rest = answer.body[at + cut :] if draw(st.booleans()) else b""
    return Mutation(answer.address, replace(answer, body=answer.body[:at] + piece + rest), f"{piece!r} at {at}, -{cut}")


def _envelope(draw: st.DrawFn, answer: Answer) -> Mutation:
    changes: dict[str, Any] = draw(
        st.sampled_from(
            [
                *({"status": status} for status in (201, 204, 400, 401, 404, 418, 429, 451, 500, 503)),
                *(
                    {"status": 302, "location": to}
                    for to in ("/caf\xe9", f"http://{'n' * 64}.com/", "http://[::1", "\xff")
                ),
                *(
                    {"kind": f"text/html; charset={name}"}
                    for name in ("utf-16", "iso-8859-1", "no-such", "\xe9", "idna")
                ),
                {"body": b""},
                {"body": b"<html>"},
                {"body": answer.body.decode("utf-8", "replace").encode("utf-16")},
                {"body": b"\xef\xbb\xbf" + answer.body},
            ]
        )
    )
    return Mutation(answer.address, replace(answer, **changes), str(changes)[:80])


def paths(document: Any, path: Path = ()) -> list[Path]:
    """List the way to every value of a document, the document itself first."""
    pairs: Any = ()
    if isinstance(document, dict):
        pairs = document.items()
    elif isinstance(document, list):
        pairs = enumerate(document)
    return [path, *(p for name, value in pairs for p in paths(value, (*path, name)))]


def value_at(document: Any, path: Path) -> Any:
    """Follow a way."""
    for name in path:
        document = document[name]
    return document


def placed(document: Any, path: Path, value: Any) -> Any:
    """Put a value at the end of a way."""
    if not path:
        return value
    value_at(document, path[:-1])[path[-1]] = value
    return document


def written(document: Any) -> bytes:
    """Write JSON in which decimals and raw numbers stand digit by digit."""
    numbers: list[str] = []

    def marked(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: marked(v) for k, v in value.items()}
        if isinstance(value, list):
            return [marked(v) for v in value]
        if isinstance(value, Decimal | Raw):
            numbers.append(value.text if isinstance(value, Raw) else str(value))
            return f"@number{len(numbers) - 1}@"
        return value

    text = json.dumps(marked(document))
    for n, number in enumerate(numbers):
        text = text.replace(f'"@number{n}@"', number, 1)
    return text.encode()
