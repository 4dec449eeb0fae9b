"""What a web page and a feed say about an article: Open Graph tags, and the items of RSS 2.0.

https://ogp.me and https://www.rssboard.org/rss-specification; read with the standard library alone.
"""

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from html import unescape
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

from tickvault.core.errors import SourceRejectedError, SourceUnavailableError

_TAGS = {
    "og:title": "title",
    "og:description": "description",
    "og:image": "image",
    "article:published_time": "date",
}
_MEDIA = "{http://search.yahoo.com/mrss/}"


@dataclass(frozen=True, slots=True)
class Item:
    """An article in a feed; what it does not say is None."""

    url: str | None
    title: str | None
    description: str | None
    date: str | None
    image: str | None


class _OpenGraph(HTMLParser):
    """Collects the first of each tag; nothing else of the page is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "meta":
            given = dict(attrs)
            name = _TAGS.get(given.get("property") or given.get("name") or "")
            content = (given.get("content") or "").strip()
            if name and content:
                self.found.setdefault(name, content)


def open_graph(html: str) -> dict[str, str]:
    """Return title, description, image and date (ISO text) of a page, as far as it says them."""
    parser = _OpenGraph()
    parser.feed(html)
    parser.close()
    return parser.found


def rss_items(text: str, where: str) -> list[Item]:
    """Return the items of a feed, in its order.

    Args:
        text: The feed.
        where: Its address, for messages.

    Raises:
        SourceUnavailableError: It is cut off.
        SourceRejectedError: It is no RSS, or declares a document type: entities could blow it up or read files.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise SourceRejectedError(f"{where}: a feed with a document type or entities is not read")
    try:
        root = ET.fromstring(text)  # noqa: S314 - what the standard parser is weak against is refused above
    except ET.ParseError as error:
        if "<rss" in text and not text.rstrip().endswith("</rss>"):
            raise SourceUnavailableError(f"{where}: the feed is cut off") from error
        raise SourceRejectedError(f"{where}: not a feed, {error}") from error
    if root.tag != "rss":
        raise SourceRejectedError(f"{where}: not RSS but <{root.tag}>")
    return [_item(element) for element in root.iter("item")]


def _item(element: ET.Element) -> Item:
    enclosure = element.find("enclosure")
    media = element.find(f"{_MEDIA}content")
    picture = media if media is not None else enclosure
    return Item(
        url=_text(element, "link"),
        title=_text(element, "title"),
        description=_text(element, "description"),
        date=_iso(_text(element, "pubDate")),
        image=picture.get("url") if picture is not None else None,
    )


def _text(element: ET.Element, name: str) -> str | None:
    plain = re.sub(r"<[^>]*>", " ", unescape(element.findtext(name) or ""))
    return " ".join(plain.split()) or None


def _iso(text: str | None) -> str | None:
    """Turn an RFC 822 date into ISO 8601; what is none stays as it is, for the reject to show."""
    try:
        return parsedate_to_datetime(text or "").isoformat()
    except ValueError:
        return text
