"""What a web page says about its article: the Open Graph tags of its head (https://ogp.me).

The page is anybody's. No more of it than its first half MiB is fetched (``PAGE_BYTES``), no more than its head is
parsed, and the parser's events are read as they come: no tree, whose making some pages can drag out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

from lxml import etree

from tickvault.core.address import check_address
from tickvault.sources.shared.markup import spaced
from tickvault.sources.shared.published import published

PAGE_BYTES = 512 * 1024
_TAGS = {
    "og:title": "title",
    "og:description": "description",
    "og:image": "image",
    "article:published_time": "date",
}
_ENDS = ("</head>", "<body>", "<body ")


@dataclass(frozen=True, slots=True)
class Article:
    """What is said of an article; what is not said is None."""

    title: str | None = None
    description: str | None = None
    date: datetime | None = None
    image: str | None = None


class _Metas:
    """Collects the first of each tag; nothing else of the page is looked at."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "meta":
            name = _TAGS.get(attributes.get("property") or attributes.get("name") or "")
            content = spaced(attributes.get("content") or "")
            if name and content:
                self.found.setdefault(name, content)

    def end(self, tag: str) -> None:
        pass

    def close(self) -> dict[str, str]:
        return self.found


def open_graph(html: str, url: str) -> Article:
    """Return what a page says, as far as it does.

    Args:
        html: The page, or its beginning.
        url: Its address, against which a picture's is resolved.
    """
    found = _metas(html[:PAGE_BYTES])
    image = found.get("image")
    return Article(
        title=found.get("title"),
        description=found.get("description"),
        date=published(found.get("date")),
        image=resolved(image, url) if image else None,
    )


def resolved(link: str, *bases: str) -> str | None:
    """Resolve a link against the first of the bases that makes it an address; one that is an address stays as it is.

    Returns:
        None where nothing makes it the address of a web page.
    """
    for base in ("", *bases):
        try:
            address = urljoin(base, link) if base else link
            check_address(address)
        except ValueError:
            continue
        return address
    return None


def _metas(html: str) -> dict[str, str]:
    lowered = html.lower()
    end = min((at for at in map(lowered.find, _ENDS) if at >= 0), default=len(html))
    collector = _Metas()
    parser: Any = etree.HTMLParser(target=collector, encoding="utf-8")
    try:
        parser.feed(html[:end].encode())
        parser.close()
    except etree.LxmlError:  # a page without a single tag is none
        return collector.found
    return collector.found
