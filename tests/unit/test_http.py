"""The HTTP client against a real server on a local socket; time is a clock that only sleeping moves."""

import gzip
import itertools
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal, Overflow
from email.utils import format_datetime
from http.client import BadStatusLine
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from time import sleep as wait
from types import SimpleNamespace

import pytest
from idna import IDNAError
from urllib3.exceptions import DecodeError, LocationParseError

from tickvault.core.errors import ConfigError, RateLimitError, SourceRejectedError, SourceUnavailableError
from tickvault.core.settings import Settings
from tickvault.engines.http.answer import refuse
from tickvault.engines.http.client import HttpClient, Provider, RefusedRequestError

KEYED = Provider("prices", per_minute=6000, key_setting="PRICES_KEY", url_setting="PRICES_URL")
KEYLESS = Provider("open", per_minute=6000, url_setting="OPEN_URL", blocked_hint="set OPEN_URL to https://elsewhere")
SECRET = "s3cr3t-key"
ROOT = Path(__file__).parents[1] / "fixtures/cases"


class Server(ThreadingHTTPServer):
    """Answers with what the test queues, the last answer for ever: (status, headers, body)."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = []
        self.asked = []
        self.posted = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.asked.append((self.path, dict(self.headers)))
        status, headers, body = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        if callable(body):
            body = body()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body)), "Connection": "close"} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def do_POST(self):
        self.server.posted.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.do_GET()

    def log_message(self, *_):
        pass


class Time:
    def __init__(self):
        self.now = 0.0
        self.slept = []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    def clock(self):
        return self.now


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def client(time):
    settings = Settings.load(_env_file=None, http_time_budget=60, http_contact="https://example.org/us")
    with HttpClient(settings, sleep=time.sleep, clock=time.clock) as client:
        yield client


def ok(body=b"{}", **headers):
    return (200, {"Content-Type": "application/json"} | headers, body)


def test_json_keeps_every_digit_and_says_who_asks(client, server):
    server.answers = [ok(b'{"price": 0.12345678901234567890, "n": 3}')]
    answer = client.get_json(KEYED, f"{server.url}/a", {"ids": "x,y"}, {"x-key": SECRET})
    assert answer == {"price": Decimal("0.12345678901234567890"), "n": 3}
    path, headers = server.asked[0]
    assert path == "/a?ids=x%2Cy"
    assert headers["x-key"] == SECRET
    assert headers["User-Agent"].startswith("tickvault/")
    assert "(+https://example.org/us)" in headers["User-Agent"]


def test_gzip_is_unpacked(client, server):
    server.answers = [ok(gzip.compress(b"[1]"), **{"Content-Encoding": "gzip"})]
    assert client.get_json(KEYED, server.url) == [1]


def test_nan_reaches_the_records_as_a_decimal(client, server):
    server.answers = [ok(b"[NaN]")]
    assert client.get_json(KEYED, server.url)[0].is_nan()


def test_retry_after_in_seconds_is_obeyed(client, server, time):
    server.answers = [(429, {"Retry-After": "7"}, b""), ok(b"[1]")]
    assert client.get_json(KEYED, server.url) == [1]
    assert sum(time.slept) >= 7


def test_retry_after_as_a_date_is_read_by_the_providers_clock(client, server, time):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    headers = {"Date": format_datetime(now, usegmt=True)}
    until = {"Retry-After": format_datetime(now + timedelta(seconds=40), usegmt=True)}

    class OldClock(Handler):
        def date_time_string(self, timestamp=None):
            return headers["Date"]

    server.RequestHandlerClass = OldClock
    server.answers = [(503, until, b""), ok(b"[1]")]
    assert client.get_json(KEYED, server.url) == [1]
    assert 40 <= sum(time.slept) < 60


@pytest.mark.parametrize("status", [418, 429])
def test_a_wait_beyond_the_time_budget_is_not_begun(client, server, time, status):
    server.answers = [(status, {"Retry-After": "3600"}, b"")]
    with pytest.raises(RateLimitError, match="3600 s") as caught:
        client.get_json(KEYED, server.url)
    assert caught.value.retry_after == 3600
    assert time.slept == []


def test_the_time_budget_is_one_per_provider_and_run(client, server, time):
    server.answers = [(429, {"Retry-After": "50"}, b""), ok(), (429, {"Retry-After": "50"}, b""), ok()]
    client.get_json(KEYED, server.url)
    with pytest.raises(RateLimitError):
        client.get_json(KEYED, server.url)
    client.get_json(KEYLESS, server.url)


def test_a_rate_limit_without_retry_after_ends_with_the_budget(client, server, time):
    server.answers = [(429, {}, b"")]
    with pytest.raises(RateLimitError) as caught:
        client.get_json(KEYED, server.url)
    assert caught.value.retry_after is None
    assert len(server.asked) > KEYED.attempts
    assert sum(time.slept) <= 60


def test_server_errors_are_tried_again_with_jitter_and_then_given_up(client, server, time):
    server.answers = [(500, {}, b"oops")]
    with pytest.raises(SourceUnavailableError, match="HTTP 500"):
        client.get_json(KEYED, server.url)
    assert len(server.asked) == KEYED.attempts
    assert len(set(time.slept)) == KEYED.attempts - 1


def test_the_rate_budget_holds_in_any_minute(server, time):
    settings = Settings.load(_env_file=None, http_time_budget=600)
    client = HttpClient(settings, sleep=time.sleep, clock=time.clock)
    slow = Provider("slow", per_minute=30)
    server.answers = [ok()]
    starts = []
    for _ in range(40):
        client.get_json(slow, server.url)
        starts.append(time.now)
    assert starts[0] == 0
    assert max(sum(t <= s < t + 60 for s in starts) for t in starts) <= 30


def test_the_rate_budget_ends_with_the_time_budget(client, server):
    server.answers = [ok()]
    costly = Provider("costly", per_minute=60)
    with pytest.raises(RateLimitError, match="60 s for it are used up"):
        client.get_json(costly, server.url, cost=1000)
    assert server.asked == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_names_its_setting_and_never_itself(client, server, status):
    server.answers = [(status, {}, b"no")]
    with pytest.raises(ConfigError, match="PRICES_KEY") as caught:
        client.get_json(KEYED, f"{server.url}/a", {"token": SECRET}, {"x-key": SECRET})
    assert SECRET not in str(caught.value)
    with pytest.raises(SourceRejectedError):
        client.get_json(KEYLESS, server.url)


def test_451_names_the_way_out(client, server):
    server.answers = [(451, {}, b"")]
    with pytest.raises(ConfigError, match="set OPEN_URL to https://elsewhere"):
        client.get_json(KEYLESS, server.url)


def test_404_is_for_the_caller_to_judge(client, server):
    server.answers = [(404, {}, b'{"code": -1121}')]
    with pytest.raises(RefusedRequestError) as caught:
        client.get_json(KEYLESS, server.url)
    assert (caught.value.status, caught.value.body) == (404, '{"code": -1121}')
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"Content-Length": "500"}, b'{"a": 1}'),
        ok(b'[{"a": 1}, {"b"'),
        ok(b'[[1, "2"], [3, "4"]'),
        ok(b'["unterminated'),
        ok(b""),
        ok(b"\x1f\x8b\x08broken", **{"Content-Encoding": "gzip"}),
    ],
    ids=["content length", "in a key", "before the end", "in a text", "empty", "gzip"],
)
def test_a_cut_off_body_is_tried_again(client, server, answer):
    server.answers = [answer, ok(b"[1]")]
    assert client.get_json(KEYED, server.url) == [1]
    server.answers = [answer]
    with pytest.raises(SourceUnavailableError):
        client.get_json(KEYED, server.url)


@pytest.mark.parametrize(
    ("body", "said"),
    [(b" <!DOCTYPE html><html></html>", "web page"), (b'{"a" 1}', "not JSON"), (b"[" + b"9" * 5000 + b"]", "measure")],
    ids=["html", "no json", "a number of 5000 digits"],
)
def test_what_is_no_json_is_rejected_at_once(client, server, body, said):
    server.answers = [ok(body)]
    with pytest.raises(SourceRejectedError, match=said):
        client.get_json(KEYED, server.url)
    assert len(server.asked) == 1


def test_a_body_that_is_too_large_is_not_read_to_its_end(client, server, monkeypatch):
    monkeypatch.setattr("tickvault.engines.http.client.MAX_BODY", 100_000)
    server.answers = [ok(b"[" + b"1," * 100_000 + b"1]")]
    with pytest.raises(SourceRejectedError, match="larger than"):
        client.get_json(KEYED, server.url)


def test_a_slow_server_is_unavailable(client, server):
    release = threading.Event()
    server.answers = [ok(lambda: release.wait(5) and b"")]
    impatient = Provider("slow", per_minute=600, url_setting="SLOW_URL", attempts=1, read_timeout=0.1)
    with pytest.raises(SourceUnavailableError, match="SLOW_URL"):
        client.get_json(impatient, server.url)
    release.set()


def test_nobody_there_names_the_setting(client, server):
    port = server.server_port
    server.server_close()
    with pytest.raises(SourceUnavailableError, match="check PRICES_URL"):
        client.get_json(KEYED, f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("url", ["not an address", "ftp://example.org/x", "http://"])
def test_what_is_no_address_is_a_configuration_error(client, url):
    with pytest.raises(ConfigError, match="PRICES_URL"):
        client.get_json(KEYED, url)


def test_a_key_does_not_follow_a_redirect(client, server):
    server.answers = [(302, {"Location": "/elsewhere"}, b""), ok(b"[1]")]
    with pytest.raises(RefusedRequestError, match="HTTP 302"):
        client.get_json(KEYED, server.url, headers={"x-key": SECRET})
    server.answers = [(302, {"Location": "/elsewhere"}, b""), ok(b"[1]")]
    assert client.get_json(KEYED, server.url) == [1]


def test_what_is_posted_is_tried_again_and_follows_no_redirect(client, server):
    server.answers = [(503, {}, b""), (200, {}, b"")]
    client.post_json(KEYED, f"{server.url}/a", [{"price": 1}])
    assert server.posted == [b'[{"price": 1}]'] * 2
    assert server.asked[0][1]["Content-Type"] == "application/json"
    server.answers = [(302, {"Location": "/elsewhere"}, b""), ok()]
    with pytest.raises(RefusedRequestError, match="HTTP 302"):
        client.post_json(KEYED, server.url, [])
    server.answers = [(400, {}, b"no alert")]
    with pytest.raises(RefusedRequestError, match="no alert"):
        client.post_json(KEYED, server.url, [])


def test_text_is_decoded_by_its_charset_else_as_utf_8(client, server):
    server.answers = [(200, {"Content-Type": "text/html; charset=latin-1"}, "é".encode("latin-1"))]
    assert client.get_text(KEYED, server.url) == "é"
    server.answers = [(200, {"Content-Type": "text/html"}, "é".encode())]
    assert client.get_text(KEYED, server.url) == "é"


ARTICLE = Provider("article", per_minute=6000, attempts=1)
LABEL = "n" * 64


def test_a_redirect_in_latin_1_is_followed_to_the_bytes_it_names(client, server):
    location = (ROOT / "01-redirect-latin1.http").read_bytes().splitlines()[1].partition(b": ")[2].decode("latin-1")
    server.answers = [(301, {"Location": location}, b""), ok(b"[1]")]
    assert client.get_json(ARTICLE, server.url) == [1]
    assert server.asked[-1][0] == "/a/caf%E9"
    server.answers = [(301, {"Location": "/a/café".encode().decode("latin-1")}, b""), ok(b"[2]")]
    assert client.get_json(ARTICLE, server.url) == [2]
    assert server.asked[-1][0] == "/a/caf%C3%A9"


BAD = [
    f"http://{LABEL}.com/x", "http://127.0.0.1:99999/x", "http://[::1/x", "http://[zz]/", "http://a..b/", "http:///x",
    "http://\ud800.example/", "http://127.0.0.1:port/", "http://xn--\udcff/", "http://ex ample/", "http://.", "//x", "",
    "http://ａ" + "é" * 70 + ".example/", "gopher://x/", "http://127.0.0.1:-1/", "http://%00/", "http://a\nb/",
    "javascript:x",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD)
def test_what_is_no_address_is_one_refusal_and_a_setting_that_is_none_is_named(client, server, url):
    with pytest.raises((SourceRejectedError, SourceUnavailableError)) as caught:
        client.get_json(ARTICLE, url)
    str(caught.value).encode()
    once = Provider("once", per_minute=6000, url_setting="ONCE_URL", attempts=1)
    with pytest.raises((ConfigError, SourceUnavailableError), match="check ONCE_URL"):
        client.get_json(once, url)


@pytest.mark.parametrize("url", [u for u in BAD if u and not u.startswith("//") and "\n" not in u and u.isascii()])
def test_a_redirect_to_what_is_no_address_is_one_refusal_even_of_a_provider_that_is_set(client, server, url):
    server.answers = [(302, {"Location": url}, b"")]
    with pytest.raises((SourceRejectedError, SourceUnavailableError)):
        client.get_json(Provider("once", per_minute=6000, url_setting="ONCE_URL", attempts=1), server.url)


def test_a_redirect_without_end_is_refused(client, server):
    server.answers = [(302, {"Location": "/again"}, b"")]
    with pytest.raises(SourceRejectedError, match="without end"):
        client.get_json(ARTICLE, server.url)
    assert len(server.asked) == 11


@pytest.mark.parametrize(
    "error",
    [
        LocationParseError("x"), UnicodeError("x"), RecursionError("x"), IDNAError("x"), BadStatusLine("x"),
        OverflowError("x"), DecodeError("x"), KeyError("x"), Overflow("x"),
    ],
)  # fmt: skip
def test_whatever_the_libraries_raise_is_one_of_the_platforms_errors(client, server, monkeypatch, error):
    def failing(*_, **__):
        raise error

    monkeypatch.setattr(client._session, "request", failing)
    with pytest.raises((SourceRejectedError, SourceUnavailableError)):
        client.get_json(ARTICLE, server.url)


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [
        ("9" * 400, 366 * 86400), ("١٢", None), ("-5", None), ("1e9", None), ("", None), ("²", None),
        ("Wed, 01 Jan 99999 00:00:00 GMT", None), ("Fri, 31 Dec 9999 23:59:59 -1400", None),
        ("Mon, 01 Jan 0001 00:00:00 +1400", 0), ("Fri, 31 Dec 9999 23:59:59 GMT", 366 * 86400), ("soon, (", None),
        ("Thu, 99 Nov 2026 10:00:00 GMT", None), (", ,", None), ("Thu, 19 Nov 2026 10:00:00 +999999999", None),
        ("Mon, 01 Jan 0001 00:00:00 GMT", 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("date", ["Thu, 19 Nov 2026 10:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -1400", "x", ""])
def test_an_absurd_retry_after_says_nothing_or_a_year(client, server, wait, seconds, date):
    response = SimpleNamespace(status_code=429, headers={"Retry-After": wait, "Date": date}, encoding=None)
    with pytest.raises(RateLimitError) as caught:
        refuse(ARTICLE, "here", response, b"")
    assert caught.value.retry_after == seconds


def dripping(listener, pieces):
    """Answer each who comes with the pieces, one every 50 ms."""

    def serve():
        with suppress(OSError):
            while True:
                peer, _ = listener.accept()
                with peer, suppress(OSError):
                    peer.recv(65536)
                    for piece in pieces():
                        peer.sendall(piece)
                        wait(0.05)

    threading.Thread(target=serve, daemon=True).start()


def letters(text):
    return (bytes([byte]) for byte in itertools.cycle(text))


@pytest.mark.parametrize(
    "pieces",
    [
        lambda: letters(b"HTTP/1.1 200 OK" + b" " * 1000),
        lambda: itertools.chain([b"HTTP/1.1 200 OK\r\nX: "], letters(b"x")),
        lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"),
        lambda: itertools.chain([b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"], letters(b"[")),
        lambda: itertools.chain([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"], letters(b"0")),
    ],
    ids=["status line", "header", "continue", "body", "chunk's size"],
)
def test_an_answer_that_drips_in_ends_with_its_deadline(client, pieces):
    slow = Provider("slow", per_minute=6000, url_setting="SLOW_URL", attempts=1, read_timeout=0.5)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        dripping(listener, pieces)
        started = monotonic()
        with pytest.raises(SourceUnavailableError):
            client.get_json(slow, f"http://127.0.0.1:{listener.getsockname()[1]}/")
        assert 1.75 < monotonic() - started < 60, "else it would drip for ever"


def test_the_deadline_is_no_later_than_the_end_of_the_time_budget():
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        dripping(listener, lambda: itertools.chain([b"HTTP/1.1 200 OK\r\nX: "], letters(b"x")))
        patient = Provider("patient", per_minute=6000, attempts=1, read_timeout=20)
        started = monotonic()
        url, settings = f"http://127.0.0.1:{listener.getsockname()[1]}/", Settings.load(http_time_budget=1.5)
        with HttpClient(settings) as client, pytest.raises(SourceUnavailableError):
            client.get_json(patient, url)
        assert monotonic() - started < 20, "the read time-out alone would allow a hundred"


@pytest.mark.parametrize("links", [1, 2])
def test_a_bomb_is_put_out_before_it_fills_the_memory(client, server, links):
    body = b"[" + b" " * 300_000_000
    for _ in range(links):
        body = gzip.compress(body, 6)
    server.answers = [ok(body, **{"Content-Encoding": ", ".join(["gzip"] * links)})]
    tracemalloc.start()
    try:
        with pytest.raises(SourceRejectedError, match="larger than 32 MiB"):
            client.get_json(ARTICLE, server.url)
        assert tracemalloc.get_traced_memory()[1] < 120_000_000
    finally:
        tracemalloc.stop()


def test_a_bomb_in_a_redirect_is_not_even_read(client, server):
    bomb = gzip.compress(b" " * 300_000_000)
    server.answers = [(302, {"Location": "/there", "Content-Encoding": "gzip"}, bomb), ok(b"[1]")]
    tracemalloc.start()
    try:
        assert client.get_json(ARTICLE, server.url) == [1]
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "charset", ["idna", "base64", "undefined", "punycode", "\0", "utf-7", "unicode_escape", "rot13", "x" * 500]
)
def test_a_charset_that_is_none_is_read_as_utf_8(client, server, charset):
    server.answers = [(200, {"Content-Type": f"text/html; charset={charset}"}, "é".encode())]
    assert client.get_text(ARTICLE, server.url)
