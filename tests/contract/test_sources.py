"""One suite for all sources, found by name, against the real simulator over HTTP.

A new source is tested from the moment its module exists; what it needs beside that is one line in ``PROVIDERS``.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pytest
import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from tickvault.core.errors import (
    ConfigError,
    RateLimitError,
    SchemaMismatchError,
    SourceRejectedError,
    SourceUnavailableError,
)
from tickvault.core.package import OutcomeStatus
from tickvault.core.records import RecordBuilder
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.engines.http.answer import refuse
from tickvault.engines.http.client import HttpClient
from tickvault.local.simulator import Simulator, start
from tickvault.sources import Context, binance, coingecko, crypto_news, freecryptoapi
from tickvault.sources.shared import yahoo
from tickvault.sources.shared.exchange import Exchange
from tickvault.transfer import catalog

NOW = datetime(2026, 11, 20, 13, tzinfo=UTC)  # a Friday before New York opens
DAYS = 10
RECORDED = Path(__file__).parents[1] / "fixtures" / "recorded"
COINS, STOCKS = ("BTC", "ETH", "SOL"), ("AAPL", "MSFT", "KO")
PROVIDERS = {
    "binance": ("binance", binance, "PROVIDER"),
    "coingecko": ("coingecko", coingecko, "PROVIDER"),
    "freecryptoapi": ("freecryptoapi", freecryptoapi, "PROVIDER"),
    "crypto_news": ("news", crypto_news, "LIST"),
    "yfinance_crypto": ("yahoo", yahoo, "PROVIDER"),
    "yfinance_stock": ("yahoo", yahoo, "PROVIDER"),
}
"""Sources that ask a provider: its name in the simulator, and where the source keeps its ``Provider``."""
PAIRS = [(name, stream.name) for name in catalog.source_names() for stream in catalog.source(name).streams]
ASKING = [pair for pair in PAIRS if pair[0] in PROVIDERS]
PRICES = [pair for pair in ASKING if pair[0] != "crypto_news"]
DATED = [pair for pair in PRICES if pair[1] in {"raw_cryptobars", "raw_stock_prices_yfinance"}]
KEY_SETTINGS = {"coingecko": "COINGECKO_API_KEY", "freecryptoapi": "FREECRYPTO_API_KEY"}


@dataclass
class Read:
    """What one read of a stream brought."""

    table: pa.Table
    outcomes: list
    rejects: list
    cursor: dict

    def rows(self, stream):
        return {tuple(row[c] for c in stream.primary_key): row for row in self.table.to_pylist()}

    def keys(self, stream):
        return set(self.rows(stream))

    def of(self, status):
        return [o.item for o in self.outcomes if o.status is status]

    @property
    def reasons(self):
        return " ".join(r.reason for r in self.rejects)


class Time:
    """A clock that only sleeping moves: waits cost nothing and are still counted."""

    now = 0.0

    def sleep(self, seconds):
        self.now += seconds

    def clock(self):
        return self.now


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with start(now=NOW) as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Iterator[Simulator]:
    yield running
    running.set_clock(NOW)
    running.clear_faults()


@pytest.fixture
def read(simulator):
    """Read a stream as a run would, at a simulated time."""

    def run(pair, since=None, symbols=None, now=NOW, days=None, missing=(), **fields):
        simulator.set_clock(now)
        settings = Settings.load(
            _env_file=None,
            **{
                "binance_base_url": simulator.base("binance"),
                "coingecko_base_url": simulator.base("coingecko"),
                "yahoo_base_url": simulator.base("yahoo"),
                "freecrypto_api": simulator.base("freecryptoapi"),
                "freecrypto_api_key": "any",
                "news_base_url": simulator.base("news"),
                "news_rss_urls": simulator.base("news") + "/rss?id={id}",
                "tickvault_clock": now,
                "history_days": DAYS,
                "http_time_budget": 60,
                "faker_num_customers": 20,
                "faker_num_corporates": 5,
                "faker_num_stock_transactions": 30,
                "faker_num_crypto_transactions": 30,
            }
            | fields,
        )
        kind, stream = source_and_stream(pair)
        time = Time()
        with HttpClient(settings, sleep=time.sleep, clock=time.clock) as http:
            source = kind(Context(settings, http, Slot.of(now), symbols or defaults(pair), days, missing))
            assert source.off() is None
            return collect(stream, source.read(stream, since), since)

    return run


def collect(stream, batches, since):
    batches = list(batches)
    for batch in batches:
        assert batch.stream == stream
        batch.records.validate(full=True)
        assert batch.records.schema == stream.schema
        for field in stream.schema:
            assert field.nullable or batch.records.column(field.name).null_count == 0
    cursor = dict(since or {})
    for batch in batches:
        cursor.update(batch.cursor or {})
    assert json.loads(json.dumps(cursor)) == cursor
    return Read(
        pa.Table.from_batches([b.records for b in batches], stream.schema),
        [o for b in batches for o in b.outcomes],
        [r for b in batches for r in b.rejects],
        cursor,
    )


def source_and_stream(pair):
    kind = catalog.source(pair[0])
    return kind, next(s for s in kind.streams if s.name == pair[1])


def defaults(pair):
    return (STOCKS if pair[0] == "yfinance_stock" else COINS) if pair[0] in PROVIDERS else None


def named(pairs):
    return pytest.mark.parametrize("pair", pairs, ids=[f"{a}-{b.removeprefix('raw_')}" for a, b in pairs])


@named(PAIRS)
def test_rows_are_unique_and_every_symbol_has_one_outcome(read, pair):
    stream = source_and_stream(pair)[1]
    first = read(pair)
    assert first.table.num_rows == len(first.keys(stream)) > 0
    assert first.rejects == []
    assert first.cursor
    counted = Counter(o.item for o in first.outcomes)
    assert set(counted.values()) <= {1}
    assert set(defaults(pair) or ()) <= set(counted)
    assert set(first.of(OutcomeStatus.OK)) == set(counted)


@named(PAIRS)
def test_resuming_repeats_nothing_and_the_cursor_rises(read, pair):
    stream = source_and_stream(pair)[1]
    first = read(pair)
    again = read(pair, first.cursor)
    assert again.table.num_rows == 0
    assert again.cursor == first.cursor
    later = read(pair, first.cursor, now=NOW + timedelta(days=1))
    assert later.table.num_rows > 0
    known = first.rows(stream)
    # a generated population repeats the state it starts from, word for word; nothing else repeats anything
    assert all(known[key] == row for key, row in later.rows(stream).items() if key in known)
    assert pair not in ASKING or not first.keys(stream) & later.keys(stream)
    for entry, value in first.cursor.items():
        assert isinstance(value, dict) or later.cursor[entry] >= value
    assert later.cursor != first.cursor


@named(PAIRS)
def test_the_same_read_twice_gives_the_same_rows(read, pair):
    assert read(pair).table.equals(read(pair).table)


@named(DATED)
def test_the_first_run_brings_the_history_and_no_open_bar(read, pair):
    for now in (NOW, NOW.replace(hour=0, minute=1), NOW.replace(hour=20, minute=59)):
        table = read(pair, now=now).table
        days = set(table.column("date").to_pylist())
        assert max(days) == date(2026, 11, 19)
        assert min(days) <= date(2026, 11, 10) + timedelta(days=2)
        assert max(table.column("observed_at").to_pylist()) <= now
    after_close = max(read(pair, now=NOW.replace(hour=21)).table.column("date").to_pylist())
    assert after_close == (date(2026, 11, 20) if pair[0] == "yfinance_stock" else date(2026, 11, 19))


@named(DATED)
def test_a_symbol_added_later_gets_its_own_history(read, pair):
    old, *_, new = defaults(pair)
    first = read(pair, symbols=(old,))
    both = read(pair, first.cursor, symbols=(old, new))
    column = "ticker" if pair[0] == "yfinance_stock" else "symbol"
    assert set(both.table.column(column).to_pylist()) == {new}
    assert both.table.num_rows == first.table.num_rows
    assert set(both.of(OutcomeStatus.OK)) == {old, new}


@named(DATED)
def test_a_missed_week_is_made_up_without_a_gap(read, pair):
    start_day = NOW - timedelta(days=7)
    first = read(pair, now=start_day)
    second = read(pair, first.cursor)
    whole = read(pair, history_days=DAYS + 7)
    stream = source_and_stream(pair)[1]
    assert first.keys(stream) | second.keys(stream) == whole.keys(stream)


@named(ASKING)
def test_an_unknown_symbol_fails_alone_and_all_unknown_is_a_configuration_error(read, pair):
    known, *_ = defaults(pair)
    answer = read(pair, symbols=(known, "BCTT"))
    assert answer.of(OutcomeStatus.FAILED) == ["BCTT"]
    assert known in answer.of(OutcomeStatus.OK)
    assert answer.table.num_rows > 0
    with pytest.raises(ConfigError, match=r"unknown .* symbol 'BCTT'"):
        read(pair, symbols=("BCTT",))


@named(ASKING)
def test_a_slot_is_completed_with_what_is_still_wanted_of_what_is_missing(read, pair):
    known, other, *_ = defaults(pair)
    answer = read(pair, symbols=(known, other), missing=(other, "BCTT"), crypto_symbols=known, stock_symbols=known)
    column = source_and_stream(pair)[1].primary_key[0]
    assert set(answer.table.column(column).to_pylist()) == {other}
    assert "BCTT" in answer.of(OutcomeStatus.NOT_OFFERED)
    settled = read(pair, symbols=(known,), missing=("BCTT",), crypto_symbols=known, stock_symbols=known)
    assert settled.of(OutcomeStatus.NOT_OFFERED) == [o.item for o in settled.outcomes] == ["BCTT"]


@named(DATED)
def test_days_of_the_users_own_reach_further_back_for_known_symbols_too(read, pair):
    stream, symbol = source_and_stream(pair)[1], defaults(pair)[:1]
    first = read(pair, symbols=symbol, days=7)
    whole = read(pair, symbols=symbol, days=60)
    more = read(pair, first.cursor, symbols=symbol, days=60)
    assert more.keys(stream) == whole.keys(stream) > first.keys(stream)
    assert more.cursor == whole.cursor
    assert read(pair, more.cursor, symbols=symbol).table.num_rows == 0
    # fewer days than have passed leave no gap
    late = read(pair, first.cursor, symbols=symbol, days=1, now=NOW + timedelta(days=7))
    assert late.keys(stream) == read(pair, first.cursor, symbols=symbol, now=NOW + timedelta(days=7)).keys(stream)


def test_a_blank_pair_is_not_offered_and_no_failure(read):
    for stream in ("raw_cryptoprices_binance", "raw_cryptobars"):
        answer = read(("binance", stream), symbols=("BTC", "XMR"))
        assert answer.of(OutcomeStatus.NOT_OFFERED) == ["XMR"]
        assert answer.of(OutcomeStatus.FAILED) == []


@named([pair for pair in PRICES if pair != ("binance", "raw_cryptobars")])
def test_a_symbol_the_provider_does_not_give_fails_and_others_finish(read, simulator, pair):
    gone, *others = defaults(pair)
    simulator.fault(PROVIDERS[pair[0]][0], "missing_symbols", symbols=[gone])
    answer = read(pair)
    assert answer.of(OutcomeStatus.FAILED) == [gone]
    assert set(answer.of(OutcomeStatus.OK)) == set(others)
    assert gone not in answer.cursor


def test_binance_finds_the_culprit_of_a_refused_batch(read, simulator, tmp_path):
    seeds(tmp_path, [(coin, f"{coin}USDT", "") for coin in PAIRED])
    for stream in ("raw_cryptoprices_binance", "raw_cryptobars"):
        answer = read(("binance", stream), symbols=PAIRED, seeds_path=tmp_path)
        assert answer.of(OutcomeStatus.FAILED) == ["NOTHING"]
        assert len(answer.of(OutcomeStatus.OK)) == len(PAIRED) - 1
        assert "unknown symbol" in next(o.detail for o in answer.outcomes if o.item == "NOTHING")


PAIRED = ("BTC", "ETH", "XRP", "BNB", "SOL", "NOTHING", "DOGE", "TRX", "ADA", "LINK")


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("429", RateLimitError),
        ("418", RateLimitError),
        ("500", SourceUnavailableError),
        ("truncated", SourceUnavailableError),
        ("slow", SourceUnavailableError),
        ("html200", SourceRejectedError),
        ("451", ConfigError),
        ("401", (SourceRejectedError, ConfigError)),
    ],
)
@named(ASKING)
def test_a_failing_provider_is_the_right_error(read, simulator, monkeypatch, pair, kind, error):
    provider, module, attribute = PROVIDERS[pair[0]]
    if kind == "slow":
        for name in {attribute, "RSS"} & set(vars(module)):
            monkeypatch.setattr(module, name, replace(getattr(module, name), read_timeout=0.15, attempts=1))
    details = {"418": {"retry_after": 90}, "429": {"retry_after": 90}, "slow": {"retry_after": 0.5}}.get(kind, {})
    path = "/v8/finance/chart" if provider == "yahoo" else ""
    simulator.fault(provider, kind, path=path, **details)
    with pytest.raises(error) as caught:
        read(pair, symbols=defaults(pair)[:1])
    if isinstance(caught.value, RateLimitError):
        assert caught.value.retry_after == 90
    if kind == "401":
        assert isinstance(caught.value, ConfigError) == (pair[0] in KEY_SETTINGS)
        assert KEY_SETTINGS.get(pair[0], "") in str(caught.value)
    if kind == "451":
        assert "_URL" in str(caught.value) or "FREECRYPTO_API" in str(caught.value)


@pytest.mark.parametrize("kind", ["429", "500", "truncated"])
@named(ASKING)
def test_what_passes_by_itself_is_not_noticed(read, simulator, pair, kind):
    path = "/v8/finance/chart" if PROVIDERS[pair[0]][0] == "yahoo" else ""
    simulator.fault(PROVIDERS[pair[0]][0], kind, times=1, retry_after=5, path=path)
    answer = read(pair)
    assert answer.of(OutcomeStatus.FAILED) == []
    assert answer.table.num_rows > 0


ONE_BY_ONE = [pair for pair in PRICES if pair[0].startswith("yfinance") or pair[1] == "raw_cryptobars"]


@pytest.mark.parametrize("kind", ["500", "html200", "truncated"])
@named(ONE_BY_ONE)
def test_trouble_with_one_symbol_is_its_own(read, simulator, pair, kind):
    bad, *others = defaults(pair)
    simulator.fault(PROVIDERS[pair[0]][0], kind, symbols=[bad])
    answer = read(pair)
    assert answer.of(OutcomeStatus.FAILED) == [bad]
    assert set(answer.of(OutcomeStatus.OK)) == set(others)


@named(ONE_BY_ONE)
def test_a_rate_limit_halfway_keeps_what_came_and_names_the_rest(read, simulator, pair):
    first, second, third = defaults(pair)
    simulator.fault(PROVIDERS[pair[0]][0], "429", symbols=[second], retry_after=600)
    answer = read(pair)
    assert answer.of(OutcomeStatus.OK) == [first]
    assert answer.of(OutcomeStatus.FAILED) == [second, third]
    simulator.clear_faults()
    rest = read(pair, answer.cursor, symbols=(second, third))
    assert set(rest.of(OutcomeStatus.OK)) == {second, third}


REASONS = {
    "malformed_number": "not a number",
    "nan": "not a finite number",
    "negative": "less than 0",
    "future": "lies in the future",
}
BY_YFINANCE = [pair for pair in PRICES if pair[0].startswith("yfinance")]


@pytest.mark.parametrize("kind", REASONS)
@named([pair for pair in PRICES if pair not in BY_YFINANCE])
def test_a_bad_record_is_put_aside_with_its_reason(read, simulator, pair, kind):
    bad, *others = defaults(pair)
    reason = REASONS[kind]
    simulator.fault(PROVIDERS[pair[0]][0], kind, symbols=[bad])
    answer = read(pair, history_days=1 if kind == "future" else DAYS)
    (reject,) = answer.rejects
    assert reject.item == bad
    assert reason in reject.reason
    assert set(others) <= set(answer.of(OutcomeStatus.OK))
    detail = next(o.detail for o in answer.outcomes if o.item == bad)
    assert reason in detail
    if pair in DATED and kind != "future":  # the other days of the symbol came
        assert bad in answer.of(OutcomeStatus.OK)
    else:
        assert answer.of(OutcomeStatus.FAILED) == [bad]


@named([pair for pair in PRICES if pair[0] != "yfinance_crypto"])  # the simulator spoils its open bar alone
def test_a_reject_fits_again_once_its_value_is_put_right(read, simulator, pair):
    """As ``replay-rejects`` does it, from the JSON that the ledger keeps."""
    stream = source_and_stream(pair)[1]
    good = read(pair).rows(stream)
    simulator.fault(PROVIDERS[pair[0]][0], "negative", symbols=[defaults(pair)[0]])
    rejects = read(pair).rejects
    assert rejects
    for reject in rejects:
        record = json.loads(json.dumps(reject.record)) | {reject.column: "5"}
        built = RecordBuilder(stream, NOW).build([record])
        assert built.rejects == ()
        (row,) = built.batch.to_pylist()
        known = good[tuple(row[c] for c in stream.primary_key)]
        assert row == known | {reject.column: row[reject.column]}


@named([pair for pair in BY_YFINANCE if pair in DATED])
def test_a_day_without_a_number_is_a_gap(read, simulator, pair):
    simulator.fault("yahoo", "nan", symbols=defaults(pair)[:1])
    answer = read(pair)
    assert set(answer.of(OutcomeStatus.OK)) == set(defaults(pair))
    assert answer.rejects == []


@named(BY_YFINANCE)
def test_a_chart_that_yfinance_cannot_read_fails_its_symbol_alone(read, simulator, pair):
    bad, *others = defaults(pair)
    simulator.fault("yahoo", "malformed_number", symbols=[bad])
    answer = read(pair)
    assert answer.of(OutcomeStatus.FAILED) == [bad]
    assert set(answer.of(OutcomeStatus.OK)) == set(others)
    assert "not what yfinance understands" in next(o.detail for o in answer.outcomes if o.item == bad)


@pytest.mark.parametrize("kind", ["negative", "future"])
def test_a_bad_day_of_a_chart_is_put_aside_with_its_reason(read, simulator, kind):
    pair = ("yfinance_stock", "raw_stock_prices_yfinance")
    bad, *others = defaults(pair)
    simulator.fault("yahoo", kind, symbols=[bad])
    answer = read(pair)
    (reject,) = answer.rejects
    assert reject.item == bad
    assert REASONS[kind] in reject.reason
    assert set(answer.of(OutcomeStatus.OK)) == {bad, *others}
    assert max(answer.table.column("observed_at").to_pylist()) <= NOW


@named(PRICES)
def test_a_record_sent_twice_counts_once(read, simulator, pair):
    undisturbed = read(pair)
    simulator.fault(PROVIDERS[pair[0]][0], "duplicate", symbols=[defaults(pair)[0]])
    answer = read(pair)
    assert answer.table.equals(undisturbed.table)
    assert answer.rejects == []


def test_a_dividend_makes_the_whole_history_be_read_again(read):
    pair = ("yfinance_stock", "raw_stock_prices_yfinance")
    whole = read(pair, symbols=("KO", "MSFT"), history_days=400).table.to_pylist()
    row = next(r for r in whole if r["dividends"] and r["date"] > date(2026, 2, 1))
    before = datetime.combine(row["date"], NOW.timetz())
    first = read(pair, symbols=(row["ticker"],), history_days=60, now=before)
    assert max(r["date"] for r in first.table.to_pylist()) < row["date"]
    second = read(pair, first.cursor, symbols=(row["ticker"],), now=before + timedelta(days=1))
    stream = source_and_stream(pair)[1]
    assert first.keys(stream) < second.keys(stream)
    old = {r["date"]: r["adj_close_price"] for r in first.table.to_pylist()}
    new = {r["date"]: r["adj_close_price"] for r in second.table.to_pylist()}
    assert all(new[day] < price for day, price in old.items())
    third = read(pair, second.cursor, symbols=(row["ticker"],), now=before + timedelta(days=1))
    assert third.table.num_rows == 0


def test_measures_of_the_moment_stand_on_the_newest_row_alone(read):
    rows = read(("yfinance_stock", "raw_stock_prices_yfinance"), symbols=("AAPL",)).table.to_pylist()
    *past, newest = sorted(rows, key=lambda r: r["date"])
    for column in ("market_cap", "pe_ratio", "week_52_high", "week_52_low", "avg_volume"):
        assert newest[column] > 0
        assert {row[column] for row in past} == {None}
    assert {(r["company_name"], r["sector"]) for r in rows} == {("Apple Inc.", "Technology")}


def test_a_changed_field_name_is_a_schema_mismatch(read):
    fields = "rows=symbols,symbol=symbol,price=last_price,observed_at=date"
    pair = ("freecryptoapi", "raw_cryptoprices_freecryptoapi")
    with pytest.raises(SchemaMismatchError) as caught:
        read(pair, freecrypto_fields=fields)
    assert caught.value.column == "price"
    with pytest.raises(ConfigError, match="FREECRYPTO_FIELDS"):
        read(pair, freecrypto_fields="price=last,colour=red")


def test_an_answer_without_its_list_is_refused_in_the_providers_words(read, monkeypatch):
    pair = ("freecryptoapi", "raw_cryptoprices_freecryptoapi")
    for answer, error, words in (
        ({"status": False, "error": "Invalid API key"}, SourceRejectedError, "Invalid API key.*FREECRYPTO_API_KEY"),
        ({"status": True, "data": [{"symbol": "BTC"}]}, SchemaMismatchError, "a list 'symbols'.*found data, status"),
        ({"status": True, "symbols": None}, SchemaMismatchError, "a list 'symbols'"),
    ):
        monkeypatch.setattr(HttpClient, "get_json", lambda *_, answer=answer, **__: answer)
        with pytest.raises(error, match=words):
            read(pair)


@pytest.mark.parametrize(("name", "answer"), [("coingecko", []), ("binance", []), ("freecryptoapi", {"symbols": []})])
def test_an_answer_without_any_of_many_symbols_is_the_providers_trouble(read, monkeypatch, name, answer):
    monkeypatch.setattr(HttpClient, "get_json", lambda *_, **__: answer)
    pair = (name, f"raw_cryptoprices_{name}")
    with pytest.raises(SourceUnavailableError, match="none of the 3 symbols"):
        read(pair)
    # but a slot may well be completed with the news that they are gone
    assert read(pair, missing=COINS).of(OutcomeStatus.FAILED) == list(COINS)


def test_freecryptoapi_is_off_without_its_key():
    settings = Settings.load(_env_file=None, freecrypto_api="http://localhost")
    source = catalog.source("freecryptoapi")(Context(settings, HttpClient(settings), Slot.of(NOW)))
    assert source.off() == "FREECRYPTO_API_KEY not set"


NEWS = ("crypto_news", "raw_news")


def test_a_bad_article_loses_only_itself(read, simulator):
    simulator.fault("news", "500", path="/articles/bitcoin", times=2)
    answer = read(NEWS, symbols=("BTC",))
    (lost,) = answer.of(OutcomeStatus.FAILED)
    assert lost.startswith("BTC http")
    assert answer.table.num_rows == 9
    simulator.clear_faults()
    rest = read(NEWS, answer.cursor, symbols=("BTC",))
    assert rest.table.column("url").to_pylist() == [lost.removeprefix("BTC ")]


@pytest.mark.parametrize("kind", ["403", "404", "451"])
def test_an_article_that_is_refused_is_settled_and_not_asked_for_again(read, simulator, monkeypatch, kind):
    whole = read(NEWS, symbols=("BTC",))
    bad = whole.table.column("url").to_pylist()[3]
    get, asked = HttpClient.get_text, []

    def get_text(self, provider, url, *args, **kwargs):
        asked.append(url)
        if url == bad:
            refuse(provider, "there", Refusal(int(kind)), b"no")
        return get(self, provider, url, *args, **kwargs)

    monkeypatch.setattr(HttpClient, "get_text", get_text)
    answer = read(NEWS, symbols=("BTC",))
    assert answer.of(OutcomeStatus.FAILED) == []
    (told,) = [o for o in answer.outcomes if o.status is OutcomeStatus.NOT_OFFERED]
    assert told.item == f"BTC {bad}"
    assert f"HTTP {kind}" in told.detail
    assert "None" not in told.detail
    assert answer.table.num_rows == 9
    asked.clear()
    assert read(NEWS, answer.cursor, symbols=("BTC",)).table.num_rows == 0
    assert asked == []


@dataclass
class Refusal:
    """A response as far as ``refuse`` looks at it."""

    status_code: int
    encoding: str = "utf-8"
    headers: tuple = ()


def test_a_feed_that_does_not_serve_this_place_leaves_the_others(read, simulator, monkeypatch):
    get = HttpClient.get_text

    def get_text(self, provider, url, *args, **kwargs):
        if "elsewhere" in url:
            refuse(provider, url, Refusal(451), b"")
        return get(self, provider, url, *args, **kwargs)

    monkeypatch.setattr(HttpClient, "get_text", get_text)
    feeds = f"http://elsewhere/rss,{simulator.base('news')}/rss?id={{id}}"
    assert read(NEWS, news_base_url=None, news_rss_urls=feeds).table.num_rows > 0
    with pytest.raises(ConfigError, match="set NEWS_RSS_URLS"):
        read(NEWS, news_base_url=None, news_rss_urls="http://elsewhere/rss")


def test_rss_is_the_second_way(read, simulator):
    simulator.fault("news", "500", path="/list")
    answer = read(NEWS)
    assert set(answer.table.column("source").to_pylist()) == {"rss"}
    assert "by RSS, since" in next(o.detail for o in answer.outcomes if o.item == "BTC")
    simulator.clear_faults()
    listed = read(NEWS).table
    assert set(listed.column("url").to_pylist()) == set(answer.table.column("url").to_pylist())
    assert set(listed.column("source").to_pylist()) == {"karpet"}


def test_a_feed_about_everything_is_read_once_and_searched_for_each_coin(read, simulator):
    simulator.forget_requests()
    answer = read(NEWS, news_base_url=None, news_rss_urls=simulator.base("news") + "/rss?id=ethereum")
    assert simulator.requests()["news"] == {"/rss": 1}
    assert set(answer.table.column("cryptocurrency").to_pylist()) == {"ETH"}
    assert set(COINS) <= set(answer.of(OutcomeStatus.OK))


def test_news_are_read_for_the_first_coins_of_the_list(read):
    answer = read(NEWS, symbols=None, news_read_limit=2, crypto_symbols="SOL,BTC,ETH")
    assert set(answer.table.column("cryptocurrency").to_pylist()) <= set(COINS)


class Replay(BaseAdapter):
    """Answers every request with a recorded body."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def send(self, request, **_):
        response = requests.Response()
        response.status_code, response.request, response.url = 200, request, request.url
        response.headers["Content-Type"] = "application/json"
        response.raw = HTTPResponse(BytesIO(self.body), response.headers, 200, preload_content=False)
        return response

    def close(self):
        pass


