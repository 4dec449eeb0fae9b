"""Cuts a text into statements: at each semicolon that stands outside quotes and comments."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""(?P<open>'(?:[^']|'')*\Z|"(?:[^"]|"")*\Z|/\*(?:(?!\*/).)*\Z|\$(?P<tag>\w*)\$(?:(?!\$(?P=tag)\$).)*\Z)
    |'(?:[^']|'')*'|"(?:[^"]|"")*"|(?P<note>--[^\n]*|/\*.*?\*/)|\$(?P<name>\w*)\$.*?\$(?P=name)\$
    |(?P<end>;)|(?P<blank>\s+)|[^'"/$;\s-]+|.""",
    re.DOTALL | re.VERBOSE,
)


def statements(text: str) -> Iterator[str]:
    """Yield each statement with its semicolon; what stands behind the last one is a statement too."""
    begin, says_something = 0, False
    for token in _TOKEN.finditer(text):
        if token["end"]:
            if says_something:
                yield text[begin : token.end()].strip()
            begin, says_something = token.end(), False
        elif not (token["note"] or token["blank"]):
            says_something = True
    if says_something:
        yield text[begin:].strip()


def is_complete(text: str) -> bool:
    """Tell whether the last statement has its semicolon, so that it can be run."""
    ended = False
    for token in _TOKEN.finditer(text):
        if token["open"]:
            return False
        if not (token["note"] or token["blank"]):
            ended = bool(token["end"])
    return ended


def pieces(text: str) -> Iterator[str]:
    """Yield statements and backslash commands; a command is a line that begins no statement's middle."""
    waiting = ""
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("\\") and not any(statements(waiting)):
            yield line.strip()
            continue
        waiting += line
        if is_complete(waiting):
            yield from statements(waiting)
            waiting = ""
    yield from statements(waiting)
