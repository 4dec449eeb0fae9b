"""Text that may be HTML: what people would read of it. Nothing is cut: what only looks like a tag stays.

All of it takes time in proportion to the text, whatever is in it.
"""

import re
from collections.abc import Iterator
from html import unescape

_BLOCKS_TEXT = """
address article aside blockquote body br caption center dd details dialog div dl dt fieldset figcaption figure
footer form h1 h2 h3 h4 h5 h6 head header hr html iframe legend li main nav noscript object ol optgroup option p
picture pre section select source summary svg table tbody td textarea tfoot th thead tr ul video audio
"""
_BLOCKS = frozenset(_BLOCKS_TEXT.split())
_INLINE_TEXT = """
a abbr acronym b bdi bdo big button cite code data del dfn em embed font i img input ins kbd label link map mark
meta meter output param progress q rp rt ruby s samp small span strike strong style script sub sup time title tt
u var wbr
"""
_INLINE = frozenset(_INLINE_TEXT.split())
_NAMES = _BLOCKS | _INLINE
_TAG = re.compile(
    r"""<(?P<end>/?)(?P<name>[A-Za-z][A-Za-z0-9]*)(?P<more>\s(?:[^<>"']|"[^"<]*"|'[^'<]*')*)?/?>""",
)
_LINKED = {"a", "hr", "img"}
_ENTITY = re.compile(r"&(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,7}|[A-Za-z][A-Za-z0-9]{1,31});")
_UNSEEN = ("script", "style")


def readable(text: str) -> str:
    """Give the text of what may be HTML, white space as single spaces.

    HTML is what has a closing tag, begins with a tag, or breaks a line. Anything else is text, in which entities are
    resolved all the same: feeds write ``AT&amp;amp;T`` far more often than they mean it.
    """
    if _is_html(text):
        text = "".join(_pieces(_without_comments(text)))
    return spaced(_ENTITY.sub(lambda match: unescape(match[0]), text))


def spaced(text: str) -> str:
    """Write white space as single spaces."""
    return " ".join(text.split())


def _tags(text: str) -> Iterator[re.Match[str]]:
    return (tag for tag in _TAG.finditer(text) if tag["name"].lower() in _NAMES)


def _is_html(text: str) -> bool:
    start = len(text) - len(text.lstrip())
    return any(
        tag["end"] or tag.start() == start or name == "br" or (name in _LINKED and tag["more"])
        for tag, name in ((tag, tag["name"].lower()) for tag in _tags(text))
    )


def _pieces(text: str) -> Iterator[str]:
    lowered = text.lower()
    ends = {name: lowered.rfind(f"</{name}") for name in _UNSEEN}
    at, unseen = 0, ""
    for tag in _tags(text):
        name = tag["name"].lower()
        closes = bool(tag["end"])
        if unseen and not (closes and name == unseen):
            continue
        if not unseen:
            yield text[at : tag.start()]
            if name in _UNSEEN and (closes or ends[name] < tag.start()):  # a word about HTML: nothing closes it
                yield tag[0]
        unseen = name if name in _UNSEEN and not closes and ends[name] > tag.start() else ""
        yield " " if name in _BLOCKS else ""
        at = tag.end()
    yield text[at:]


def _without_comments(text: str) -> str:
    first, *others = text.split("<!--")
    kept = [first]
    for other in others:
        _, closed, rest = other.partition("-->")
        kept.append(rest if closed else f"<!--{other}")
    return "".join(kept)