def seeds(folder, coins):
    lines = [f"{symbol},{symbol} coin,crypto,Layer 1,{pair},{id_},{symbol}-USD" for symbol, pair, id_ in coins]
    header = "symbol,name,asset_class,sector,binance_pair,coingecko_id,yahoo_ticker"
    (folder / "asset_info.csv").write_text("\n".join([header, *lines]) + "\n")


def replay(pair, name, folder, coins, now=NOW):
    """Read a recorded answer as on the day it was recorded."""
    seeds(folder, coins)
    settings = Settings.load(_env_file=None, seeds_path=folder, tickvault_clock=now)
    http = HttpClient(settings)
    http._session.mount("https://", Replay((RECORDED / name).read_bytes()))
    kind, stream = source_and_stream(pair)
    symbols = tuple(symbol for symbol, *_ in coins)
    return collect(stream, kind(Context(settings, http, Slot.of(now), symbols)).read(stream, None), None)


def test_binances_recorded_answer(tmp_path):
    def read(coin, now):
        pair = ("binance", "raw_cryptoprices_binance")
        answer = replay(pair, "binance_ticker_24hr.json", tmp_path, [coin], now)
        assert answer.rejects == []
        return answer.table.to_pylist()[0]

    bitcoin = read(("BTC", "BTCUSDT", ""), datetime(2019, 10, 8, 15, tzinfo=UTC))
    assert (bitcoin["price"], bitcoin["quote_currency"]) == (Decimal("8199.59"), "USDT")
    assert bitcoin["observed_at"] == datetime(2019, 10, 8, 14, 0, 46, 606000, UTC)
    ether = read(("ETH", "ETHBTC", ""), datetime(2021, 11, 29, 5, tzinfo=UTC))
    assert (ether["price_change_24h"], ether["quote_currency"]) == (Decimal("0.00114"), "BTC")
    assert bitcoin["price_unit"] == ether["price_unit"] == 1
    assert (bitcoin["volume"], bitcoin["quote_volume"]) == (Decimal("43952.845785"), Decimal("360875772.2251384"))
    assert (ether["volume"], ether["quote_volume"]) == (Decimal("61307.318"), Decimal("4603.64643133"))


