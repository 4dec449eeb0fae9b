"""The simulator speaks its providers' wire formats over HTTP, obeys its clock, and misbehaves when told to."""

import json
import re
import signal
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import requests

from tickvault.core.errors import ConfigError
from tickvault.local.simulator import start
from tickvault.simulation.market.market import market
from tickvault.simulation.server import listen

RECORDED = Path(__file__).parents[1] / "fixtures" / "recorded"
NOW = datetime(2026, 11, 20, 13, tzinfo=UTC)
KEY = {"Authorization": "Bearer any"}


@pytest.fixture(scope="module")
def running():
    with start(now=NOW) as simulator:
        yield simulator


@pytest.fixture
def simulator(running):
    running.set_clock(NOW)
    yield running
    running.clear_faults()
    running.forget_requests()


def get(simulator, path, **options):
    return requests.get(simulator.url + path, timeout=60, **options)


def shape(value):
    """JSON type of a value: objects by key, lists by what any of their items may be."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [merge([shape(one) for one in value])] if value else []
    return {"number"} if isinstance(value, (int, float)) and not isinstance(value, bool) else {type(value).__name__}


def merge(shapes):
    first = shapes[0]
    if isinstance(first, dict):
        return {key: merge([s[key] for s in shapes]) for key in first}
    return [merge([s[0] for s in shapes])] if isinstance(first, list) else set().union(*shapes)


def assert_fits(found, genuine, where="$"):
    assert type(found) is type(genuine), where
    if isinstance(genuine, dict):
        assert set(found) == set(genuine), where
        for key, one in genuine.items():
            assert_fits(found[key], one, f"{where}.{key}")
    elif isinstance(genuine, list):
        assert_fits(found[0], genuine[0], f"{where}[]")
    else:
        assert found <= genuine, where


@pytest.mark.parametrize(
    ("recorded", "path"),
    [
        ("binance_ticker_24hr.json", '/binance/api/v3/ticker/24hr?symbols=["BTCUSDT","PEPEUSDT"]'),
        ("coingecko_coins_markets.json", "/coingecko/api/v3/coins/markets?vs_currency=usd&ids=bitcoin,shiba-inu"),
    ],
)
def test_answers_have_the_keys_and_types_of_genuine_ones(simulator, recorded, path):
    genuine = json.loads((RECORDED / recorded).read_text())
    assert_fits(shape(get(simulator, path).json()), shape(genuine))


def test_chart_has_the_keys_and_types_of_a_genuine_one(simulator):
    genuine = json.loads((RECORDED / "yahoo_chart_shape.json").read_text())["chart"]["result"][0]
    found = get(simulator, "/yahoo/v8/finance/chart/AAPL?range=1y&events=div,splits").json()["chart"]["result"][0]
    assert set(found) == set(genuine)
    assert_fits(shape(found["meta"]), shape(genuine["meta"]))
    dividends = [one["events"]["dividends"] for one in (found, genuine)]
    assert all(str(one["date"]) == key for key, one in dividends[0].items())
    assert_fits(*(shape(next(iter(one.values()))) for one in dividends))
    assert set(found["indicators"]["quote"][0]) == {"open", "high", "low", "close", "volume"}
    assert len(found["timestamp"]) == len(found["indicators"]["adjclose"][0]["adjclose"]) > 240


def test_klines_page_by_time_and_end_with_the_open_bar(simulator):
    def klines(**query):
        return get(simulator, "/binance/api/v3/klines", params={"symbol": "BTCUSDT", "interval": "1d", **query}).json()

    first = int(datetime(2025, 10, 16, tzinfo=UTC).timestamp() * 1000)
    rows = klines(startTime=first, limit=1000)
    assert len(rows) == 401
    assert all(len(row) == 12 and row[6] == row[0] + 86_399_999 for row in rows)
    assert {b[0] - a[0] for a, b in pairwise(rows)} == {86_400_000}
    assert rows[-1][6] > NOW.timestamp() * 1000 > rows[-2][6]
    bars = market().bars("BTC", date(2025, 10, 16), date(2026, 11, 20))
    assert [float(row[4]) for row in rows[:-1]] == bars.close.tolist()
    assert klines(startTime=first, limit=3) == rows[:3]
    assert klines(limit=3) == rows[-3:]
    assert klines(startTime=first + 1, endTime=first + 3 * 86_400_000) == rows[1:4]
    assert klines(startTime=int(NOW.timestamp() * 1000) + 86_400_000) == []


@pytest.mark.parametrize(
    ("path", "status", "answer"),
    [
        ("/binance/api/v3/ticker/24hr?symbol=NOPE", 400, {"code": -1121, "msg": "Invalid symbol."}),
        ("/binance/api/v3/klines?symbol=BTCUSDT&interval=7x", 400, {"code": -1120, "msg": "Invalid interval."}),
        ("/coingecko/api/v3/coins/markets", 422, {"error": "Missing parameter vs_currency"}),
        ("/coingecko/api/v3/coins/markets?vs_currency=usd&ids=nope", 200, []),
        ("/coingecko/api/v3/ping", 200, {"gecko_says": "(V3) To the Moon!"}),
        ("/freecryptoapi/v1/getData?symbol=BTC", 401, {"status": "error", "error": "Missing or invalid API key"}),
        ("/news/list?id=nope", 404, {"error": "coin not found"}),
        ("/yahoo/v7/finance/quote?symbols=AAPL", 401, None),
    ],
)
def test_refusals(simulator, path, status, answer):
    reply = get(simulator, path)
    assert reply.status_code == status
    assert answer is None or reply.json() == answer


def test_a_coin_binance_does_not_list_is_not_in_its_answer(simulator):
    rows = get(simulator, "/binance/api/v3/ticker/24hr").json()
    assert len(rows) == 46
    assert "XMRUSDT" not in {row["symbol"] for row in rows}
    assert get(simulator, "/binance/api/v3/ticker/24hr?symbol=XMRUSDT").status_code == 400


def test_binance_counts_weight(simulator):
    used = [
        int(get(simulator, path).headers["X-MBX-USED-WEIGHT-1M"])
        for path in ("/binance/api/v3/klines?symbol=BTCUSDT&interval=1d&limit=1", "/binance/api/v3/ticker/24hr")
    ]
    assert used[1] - used[0] == 80 or used == [2, 80]  # the minute may have turned in between


def test_freecryptoapi_numbers_are_text(simulator):
    answer = get(simulator, "/freecryptoapi/v1/getData?symbol=BTC+PEPE", headers=KEY).json()
    assert answer["status"] == "success"
    assert [row["symbol"] for row in answer["symbols"]] == ["BTC", "PEPE"]
    for row in answer["symbols"]:
        assert float(row["lowest"]) <= float(row["last"]) <= float(row["highest"])
        assert all(isinstance(value, str) for value in row.values())


def test_news_articles_and_rss_agree(simulator):
    addresses = get(simulator, "/news/list?id=bitcoin&limit=5").json()
    assert len(addresses) == len(set(addresses)) == 5
    pages = [requests.get(address, timeout=60).text for address in addresses]
    tags = [dict(re.findall(r'<meta property="([^"]+)" content="([^"]*)">', page)) for page in pages]
    times = [datetime.fromisoformat(tag["article:published_time"]) for tag in tags]
    assert times == sorted(times, reverse=True)
    assert times[0] <= NOW
    assert all(tag["og:title"] and tag["og:description"] and tag["og:image"] for tag in tags)
    feed = ET.fromstring(get(simulator, "/news/rss?id=bitcoin&limit=5").content)
    assert [item.findtext("link") for item in feed.iter("item")] == addresses
    simulator.set_clock(NOW + timedelta(days=3))
    assert set(addresses) < set(get(simulator, "/news/list?id=bitcoin&limit=50").json())


def test_the_clock_moves_prices_and_the_same_instant_repeats_them(simulator):
    path = "/binance/api/v3/ticker/24hr?symbol=BTCUSDT"
    first = get(simulator, path).json()
    simulator.set_clock(NOW + timedelta(hours=1))
    assert get(simulator, path).json()["lastPrice"] != first["lastPrice"]
    simulator.set_clock(NOW)
    assert get(simulator, path).json() == first
    simulator.set_clock(None)
    assert get(simulator, "/_control/clock").json()["frozen"] is False
    assert requests.put(f"{simulator.url}/_control/clock", json={"now": "2026-11-20"}, timeout=60).status_code == 400


@pytest.mark.parametrize("kind", ["429", "418", "451", "401", "500"])
@pytest.mark.parametrize(
    ("provider", "path"),
    [
        ("binance", "/api/v3/ticker/24hr"),
        ("coingecko", "/api/v3/coins/markets?vs_currency=usd"),
        ("yahoo", "/v8/finance/chart/AAPL"),
        ("freecryptoapi", "/v1/getData?symbol=BTC"),
        ("news", "/list?id=bitcoin"),
    ],
)
def test_status_faults_end_after_their_times(simulator, provider, path, kind):
    simulator.fault(provider, kind, times=1, retry_after=7)
    replies = [get(simulator, f"/{provider}{path}", headers=KEY) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [int(kind), 200]
    assert replies[0].headers["Retry-After"] == "7"


def test_faults_of_the_whole_answer(simulator):
    path = "/coingecko/api/v3/coins/markets?vs_currency=usd&ids=bitcoin"
    simulator.fault("coingecko", "html200", path="coins/markets", times=1)
    simulator.fault("coingecko", "truncated", times=1)
    simulator.fault("coingecko", "slow", times=1, retry_after=0.3)
    page, cut, slow = (get(simulator, path) for _ in range(3))
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    with pytest.raises(requests.exceptions.JSONDecodeError):
        cut.json()
    assert slow.elapsed.total_seconds() >= 0.3
    assert len(slow.json()) == 1


def test_record_faults_touch_the_named_symbols_only(simulator):
    path = '/binance/api/v3/ticker/24hr?symbols=["BTCUSDT","ETHUSDT","SOLUSDT"]'
    good = get(simulator, path).json()

    def spoilt(kind):
        simulator.clear_faults()
        simulator.fault("binance", kind, symbols=["ETH"])
        return get(simulator, path).json()

    assert spoilt("missing_symbols") == [good[0], good[2]]
    assert spoilt("duplicate") == [good[0], good[1], good[1], good[2]]
    assert [row["lastPrice"] for row in spoilt("malformed_number")] == [
        good[0]["lastPrice"],
        "n/a",
        good[2]["lastPrice"],
    ]
    assert spoilt("nan")[1]["lastPrice"] == "NaN"
    assert spoilt("negative")[1]["lastPrice"] == "-" + good[1]["lastPrice"]
    future = spoilt("future")
    assert future[1]["closeTime"] > good[1]["closeTime"]
    assert future[0] == good[0]
    assert get(simulator, "/binance/api/v3/ticker/24hr?symbol=BTCUSDT").json() == good[0]


@pytest.mark.parametrize("kind", ["malformed_number", "nan", "negative", "future", "duplicate", "missing_symbols"])
@pytest.mark.parametrize(
    "path",
    [
        "/binance/api/v3/klines?symbol=BTCUSDT&interval=1d&limit=3",
        "/coingecko/api/v3/coins/markets?vs_currency=usd&ids=bitcoin,ethereum",
        "/yahoo/v8/finance/chart/BTC-USD?range=5d",
        "/yahoo/v7/finance/quote?symbols=BTC-USD,ETH-USD&crumb=S1mul4t3d.Crumb",
        "/freecryptoapi/v1/getData?symbol=BTC",
    ],
)
def test_every_record_fault_changes_every_provider(simulator, path, kind):
    good = get(simulator, path, headers=KEY).text
    simulator.fault(path.split("/")[1], kind, symbols=["BTC"], times=1)
    assert get(simulator, path, headers=KEY).text != good
    assert get(simulator, path, headers=KEY).text == good


def test_requests_are_counted_by_provider_and_path(simulator):
    simulator.forget_requests()
    for _ in range(2):
        get(simulator, "/binance/api/v3/klines?symbol=BTCUSDT&interval=1d")
    get(simulator, "/v8/finance/chart/AAPL")
    get(simulator, "/yahoo/v8/finance/chart/AAPL")
    assert simulator.requests() == {"binance": {"/api/v3/klines": 2}, "yahoo": {"/v8/finance/chart/AAPL": 2}}


def test_wrong_faults_are_refused_with_a_sentence(simulator):
    with pytest.raises(ConfigError, match="unknown kind 'explode': choose from 429"):
        simulator.fault("binance", "explode")
    with pytest.raises(ConfigError, match="unknown provider kraken: choose from binance"):
        simulator.fault("kraken", "429")
    with pytest.raises(ConfigError, match=r"knows no \['colour'\]"):
        simulator.fault("binance", "429", colour="red")


def test_a_taken_port_is_a_configuration_error():
    with listen("127.0.0.1", 0) as taken, pytest.raises(ConfigError, match="choose another --port"):
        listen("127.0.0.1", taken.getsockname()[1])


def test_the_command_prints_its_addresses_and_ends_on_sigterm():
    arguments = ["serve", "--port", "0", "--seed", "3", "--now", "2026-11-20T13:00:00Z"]
    code = "import sys; from tickvault.cli.simulate import command; command(sys.argv[1:])"
    with subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True) as server:
        url = server.stdout.readline().removeprefix("listening on ").strip()
        exports = dict(server.stdout.readline().removeprefix("export ").strip().split("=", 1) for _ in range(6))
        assert exports["BINANCE_BASE_URL"] == f"'{url}/binance'"
        health = requests.get(f"{url}/_control/health", timeout=60).json()
        assert health == {"status": "ok", "seed": 3, "now": "2026-11-20T13:00:00Z"}
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0
