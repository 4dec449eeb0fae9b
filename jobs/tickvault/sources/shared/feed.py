"""What a feed says about its articles: RSS 0.9x, 1.0 and 2.0 (https://www.rssboard.org/rss-specification), and Atom.

Read by libxml2: entities are not expanded, nothing is fetched, and a tree too deep or too large is refused.
"""

import re
from dataclasses import dataclass, field
from html.entities import html5
from xml.sax.saxutils import escape

from lxml import etree

from tickvault.core.errors import SourceRejectedError, SourceUnavailableError
from tickvault.sources.shared.article import Article, resolved
from tickvault.sources.shared.markup import readable, spaced
from tickvault.sources.shared.published import published

_ATOM = "http://www.w3.org/2005/Atom"
_MEDIA = "http://search.yahoo.com/mrss/"
_DUBLIN = "http://purl.org/dc/elements/1.1/"
_BASE = "{http://www.w3.org/XML/1998/namespace}base"
_ROOTS = {"rss", "RDF", "feed"}
_OPENED = re.compile(r"<((?:[A-Za-z]+:)?(?:rss|RDF|feed))[\s>]")
_REFERENCE = re.compile(r"&(?:(#[0-9]{1,8}|#x[0-9a-fA-F]{1,7}|[A-Za-z][A-Za-z0-9]{0,31});)?")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # no XML may hold them, and one item's cost all


@dataclass(frozen=True, slots=True)
class Item:
    """An article in a feed.

    Args:
        url: Its address; None where neither a link nor a guid is one.
        said: What the feed has instead of an address, for people.
        article: The rest.
    """

    url: str | None
    said: str
    article: Article = field(default_factory=Article)


def feed_items(text: str, address: str, where: str) -> list[Item]:
    """Return the items of a feed, in its order.

    Args:
        text: The feed.
        address: Where it came from.
        where: The same for messages.

    Raises:
        SourceUnavailableError: It is cut off.
        SourceRejectedError: It is no feed.
    """
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True
    )
    mended = _mended(text.lstrip("\ufeff \t\r\n"))
    try:
        root = etree.fromstring(mended.encode(), parser, base_url=address)
    except (etree.XMLSyntaxError, ValueError) as error:
        opened = _OPENED.search(mended)
        if opened and f"</{opened[1]}" not in mended[-100:]:
            raise SourceUnavailableError(f"{where}: the feed is cut off") from error
        raise SourceRejectedError(f"{where}: not a feed, {error}") from error
    if etree.QName(root).localname not in _ROOTS:
        raise SourceRejectedError(f"{where}: neither RSS nor Atom but <{root.tag}>")
    home = resolved(_text(root, "{*}channel/{*}link"), address) or address
    return [_item(element, home, address) for element in root.iter("{*}item", "{*}entry")]


def _mended(text: str) -> str:
    """Put right what feeds do and XML forbids: HTML's entities, a bare ``&``, characters that XML does not have."""
    first, *others = _FORBIDDEN.sub("\ufffd", text).split("<![CDATA[")
    pieces = [_REFERENCE.sub(_reference, first)]
    for other in others:
        inside, end, rest = other.partition("]]>")
        pieces += ["<![CDATA[", inside, end, _REFERENCE.sub(_reference, rest)]
    return "".join(pieces)


def _reference(match: re.Match[str]) -> str:
    name = match[1] or ""
    if name.startswith("#"):
        code = int(f"0{name[1:]}", 0) if name[1] == "x" else int(name[1:])
        fits = code in {9, 10, 13} or 32 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000  # noqa: PLR2004
        return match[0] if fits else "\ufffd"
    if name in {"amp", "lt", "gt", "quot", "apos"}:
        return match[0]
    if f"{name};" in html5:
        return escape(html5[f"{name};"])
    return match[0] if name else "&amp;"


def _item(element: etree._Element, home: str, address: str) -> Item:
    ns = etree.QName(element).namespace or ""
    prefix = f"{{{ns}}}" if ns else ""
    based = any(_BASE in above.attrib for above in (element, *element.iterancestors()))
    base = element.base or address if based or ns == _ATOM else home
    url, said = _address(element, prefix, base)
    images = (
        picture.get("url") or ""
        for picture in element.iterfind(f".//{{{_MEDIA}}}*")
        if _is_picture(picture) or etree.QName(picture).localname == "thumbnail"
    )
    enclosures = (e.get("url") or "" for e in element.iterfind(f"{prefix}enclosure") if _is_picture(e))
    image = next((url for url in (*images, *enclosures) if url), None)
    date = _text(element, f"{prefix}pubDate", f"{{{_DUBLIN}}}date", f"{prefix}published", f"{prefix}updated")
    return Item(
        url,
        said,
        Article(
            title=_read(element, f"{prefix}title"),
            description=_read(element, f"{prefix}description", f"{prefix}summary", f"{prefix}content"),
            date=published(date),
            image=resolved(image.strip(), base) if image else None,
        ),
    )


def _address(element: etree._Element, prefix: str, base: str) -> tuple[str | None, str]:
    """Give an item's address, exactly as the feed has it where it is absolute, and what it has instead of one."""
    links = [link for link in element.iterfind(f"{prefix}link") if link.get("rel", "alternate") == "alternate"]
    link = next(filter(None, ((one.get("href") or one.text or "").strip() for one in links)), "")
    if link:
        return resolved(link, base), link
    guid = element.find(f"{prefix}guid")
    text = _text(element, f"{prefix}guid", f"{prefix}id")
    if guid is not None and (guid.get("isPermaLink") or "true").strip().lower() == "true":
        return resolved(text), text
    return None, text


def _is_picture(element: etree._Element) -> bool:
    kind = element.get("medium") or element.get("type") or "image"
    return etree.QName(element).localname in {"content", "enclosure"} and kind.startswith("image")


def _text(element: etree._Element, *names: str) -> str:
    """Give the text of the first of several children that has one."""
    texts = ("".join(child.itertext()).strip() for name in names for child in element.iterfind(name))
    return next(filter(None, texts), "")


def _read(element: etree._Element, *names: str) -> str | None:
    """Give what people would read; Atom says of its texts whether they are HTML."""
    for child in (child for name in names for child in element.iterfind(name)):
        text = "".join(child.itertext())
        is_text = etree.QName(child).namespace == _ATOM and child.get("type", "text") != "html"
        found = spaced(text) if is_text else readable(text)
        if found:
            return found
    return None