def test_coingeckos_recorded_answer(tmp_path):
    coins = [("BTC", "", "bitcoin"), ("1337", "", "1337"), ("GONE", "", "gone-coin")]
    pair = ("coingecko", "raw_cryptoprices_coingecko")
    answer = replay(pair, "coingecko_coins_markets.json", tmp_path, coins, datetime(2024, 7, 31, 15, tzinfo=UTC))
    (bitcoin,) = answer.table.to_pylist()
    assert (bitcoin["price"], bitcoin["price_change_24h"]) == (Decimal(66526), Decimal("238.05"))
    # its last trade was four years ago
    assert answer.of(OutcomeStatus.FAILED) == ["1337", "GONE"]
    assert answer.outcomes[-2].detail.startswith("stale: the last price is of 2020-12-04T14:12:07.411000+00:00, older")
    answer = replay(pair, "coingecko_coins_markets.json", tmp_path, coins[1:], datetime(2020, 12, 4, 15, tzinfo=UTC))
    (elite,) = answer.table.to_pylist()
    assert (elite["price"], elite["volume"], elite["quote_volume"]) == (Decimal("0.00001408"), None, Decimal("5.26"))
    assert elite["observed_at"] == datetime(2020, 12, 4, 14, 12, 7, 411000, UTC)


def test_yahoos_recorded_meta_tells_when_a_session_ends():
    from yfinance.utils import format_history_metadata

    meta = json.loads((RECORDED / "yahoo_chart_shape.json").read_text())["chart"]["result"][0]["meta"]
    formatted = format_history_metadata(meta)
    exchange = Exchange(formatted, date(2025, 1, 1), date(2025, 12, 31))
    assert exchange.closes(date(2025, 12, 22)) == datetime(2025, 12, 22, 21, tzinfo=UTC)
    assert exchange.closes(date(2025, 7, 1)) == datetime(2025, 7, 1, 20, tzinfo=UTC)
