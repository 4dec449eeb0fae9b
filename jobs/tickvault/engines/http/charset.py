"""In which charset a text came: its byte order mark says it, else the header, else the text itself, else its bytes.

Labels mean what they mean on the web (https://encoding.spec.whatwg.org): who writes ``iso-8859-1`` or ``ascii`` sends
windows-1252.
"""

import codecs
import re

import charset_normalizer
import webencodings

_SEARCHED = 4096
_SAMPLE = 8192
_HEADER = re.compile(r"charset\s*=\s*[\"']?\s*([^\s\"';,]+)", re.IGNORECASE)
_PROLOG = re.compile(rb"^\s*<\?xml\b[^>]*?\bencoding\s*=\s*[\"']\s*([A-Za-z0-9._:-]+)")
_META = re.compile(rb"<meta\b[^>]*?\bcharset\s*=\s*[\"']?\s*([A-Za-z0-9._:-]+)", re.IGNORECASE)
# Without the other Latin ones (windows-1250, -1254): from a few letters nobody tells them from the web's default.
_WEB = ["cp1252", "cp1251", "cp1253", "cp1255", "cp1256", "koi8_r", "shift_jis", "euc_jp", "euc_kr", "gb18030", "big5"]


def decoded(body: bytes, content_type: str = "") -> str:
    """Decode a web page, a feed or another text; what its charset does not hold becomes U+FFFD.

    Args:
        body: All of it, or its beginning.
        content_type: The header of that name, as far as there is one.
    """
    encoding = _of_header(content_type) or _wide(body) or _of_text(body) or _detected(body)
    if encoding.name.startswith("utf-16"):
        encoding = _wide(body) or encoding  # who says utf-16 does not say in which order
    text: str = webencodings.decode(body, encoding)[0]
    return text


def _of_header(content_type: str) -> webencodings.Encoding | None:
    named = _HEADER.search(content_type)
    return _labelled(named[1]) if named else None


def _labelled(label: str) -> webencodings.Encoding | None:
    """Find a charset by its label on the web, else by Python's name for it (``latin-1``)."""
    try:
        return webencodings.lookup(label) or webencodings.lookup(codecs.lookup(label).name)
    except (LookupError, ValueError):  # ValueError: a label with NUL
        return None


def _wide(body: bytes) -> webencodings.Encoding | None:
    """Tell UTF-16 without a mark by its first character, which is ASCII in a page and a feed."""
    start = body[:2]
    if 0 not in start or start in {b"\0", b"\0\0"}:
        return None
    return webencodings.lookup("utf-16be" if start[0] == 0 else "utf-16le")


def _of_text(body: bytes) -> webencodings.Encoding | None:
    start = body[:_SEARCHED]
    named = _PROLOG.search(start) or _META.search(start)
    encoding = _labelled(named[1].decode("ascii")) if named else None
    if encoding and encoding.name.startswith("utf-16"):  # it was read as ASCII, so it is not
        return webencodings.UTF8
    return encoding


def _detected(body: bytes) -> webencodings.Encoding:
    """Take UTF-8 where all fits, else what the text is likeliest to be."""
    try:
        webencodings.IncrementalDecoder(webencodings.UTF8, "strict").decode(body)
    except UnicodeDecodeError as error:
        sample = body[max(0, error.start - _SAMPLE // 2) :][:_SAMPLE]
    else:
        return webencodings.UTF8
    likely = charset_normalizer.from_bytes(sample, cp_isolation=_WEB).best()
    return webencodings.lookup((likely.encoding if likely else "cp1252").replace("_", "-"))
