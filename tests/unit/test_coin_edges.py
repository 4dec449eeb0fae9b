"""What the coin sources make of odd answers and odd symbol lists: never a wrong number, and never silence."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from click.testing import CliRunner
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from tickvault.cli import root
from tickvault.core.errors import ConfigError
from tickvault.core.package import OutcomeStatus
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.engines.http.client import HttpClient
from tickvault.sources import Context
from tickvault.sources.shared.quote import for_one, in_ones, is_zero, stale
from tickvault.transfer import catalog

CASES = Path(__file__).parents[1] / "fixtures" / "cases"
NOW = datetime(2026, 11, 20, 13, tzinfo=UTC)
DAY = 86_400_000
HEADER = "symbol,name,asset_class,sector,binance_pair,coingecko_id,yahoo_ticker"
COINS = f"{HEADER}\nBTC,Bitcoin,crypto,L1,BTCUSDT,bitcoin,BTC-USD\nETH,Ether,crypto,L1,ETHUSDT,ethereum,ETH-USD\n"
JSON_VALUES = (
    *(None, True, False, 0, -1, 10**30, [], [[1]], {}, {"a": None}),
    *map(Decimal, ("1e9999999", "1e999999", "1e-999999", "NaN", "Infinity")),
    *("", "0", "-0.000", "1e999999", "1e-9999999", "sNaN", "n/a", "1_000", "१", "\0", "\ud800"),
)


class Provider(BaseAdapter):
    """Answers each request by a function of its address; text is sent as it is, the rest as JSON."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.asked = answer, []

    def send(self, request, **_):
        parts = urlsplit(request.url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append((request.url, query))
        given = self.answer(parts.path, query)
        status, body = given if isinstance(given, tuple) else (200, given)
        response = requests.Response()
        response.status_code, response.request, response.url = status, request, request.url
        text = body if isinstance(body, str) else json.dumps(body, default=float)
        response.raw = HTTPResponse(BytesIO(text.encode()), {}, status, preload_content=False)
        return response

    def close(self):
        pass


class Read:
    """What one read brought."""

    def __init__(self, batches):
        self.batches = list(batches)
        self.rows = {r["symbol"]: r for b in self.batches for r in b.records.to_pylist()}
        self.all = [r for b in self.batches for r in b.records.to_pylist()]
        self.outcomes = {o.item: o for b in self.batches for o in b.outcomes}
        self.rejects = [r for b in self.batches for r in b.rejects]
        self.cursor = {k: v for b in self.batches for k, v in (b.cursor or {}).items()}

    def of(self, status):
        return {item for item, o in self.outcomes.items() if o.status is status}

    @property
    def failed(self):
        return self.of(OutcomeStatus.FAILED)


@pytest.fixture
def read(tmp_path):
    def run(source, answer, info=COINS, symbols=None, since=None, bars=False, now=NOW, missing=(), **fields):
        (tmp_path / "asset_info.csv").write_text(info, encoding="utf-8")
        listed = [line.split(",")[0] for line in info.splitlines()[1:]]
        (tmp_path / "cryptolist.txt").write_text("\n".join(listed), encoding="utf-8")
        settings = Settings.load(
            _env_file=None,
            **{
                "seeds_path": tmp_path,
                "tickvault_clock": now,
                "freecrypto_api": "https://free.example",
                "freecrypto_api_key": "any",
            }
            | fields,
        )
        run.provider = Provider(answer)
        kind = catalog.source(source)
        stream = kind.streams[-1 if bars else 0]
        with HttpClient(settings, sleep=lambda _: None) as http:
            http._session.mount("https://", run.provider)
            context = Context(settings, http, Slot.of(now), symbols, None, missing)
            return Read(kind(context).read(stream, since))

    return run


def ticker(pair, price="100.0", closes=None, **fields):
    at = int(NOW.timestamp() * 1000) if closes is None else closes
    names = ("priceChange", "priceChangePercent", "highPrice", "lowPrice", "volume")
    return {"symbol": pair, "lastPrice": price, **dict.fromkeys(names, "10"), "closeTime": at, "count": 7} | fields


def coin(id_, price=100, updated="2026-11-20T13:00:00.000Z", **fields):
    names = ("total_volume", "price_change_24h", "price_change_percentage_24h", "high_24h", "low_24h", "market_cap")
    return {"id": id_, "current_price": price, "last_updated": updated, **dict.fromkeys(names, 10)} | fields


def free(symbol, price="100", updated="2026-11-20 13:00:00", **fields):
    return {
        "symbol": symbol,
        "last": price,
        "date": updated,
        "daily_change_percentage": "1",
        "highest": "10",
        "lowest": "9",
    } | fields


SHAPES = {
    "binance": (lambda rows: rows, ticker, {"BTC": "BTCUSDT", "ETH": "ETHUSDT"}, "lastPrice", "closeTime"),
    "coingecko": (lambda rows: rows, coin, {"BTC": "bitcoin", "ETH": "ethereum"}, "current_price", "last_updated"),
    "freecryptoapi": (lambda rows: {"symbols": rows}, free, {"BTC": "BTC", "ETH": "ETH"}, "last", "date"),
}
every_source = pytest.mark.parametrize("source", SHAPES)


def answering(source, bitcoin=None, **ether):
    wrap, make, names, *_ = SHAPES[source]
    rows = [make(names["BTC"]) | (bitcoin or {}), make(names["ETH"]) | ether]
    return lambda *_: wrap(rows)


def when(source, time):
    return {
        "binance": int(time.timestamp() * 1000),
        "coingecko": time.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "freecryptoapi": time.strftime("%Y-%m-%d %H:%M:%S"),
    }[source]


# Units and quotes, as 15-thousand-unit-pairs.csv has them


def test_a_pair_of_a_thousand_units_gives_the_price_of_one(read):
    info = (CASES / "15-thousand-unit-pairs.csv").read_text()
    rows = [
        ticker(
            "1000SATSUSDT",
            "0.00018770",
            volume="5000.0",
            highPrice="0.0002",
            lowPrice="0.0001",
            priceChange="-0.00001",
            quoteVolume="0.94",
        ),
        ticker("1MBABYDOGEUSDT", "0.00112870"),
        ticker("GBP1BTC", "0.00001"),
    ]
    answer = read("binance", lambda *_: rows, info)
    assert answer.failed == set()
    sats = answer.rows["SATS"]
    assert (sats["base_currency"], sats["quote_currency"], sats["price_unit"]) == ("SATS", "USDT", 1000)
    assert sats["price"] == Decimal("0.0000001877")
    assert (sats["high_24h"], sats["low_24h"]) == (Decimal("0.0000002"), Decimal("0.0000001"))
    assert (sats["price_change_24h"], sats["volume"]) == (Decimal("-0.00000001"), 5_000_000)
    assert sats["quote_volume"] == Decimal("0.94"), "an amount of USDT is no number of coins"
    assert sats["price_change_percent_24h"] == 10
    doge, pound = answer.rows["BABYDOGE"], answer.rows["GBP1"]
    assert (doge["quote_currency"], doge["price_unit"]) == ("USDT", 1_000_000)
    assert (pound["base_currency"], pound["quote_currency"], pound["price_unit"]) == ("GBP1", "BTC", 1)


def kline(day, *prices, volume="10", quote_volume="20.5"):
    opened = int(datetime(2026, 11, day, tzinfo=UTC).timestamp() * 1000)
    return [opened, *(prices or ("1", "3", "0.5", "2")), volume, opened + DAY - 1, quote_volume, 1, "0", "0", "0"]


def test_bars_carry_unit_and_quote_too(read):
    info = (CASES / "15-thousand-unit-pairs.csv").read_text()
    answer = read("binance", lambda *_: [kline(18), kline(19)], info, symbols=("SATS",), bars=True)
    row = answer.all[0]
    assert (row["quote_currency"], row["price_unit"]) == ("USDT", 1000)
    assert [row[n] for n in ("open", "high", "low", "close")] == list(
        map(Decimal, ("0.001", "0.003", "0.0005", "0.002"))
    )
    assert (row["volume"], row["quote_volume"]) == (10_000, Decimal("20.5"))


@pytest.mark.parametrize("source", ["coingecko", "freecryptoapi"])
def test_the_other_sources_quote_one_coin_in_dollars(read, source):
    answer = read(source, answering(source))
    assert {(r["quote_currency"], r["price_unit"]) for r in answer.all} == {("USD", 1)}


def test_coingecko_is_asked_for_every_digit(read):
    read("coingecko", answering("coingecko"))
    assert read.provider.asked[0][1]["precision"] == "full"


# Pairs that the provider's pattern forbids (12-pair-with-slash.csv)

BINANCE_ALLOWS = re.compile(r"[A-Z0-9\-_.]{1,20}")


@pytest.mark.parametrize("chinese", [False, True])
def test_a_pair_that_the_provider_refuses_costs_no_other(read, chinese):
    def answer(_path, query):
        pairs = json.loads(query["symbols"])
        if not all(BINANCE_ALLOWS.fullmatch(p) or (chinese and p == "币安人生USDT") for p in pairs):
            return 400, {"code": -1100, "msg": "Illegal characters found in parameter 'symbols'; legal range is '^…$'."}
        return [ticker(pair) for pair in pairs]

    answer = read("binance", answer, (CASES / "12-pair-with-slash.csv").read_text(encoding="utf-8"))
    assert set(answer.rows) == {"BTC", "ETH"} | ({"币安人生"} if chinese else set())
    assert answer.failed == {"OLD"} | (set() if chinese else {"币安人生"})
    assert "asset_info.csv:3: binance_pair 'OLD/USDT' is not OLD" in answer.outcomes["OLD"].detail
    assert all("\\u5e01" not in query["symbols"] for _, query in read.provider.asked)
    assert "%E5%B8%81" in read.provider.asked[0][0]


def test_a_refused_pair_of_klines_fails_alone(read):
    def answer(_path, query):
        refused = (400, {"code": -1100, "msg": "Illegal characters found in parameter 'symbol'."})
        return [kline(19)] if query["symbol"] == "BTCUSDT" else refused

    answer = read("binance", answer, bars=True)
    assert (set(answer.rows), answer.failed) == ({"BTC"}, {"ETH"})


def test_another_refusal_is_not_halved(read):
    with pytest.raises(Exception, match="HTTP 400"):
        read("binance", lambda *_: (400, {"code": -1102, "msg": "Mandatory parameter was not sent."}))
    assert len(read.provider.asked) == 1


# No price is not price 0 (13-pair-in-break.json)


def test_a_pair_in_break_has_no_price(read):
    info = COINS.replace("ETH", "SOL")
    body = (CASES / "13-pair-in-break.json").read_text()
    now = datetime.fromtimestamp(1795179600, UTC)
    answer = read("binance", lambda *_: body, info, now=now)
    assert (set(answer.rows), answer.failed) == ({"BTC"}, {"SOL"})
    assert answer.outcomes["SOL"].detail == "no trade: the answer has no price"
    assert answer.rejects == []


@pytest.mark.parametrize("nothing", [None, 0, "0", "0.00000000", "-0", "0E-10"])
@every_source
def test_no_price_is_not_price_zero(read, source, nothing):
    answer = read(source, answering(source, **{SHAPES[source][3]: nothing}))
    assert (set(answer.rows), answer.failed) == ({"BTC"}, {"ETH"})
    assert "no trade" in answer.outcomes["ETH"].detail
    assert "ETH" not in answer.cursor


def test_a_pair_without_a_trade_in_a_day_has_no_price_of_now(read):
    assert read("binance", answering("binance", count=0)).failed == {"ETH"}


def test_a_zero_that_means_unknown_is_null(read):
    gecko = read("coingecko", answering("coingecko", high_24h=0, low_24h=Decimal(0), market_cap=0, total_volume=0))
    ether = gecko.rows["ETH"]
    assert (ether["high_24h"], ether["low_24h"], ether["market_cap"], ether["quote_volume"]) == (None, None, None, 0)
    assert gecko.failed == set()
    ether = read("binance", answering("binance", highPrice="0.0000", lowPrice="0")).rows["ETH"]
    assert (ether["high_24h"], ether["low_24h"]) == (None, None)


# Stale is not fresh


@pytest.mark.parametrize("age", [timedelta(days=100), timedelta(days=1, seconds=1)])
@every_source
def test_an_old_price_is_said_to_be_stale(read, source, age):
    time = NOW - age
    answer = read(source, answering(source, **{SHAPES[source][4]: when(source, time)}))
    assert (set(answer.rows), answer.failed) == ({"BTC"}, {"ETH"})
    assert answer.outcomes["ETH"].detail.startswith(f"stale: the last price is of {time:%Y-%m-%dT%H:%M:%S}")
    assert list(answer.cursor) == ["BTC"]


@every_source
def test_a_time_of_zero_is_none(read, source):
    answer = read(source, answering(source, **{SHAPES[source][4]: when(source, datetime(1970, 1, 1, tzinfo=UTC))}))
    assert (set(answer.rows), answer.failed) == ({"BTC"}, {"ETH"})
    assert answer.outcomes["ETH"].detail == "stale: its time is 1970-01-01T00:00:00.000000+00:00, which is none"


@every_source
def test_an_answer_older_than_the_last_one_is_stale(read, source):
    first = read(source, answering(source))
    older = answering(source, **{SHAPES[source][4]: when(source, NOW - timedelta(hours=1))})
    second = read(source, older, since=first.cursor)
    assert (second.all, second.failed, second.cursor) == ([], {"ETH"}, {})
    assert "older than the one loaded, of 2026-11-20T13:00:00" in second.outcomes["ETH"].detail
    # what is a day old at the most is fresh, and the same once more no failure
    assert read(source, older).failed == set()
    assert read(source, answering(source), since=first.cursor).failed == set()


@every_source
def test_a_provider_whose_prices_are_all_stale_is_partial_and_not_down(read, source):
    wrap, make, names, _, time = SHAPES[source]
    rows = [make(name) | {time: when(source, NOW - timedelta(days=30))} for name in names.values()]
    info = COINS + "SOL,Solana,crypto,L1,SOLUSDT,solana,\n"
    answer = read(source, lambda *_: wrap([*rows, make({"coingecko": "solana"}.get(source, "SOLUSDT"))]), info)
    assert {"BTC", "ETH"} <= answer.failed


def test_the_limits_of_fresh():
    assert stale(NOW, NOW) is None
    assert stale(NOW - timedelta(days=1), NOW) is None
    assert "24 hours" in (stale(NOW - timedelta(days=1, microseconds=1), NOW) or "")


# One record stops nothing


def test_a_closing_time_beyond_all_measure_costs_its_record(read):
    body = (CASES / "17-close-time-1e999999.json").read_text()
    answer = read("binance", lambda *_: body, now=datetime.fromtimestamp(1795179600, UTC))
    assert (set(answer.rows), answer.failed) == ({"BTC"}, {"ETH"})
    (reject,) = answer.rejects
    assert (reject.item, reject.column) == ("ETH", "observed_at")


def written(value):
    """As it stands in the provider's text; surrogates and NUL come as escapes."""
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


@pytest.mark.parametrize("value", JSON_VALUES, ids=repr)
@every_source
def test_whatever_stands_in_a_field_costs_its_record_at_most(read, source, value):
    wrap, make, names, *_ = SHAPES[source]
    for field in make(names["ETH"]):
        marked = wrap([make(names["BTC"]), make(names["ETH"]) | {field: "@"}])
        body = json.dumps(marked).replace('"@"', written(value))
        answer = read(source, lambda *_, body=body: body)
        assert "BTC" in answer.rows, field
        assert answer.of(OutcomeStatus.OK) == set(answer.rows)
        assert set(answer.outcomes) == {"BTC", "ETH"}


@pytest.mark.parametrize("value", JSON_VALUES, ids=repr)
def test_whatever_stands_in_a_kline_costs_its_day_at_most(read, value):
    for place in range(7):
        odd = kline(18)
        odd[place] = "@"
        body = json.dumps([kline(17), odd, kline(19)]).replace('"@"', written(value))
        answer = read("binance", lambda *_, body=body: body, symbols=("BTC",), bars=True)
        days = {r["date"].day for r in answer.all}
        assert {17, 19} <= days, place
        assert len(answer.rejects) + len(days) == 3
        assert answer.failed == set()


@pytest.mark.parametrize("thing", [None, "x", 5, [], [1, 2], {}, {"code": 1}])
def test_what_is_no_kline_is_put_aside(read, thing):
    answer = read("binance", lambda *_: [kline(17), thing, kline(19)], symbols=("BTC",), bars=True)
    assert {r["date"].day for r in answer.all} == {17, 19}
    assert answer.rejects[0].column == "date"
    assert answer.outcomes["BTC"].detail.startswith("1 put aside: date is ")


def test_a_bar_of_price_zero_is_put_aside(read):
    answer = read(
        "binance", lambda *_: [kline(17), kline(18, "0", "0", "0", "0"), kline(19)], symbols=("BTC",), bars=True
    )
    assert {r["date"].day for r in answer.all} == {17, 19}
    assert len(answer.rejects) == 1


@pytest.mark.parametrize("text", [False, True])
def test_the_running_days_bar_is_left_out_however_its_time_is_written(read, text):
    running = kline(20)
    running[6] = str(running[6]) if text else running[6]
    late = NOW.replace(hour=23, minute=30)
    answer = read("binance", lambda *_: [kline(19), running], symbols=("BTC",), bars=True, now=late)
    assert [r["date"].day for r in answer.all] == [19]


@every_source
def test_things_among_the_records_are_nobodys(read, source):
    wrap, make, names, *_ = SHAPES[source]
    rows = [None, make(names["BTC"]), "x", 5, [make(names["BTC"])], {}, make(names["ETH"])]
    answer = read(source, lambda *_: wrap(rows))
    assert (set(answer.rows), answer.failed) == ({"BTC", "ETH"}, set())


@pytest.mark.parametrize("value", JSON_VALUES, ids=repr)
def test_units_never_raise_and_leave_what_is_no_number(value):
    assert for_one(value, 1) is value
    assert isinstance(is_zero(value), bool)
    for scaled in (for_one(value, 1000), in_ones(value, 1000)):
        assert scaled is value or isinstance(scaled, Decimal)
    assert for_one("0.00112870", 10**6) == Decimal("0.0000000011287")


# Symbols


@every_source
def test_two_symbols_of_one_name_at_the_provider_get_a_row_each_or_are_refused(read, source):
    info = COINS + "XBT,Bitcoin too,crypto,L1,BTCUSDT,bitcoin,\n"
    answer = read(source, answering(source), info)
    if source == "coingecko":
        assert set(answer.rows) == {"BTC", "ETH", "XBT"}
        assert read.provider.asked[0][1]["ids"] == "bitcoin,ethereum"
    else:
        assert (set(answer.rows), answer.failed) == ({"BTC", "ETH"}, {"XBT"})


@every_source
def test_a_bad_line_fails_its_symbol_with_file_and_line(read, source):
    info = COINS + 'BAD,"Bad,crypto,L1,BADUSDT,bad,\nUGLY,,crypto,L1,UGLYUSDT,ugly,\n'
    answer = read(source, answering(source), info)
    assert (set(answer.rows), answer.failed) == ({"BTC", "ETH"}, {"BAD", "UGLY"})
    assert "asset_info.csv:4: 'BAD': " in answer.outcomes["BAD"].detail
    assert "asset_info.csv:5: 'UGLY' has no name" in answer.outcomes["UGLY"].detail


@every_source
def test_symbols_are_read_in_their_one_form(read, source):
    answer = read(source, answering(source), "\ufeff" + COINS.replace(",", ";"), symbols=("\u200bbtc", "ＥＴＨ"))
    assert (set(answer.rows), answer.failed) == ({"BTC", "ETH"}, set())


def test_one_dotted_ticker_is_a_symbol_that_is_not_known(tmp_path):
    """27-one-dotted-ticker.env"""
    settings = Settings.load(_env_file=None, stock_symbols="BRK.B", tickvault_clock=NOW)
    source = catalog.source("yfinance_stock")(Context(settings, HttpClient(settings), Slot.of(NOW)))
    with pytest.raises(ConfigError, match=r"unknown stock symbol 'BRK\.B': did you mean BRK-B\?"):
        list(source.read(source.streams[0], None))


def test_a_symbol_with_a_space_is_asked_for_again_when_it_failed(read):
    """26-symbol-with-space.csv, for coins"""
    info = COINS + "OLD COIN,Old,crypto,L1,,old-coin,\n"
    first = read("coingecko", answering("coingecko"), info)
    assert first.failed == {"OLD COIN"}
    again = read("coingecko", lambda *_: [coin("old-coin")], info, missing=("OLD COIN",))
    assert (set(again.rows), again.of(OutcomeStatus.NOT_OFFERED)) == ({"OLD COIN"}, set())


@pytest.mark.parametrize("chosen", [",", " , ", ""])
def test_a_choice_of_nothing_is_refused_and_does_not_read_everything(chosen, read):
    result = CliRunner().invoke(root, ["extract", "binance", "--symbols", chosen])
    assert result.exit_code == 2
    assert "names nothing" in result.output
    with pytest.raises(ConfigError, match="no symbol is chosen"):
        read("binance", answering("binance"), symbols=())
