"""What Yahoo really sends: late splits, missing days, pence, company data that is refused, answers that are none."""

import json
import threading
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pytest
import yfinance

from tickvault.core.errors import SourceRejectedError, SourceUnavailableError
from tickvault.core.package import OutcomeStatus
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.engines.http.client import HttpClient
from tickvault.lake.writer import with_version
from tickvault.market import streams
from tickvault.sources import Context
from tickvault.sources.shared import days, yahoo_session
from tickvault.sources.shared.exchange import Exchange
from tickvault.sources.shared.yahoo import Bar, History, later_splits
from tickvault.sources.yfinance_crypto import YFinanceCrypto
from tickvault.sources.yfinance_stock import YFinanceStock

CASES = Path(__file__).parents[1] / "fixtures" / "cases"
NEW_YORK, BITCOIN = "America/New_York", "BTC-USD"
FRIDAY = datetime(2026, 11, 20, 22, tzinfo=UTC)
INFO = {"summaryDetail": {"marketCap": 3_100_000_000_000, "trailingPE": 30.5, "averageVolume": 5_000_000}}
NAMED = INFO | {"quoteType": {"longName": "Apple Inc.", "symbol": "AAPL", "quoteType": "EQUITY"}}


class Market:
    """A server that answers as Yahoo does, with whatever a test puts into it."""

    def __init__(self):
        self.days = {}
        self.meta = {}
        self.events = {}
        self.whole = None
        self.info = (200, {"quoteSummary": {"result": [NAMED], "error": None}})
        self.chart_body = None
        self.asked = []

    def trade(self, first, closes, **more):
        for n, close in enumerate(closes):
            day = first + timedelta(days=n)
            self.days[day] = {"close": close, **more}

    def answer(self, path, query):
        self.asked.append(path)
        if "/chart/" in path:
            return 200, self.chart_body or json.dumps(self.whole or self.chart(query)).encode()
        if "getcrumb" in path:
            return 200, b"crumb"
        if "/quoteSummary/" in path or path.endswith("/quote"):
            status, body = self.info
            if path.endswith("/quote") and status == 200:
                body = {"quoteResponse": {"result": [{}], "error": None}}
            return status, json.dumps(body).encode()
        if "/timeseries/" in path:
            return 200, b'{"timeseries": {"result": [], "error": null}}'
        return 200, b"<html></html>"

    def chart(self, query):
        first = datetime.fromtimestamp(int(query.get("period1", ["0"])[0]), UTC).date()
        shown = sorted(day for day in self.days if day >= first)
        stamps = [self.stamp(day) for day in shown]
        quote = {
            name: [self.days[d].get(name, self.days[d]["close"]) for d in shown]
            for name in ("open", "high", "low", "close")
        }
        quote["volume"] = [self.days[d].get("volume", 1000) for d in shown]
        adjusted = [self.days[d].get("adj", self.days[d]["close"]) for d in shown]
        result = {
            "meta": self.described(),
            "timestamp": stamps,
            "events": {
                kind: {str(self.stamp(d)): {"date": self.stamp(d), **body} for d, body in found.items() if d in shown}
                for kind, found in self.events.items()
            },
            "indicators": {"quote": [quote], "adjclose": [{"adjclose": adjusted}]},
        }
        return {"chart": {"result": [result], "error": None}}

    def stamp(self, day):
        hour = 0 if self.described()["exchangeTimezoneName"] == "UTC" else 14
        return int(datetime(day.year, day.month, day.day, hour, 30 if hour else 0, tzinfo=UTC).timestamp())

    def described(self):
        return {
            "currency": "USD",
            "symbol": "AAPL",
            "exchangeName": "NMS",
            "instrumentType": "EQUITY",
            "exchangeTimezoneName": NEW_YORK,
            "timezone": "EST",
            "gmtoffset": -18000,
            "regularMarketPrice": 1.0,
            "regularMarketTime": 0,
            "priceHint": 2,
            "dataGranularity": "1d",
            "range": "",
            "validRanges": ["1d", "max"],
        } | self.meta


@pytest.fixture
def market(tmp_path):
    found = Market()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            parts = urlsplit(self.path)
            status, body = found.answer(parts.path, parse_qs(parts.query))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def read(market):
    def run(now=FRIDAY, since=None, kind=YFinanceStock, stream=streams.STOCK_YFINANCE, symbols=("AAPL",), reach=14):
        settings = Settings.load(
            _env_file=None, yahoo_base_url=market.url, tickvault_clock=now, history_days=reach, http_time_budget=20
        )
        with HttpClient(settings, sleep=lambda _: None) as http:
            batches = list(kind(Context(settings, http, Slot.of(now), symbols)).read(stream, since))
        cursor = dict(since or {})
        for batch in batches:
            cursor |= batch.cursor or {}
        rows = pa.Table.from_batches([b.records for b in batches], stream.schema).to_pylist()
        outcomes = [o for b in batches for o in b.outcomes]
        return Answer(rows, cursor, outcomes, [r for b in batches for r in b.rejects])

    return run


class Answer:
    def __init__(self, rows, cursor, outcomes, rejects):
        self.rows, self.cursor, self.outcomes, self.rejects = rows, json.loads(json.dumps(cursor)), outcomes, rejects

    @property
    def days(self):
        return [row["date"] for row in self.rows]

    @property
    def detail(self):
        return " / ".join(o.detail for o in self.outcomes)

    @property
    def statuses(self):
        return [o.status for o in self.outcomes]


def coins(read, now, since=None, stream=streams.BARS_YFINANCE):
    return read(now, since, YFinanceCrypto, stream, ("BTC",))


def week(market, closes=(1.0, 2.0, 3.0, 4.0, 5.0)):
    """Monday 16 to Friday 20 November 2026."""
    market.trade(date(2026, 11, 16), closes)


# -- whose day it is, and which reading of it wins


@pytest.mark.parametrize(
    ("code", "zone", "day", "closes"),
    [
        ("NMS", NEW_YORK, date(2026, 11, 27), datetime(2026, 11, 27, 18, tzinfo=UTC)),  # after Thanksgiving
        ("NMS", NEW_YORK, date(2026, 11, 30), datetime(2026, 11, 30, 21, tzinfo=UTC)),
        ("NYQ", NEW_YORK, date(2026, 7, 1), datetime(2026, 7, 1, 20, tzinfo=UTC)),
        ("LSE", "Europe/London", date(2026, 12, 24), datetime(2026, 12, 24, 12, 30, tzinfo=UTC)),
        ("NMS", "Europe/London", date(2026, 11, 20), datetime(2026, 11, 20, 16, 30, tzinfo=UTC)),  # by its zone
        ("JPX", "Asia/Tokyo", date(2026, 11, 20), datetime(2026, 11, 20, 6, 30, tzinfo=UTC)),
        ("BSE", "Asia/Kolkata", date(2026, 11, 20), datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("???", "Africa/Nowhere", date(2026, 11, 20), datetime(2026, 11, 20, 23, 59, 59, 999000, UTC)),
        ("CCC", "UTC", date(2026, 11, 21), datetime(2026, 11, 21, 23, 59, 59, 999000, UTC)),
    ],
)
def test_a_day_ends_when_its_own_session_did(code, zone, day, closes):
    meta = {"exchangeName": code, "exchangeTimezoneName": zone}
    assert Exchange(meta, date(2026, 1, 1), date(2026, 12, 31)).closes(day) == closes


def test_the_early_close_of_another_day_stamps_no_other(market, read):
    week(market)
    market.trade(date(2026, 11, 23), (6.0, 7.0, 8.0))
    market.trade(date(2026, 11, 27), (9.0,))
    edges = {"timezone": "EST", "gmtoffset": -18000, "start": 1795789800, "end": 1795802400}  # 27 November, to 18:00
    market.meta = {"currentTradingPeriod": {name: dict(edges) for name in ("pre", "regular", "post")}}
    rows = read(datetime(2026, 11, 27, 18, 30, tzinfo=UTC)).rows
    assert {row["observed_at"].hour for row in rows[:-1]} == {21}
    assert rows[-1]["observed_at"] == datetime(2026, 11, 27, 18, tzinfo=UTC)


def test_the_later_reading_of_a_day_wins_whatever_time_the_earlier_one_stamped():
    def version(stamped, slot, stream=streams.STOCK_YFINANCE):
        row = {f.name: None for f in stream.schema} | {"ticker": "A", "date": date(2026, 11, 20), "source": "yfinance"}
        row |= {"close_price": Decimal(1), "observed_at": stamped}
        batch = pa.RecordBatch.from_pylist([row], schema=stream.schema)
        return with_version(stream, batch, f"{slot}|r0").column("row_version")[0].as_py()

    late = datetime(2026, 11, 20, 23, 59, 59, 999000, UTC)
    earlier, later = version(late, "20261121T000000Z"), version(late.replace(hour=18), "20261122T000000Z")
    assert earlier < later
    of_an_earlier_release = "2026-11-20T23:59:59.999000Z|20261201T000000Z|r0"
    assert of_an_earlier_release < earlier
    assert streams.BARS_BINANCE.version_field == streams.BARS_YFINANCE.version_field == "date"
    assert type(streams.BARS_YFINANCE).from_dict(streams.BARS_YFINANCE.to_dict()) == streams.BARS_YFINANCE


# -- the past changes late


def test_case_21_a_split_published_late_changes_the_whole_history(market, read):
    late = json.loads((CASES / "21-late-split-day-after.json").read_text())
    before = json.loads(json.dumps(late))
    (result,) = before["chart"]["result"]
    del result["events"]
    for column in (*result["indicators"]["quote"][0].values(), result["indicators"]["adjclose"][0]["adjclose"]):
        if column[0] < 1000:
            column[:6] = [value * 4 for value in column[:6]]
    market.whole = before
    first = read(datetime(2026, 11, 25, 13, tzinfo=UTC), reach=30)
    assert {row["close_price"] for row in first.rows[:6]} == {100}
    market.whole = late
    second = read(datetime(2026, 11, 27, 13, tzinfo=UTC), first.cursor)
    assert {row["close_price"] for row in second.rows} == {25}
    assert second.days == [*first.days, date(2026, 11, 25)]
    assert next(r["stock_splits"] for r in second.rows if r["date"] == date(2026, 11, 24)) == 4
    assert {row["split_factor"] for row in first.rows} == {1}
    assert {row["date"]: row["split_factor"] for row in second.rows} == {
        day: 4 if day < date(2026, 11, 24) else 1 for day in second.days
    }, "prices x factor are those of the first read: as traded"
    assert f"{len(first.days)} known days revised" in second.detail
    third = read(datetime(2026, 11, 27, 13, tzinfo=UTC), second.cursor)
    assert third.rows == []


def test_a_split_of_the_running_day_is_in_the_factor_of_the_days_before(market, read):
    market.trade(date(2026, 11, 16), (120.0, 120.0, 120.0))
    first = read(datetime(2026, 11, 18, 23, tzinfo=UTC))
    market.trade(date(2026, 11, 16), (40.0, 40.0, 40.0, 41.0, 13.0))
    market.events["splits"] = {
        date(2026, 11, 19): {"numerator": 3.0, "denominator": 1.0, "splitRatio": "3:1"},
        date(2026, 11, 20): {"numerator": 1.0, "denominator": 3.0, "splitRatio": "1:3"},
    }
    during = read(datetime(2026, 11, 20, 15, tzinfo=UTC), first.cursor)
    assert during.days[-1] == date(2026, 11, 19), "the running day is not loaded"
    assert [float(row["split_factor"]) for row in during.rows] == pytest.approx([1, 1, 1, 1 / 3])


@pytest.mark.parametrize("split", [None, "0", "-3", "NaN", "Infinity", "1e40"])
def test_a_split_that_is_none_stops_nothing(split):
    numbers = (Decimal(1),) * 7  # open to dividends
    days_ = [date(2026, 11, 18), date(2026, 11, 19), date(2026, 11, 20)]
    splits = [None, Decimal(split) if split else None, Decimal(2)]
    bars = [Bar(day, FRIDAY, *numbers, one) for day, one in zip(days_, splits, strict=True)]
    factors = later_splits(History(tuple(bars), {}, None))
    assert [factors[day] for day in days_] == [Decimal(2) * (Decimal("1e40") if split == "1e40" else 1), 2, 1]


def test_history_older_than_the_overlap_is_read_again_when_that_changes(market, read):
    for n in range(5):
        market.trade(date(2026, 10, 19) + timedelta(days=7 * n), (10.0,) * 5)
    first = read(reach=40)
    assert len(first.rows) == 25 > days.OVERLAP
    for day in market.days.values():
        day["adj"] = 9.5  # a dividend's adjustment, a day after the event
    second = read(since=first.cursor)
    assert second.days == first.days
    assert {row["adj_close_price"] for row in second.rows} == {Decimal("9.5")}
    assert "25 known days revised" in second.detail


def test_what_only_jitters_is_no_change(market, read):
    week(market)
    first = read()
    for day in market.days.values():
        day["adj"] = day["close"] * (1 + 1e-8)
    assert read(since=first.cursor).rows == []


def test_a_corrected_volume_or_close_is_a_revision_of_that_day_and_keeps_its_measures(market, read):
    week(market)
    first = read()
    assert first.rows[-1]["market_cap"] == 3_100_000_000_000
    market.days[date(2026, 11, 20)]["volume"] = 1234
    market.trade(date(2026, 11, 23), (6.0,))
    second = read(FRIDAY + timedelta(days=3), first.cursor)
    assert second.days == [date(2026, 11, 20), date(2026, 11, 23)]
    assert second.rows[0]["volume"] == 1234
    assert second.rows[0]["market_cap"] == 3_100_000_000_000
    assert second.detail == "1 known day revised"
    assert second.cursor["AAPL"] == "2026-11-23"


def test_a_corrected_old_day_does_not_move_the_cursor_back(market, read):
    week(market)
    first = read()
    market.days[date(2026, 11, 18)]["close"] = 3.5
    second = read(since=first.cursor)
    assert second.days == [date(2026, 11, 18)]
    assert second.cursor["AAPL"] == first.cursor["AAPL"] == "2026-11-20"


def test_a_cursor_of_an_earlier_release_reads_its_history_once_more(market, read):
    week(market)
    market.days.pop(date(2026, 11, 18))
    old = {"AAPL": "2026-11-20", "AAPL:first": {"date": "2026-11-16"}}
    first = read(since=old)
    assert first.days == [date(2026, 11, d) for d in (16, 17, 19, 20)]
    assert list(first.cursor["AAPL:gaps"]) == ["2026-11-18"]
    assert read(since=first.cursor).rows == []


# -- gaps heal


@pytest.mark.parametrize("how", ["absent", "null", "zero", "nan", "rejected"])
def test_a_missing_day_is_asked_for_until_it_comes(market, read, how):
    week(market)
    hole = date(2026, 11, 18)
    if how == "absent":
        market.days.pop(hole)
    else:
        market.days[hole]["close"] = {"null": None, "zero": 0, "nan": float("nan"), "rejected": -3.0}[how]
    first = read()
    assert hole not in first.days
    assert first.cursor["AAPL:gaps"] == {"2026-11-18": {"since": "2026-11-20", "asked": 1}}
    assert "2026-11-18" in first.detail
    assert bool(first.rejects) == (how == "rejected")
    later = FRIDAY
    cursor = first.cursor
    for n in range(4):  # days go by; the hole leaves the overlap
        later += timedelta(days=3 if later.weekday() == 4 else 1)
        market.trade(later.date(), (6.0 + n,))
        cursor = read(later, cursor).cursor
    assert cursor["AAPL:gaps"]["2026-11-18"]["asked"] == 5
    market.trade(hole, (3.0,))
    healed = read(later, cursor)
    assert healed.days == [hole]
    assert healed.cursor["AAPL:gaps"] == {}
    assert healed.cursor["AAPL"] == cursor["AAPL"]
    assert "revised" not in healed.detail


def test_a_day_long_before_what_was_asked_for_is_put_aside_and_its_own_day_is_a_gap(market, read, monkeypatch):
    week(market)
    lost, stamp = date(2026, 11, 18), market.stamp
    monkeypatch.setattr(market, "stamp", lambda day: 0 if day == lost else stamp(day))
    answer = read()
    assert lost not in answer.days
    assert min(answer.days) >= date(2026, 11, 6)
    assert [(r.column, r.reason[:18]) for r in answer.rejects] == [("date", "date is 1969-12-31")]
    assert answer.cursor["AAPL:first"]["date"] > "2026-11-01"
    assert list(answer.cursor["AAPL:gaps"]) == ["2026-11-18"]


def test_a_missing_day_is_given_up_with_a_reason_and_still_heals_by_itself(market, read):
    week(market, (1.0, 2.0, 3.0, None, 5.0))
    cursor = read().cursor
    market.trade(date(2026, 11, 23), (6.0,) * 3)
    market.trade(date(2026, 11, 27), (6.0,))
    market.trade(date(2026, 11, 30), (6.0,) * 5)
    told = read(FRIDAY + timedelta(days=14), cursor)
    assert "given up after 14 days without a price: 2026-11-19" in told.detail
    assert told.cursor["AAPL:gaps"]["2026-11-19"]["given_up"] == "2026-12-04"
    later = read(FRIDAY + timedelta(days=15), told.cursor)
    assert later.detail == "nothing new"
    assert later.cursor == told.cursor


def test_a_holiday_is_no_gap_and_a_null_on_it_neither(market, read):
    week(market)
    market.trade(date(2026, 11, 23), (6.0, 7.0, 8.0, None, 9.0))  # Thursday: Thanksgiving
    answer = read(datetime(2026, 11, 27, 22, tzinfo=UTC))
    assert "AAPL:gaps" not in answer.cursor
    assert answer.detail == ""


def test_a_ticker_without_a_price_for_days_is_stale_and_not_green(market, read):
    week(market)
    cursor = read().cursor
    waiting = read(datetime(2026, 11, 24, 22, tzinfo=UTC), cursor)
    assert waiting.statuses == [OutcomeStatus.OK]
    assert waiting.detail == "nothing new; no price yet for 2026-11-23, 2026-11-24"
    stale = read(datetime(2026, 11, 25, 22, tzinfo=UTC), waiting.cursor)
    assert stale.statuses == [OutcomeStatus.FAILED]
    assert stale.detail.startswith("stale: no price since 2026-11-20")


def coin_meta(market, **more):
    market.meta = {
        "currency": "USD",
        "symbol": BITCOIN,
        "exchangeName": "CCC",
        "instrumentType": "CRYPTOCURRENCY",
        "exchangeTimezoneName": "UTC",
        "timezone": "UTC",
        "gmtoffset": 0,
    } | more


def test_a_coins_missing_day_heals_too_weekends_included(market, read):
    coin_meta(market)
    market.trade(date(2026, 11, 16), (1.0, 2.0, 3.0, 4.0, 5.0, None, 7.0))
    first = coins(read, datetime(2026, 11, 23, 1, tzinfo=UTC))
    assert list(first.cursor["BTC:gaps"]) == ["2026-11-21"]
    assert {(r["quote_currency"], r["price_unit"]) for r in first.rows} == {("USD", 1)}
    market.trade(date(2026, 11, 21), (6.0,))
    second = coins(read, datetime(2026, 11, 23, 2, tzinfo=UTC), first.cursor)
    assert second.days == [date(2026, 11, 21)]
    asked = len(market.asked)
    assert coins(read, datetime(2026, 11, 23, 3, tzinfo=UTC), second.cursor).detail == "nothing new"
    assert len(market.asked) == asked  # nothing is missing and no new day is over


# -- units, optional measures


def test_case_23_pence_stay_pence_and_say_so(market, read):
    market.whole = json.loads((CASES / "23-pence.json").read_text())
    (row,) = read(datetime(2026, 11, 23, 22, tzinfo=UTC)).rows
    assert (row["quote_currency"], row["close_price"]) == ("GBp", Decimal("1100.5"))
    assert row["observed_at"] == datetime(2026, 11, 23, 16, 30, tzinfo=UTC)


def test_case_19_an_infinite_ratio_leaves_its_field_empty_and_the_row_lands(market, read):
    week(market)
    market.info = (200, json.loads((CASES / "19-pe-infinity.json").read_text()))
    first = read()
    assert first.days[-1] == date(2026, 11, 20)
    newest = first.rows[-1]
    assert (newest["pe_ratio"], newest["market_cap"], first.rejects) == (None, 3_100_000_000_000, [])
    assert "pe_ratio of 2026-11-20 is 'Infinity', which is not a finite number: left empty" in first.detail
    market.trade(date(2026, 11, 23), (6.0,))
    second = read(FRIDAY + timedelta(days=3), first.cursor)
    assert second.days == [date(2026, 11, 23)]
    assert "pe_ratio of 2026-11-23" in second.detail  # each day, not the first alone


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "n/a", True, {"raw": 1}, [1], "1e999999", "\ud800"])
@pytest.mark.parametrize("field", ["marketCap", "averageVolume"])
def test_no_measure_of_any_kind_costs_the_price(market, read, field, value):
    week(market)
    market.info = (
        200,
        {"quoteSummary": {"result": [NAMED | {"summaryDetail": {field: value, "trailingPE": 9.5}}], "error": None}},
    )
    answer = read()
    assert answer.statuses == [OutcomeStatus.OK]
    assert (len(answer.rows), answer.rejects) == (5, [])
    assert (answer.rows[-1]["market_cap"], answer.rows[-1]["avg_volume"]) == (None, None)


def test_a_market_value_of_zero_is_unknown_and_a_volume_that_is_none_empty(market, read):
    week(market)
    market.days[date(2026, 11, 19)] |= {"volume": float("nan")}
    market.days[date(2026, 11, 20)] |= {"volume": None, "open": -1.0}
    market.info = (200, {"quoteSummary": {"result": [NAMED | {"summaryDetail": {"marketCap": 0}}], "error": None}})
    answer = read()
    *_, before, newest = answer.rows
    assert (before["volume"], before["close_price"]) == (None, 4)
    assert (newest["market_cap"], newest["volume"], newest["open_price"], newest["close_price"]) == (
        None,
        None,
        None,
        5,
    )
    assert "open_price of 2026-11-20 is -1.0, less than 0: left empty" in answer.detail


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503, 404])
def test_case_24_company_data_that_does_not_come_costs_nothing_and_is_said_each_day(market, read, status):
    week(market)
    market.info = (status, json.loads((CASES / "24-info-401.json").read_text()))
    first = read(symbols=("AAPL", "MSFT", "KO"))
    assert first.statuses == [OutcomeStatus.OK] * 3
    assert len(first.rows) == 15
    assert all("no company data" in o.detail for o in first.outcomes)
    assert {row["company_name"] for row in first.rows} == {None}
    market.trade(date(2026, 11, 23), (6.0,))
    second = read(FRIDAY + timedelta(days=3), first.cursor)
    assert second.days == [date(2026, 11, 23)]
    assert "no company data" in second.detail


def test_a_limit_on_company_data_ends_the_asking_for_it(market, read):
    week(market)
    market.info = (429, {})
    answer = read(symbols=("AAPL", "MSFT", "KO"))
    assert "not asked for again in this run" in answer.outcomes[-1].detail
    assert sum("quoteSummary/MSFT" in path or "quoteSummary/KO" in path for path in market.asked) == 0


# -- no price is not a price, stale is not fresh


@pytest.mark.parametrize(
    "meta",
    [
        {"regularMarketPrice": None},
        {"regularMarketPrice": 0},
        {"regularMarketPrice": float("nan")},
        {"regularMarketPrice": 5.0, "regularMarketTime": 0},
        {"regularMarketPrice": 5.0, "regularMarketTime": None},
    ],
)
def test_a_coin_without_a_price_or_its_time_is_no_row(market, read, meta):
    now = datetime(2026, 11, 20, 13, tzinfo=UTC)
    market.trade(now.date(), (5.0,))
    coin_meta(market, **({"regularMarketTime": int(now.timestamp())} | meta))
    with_trouble = coins(read, now, stream=streams.CRYPTO_YFINANCE)
    assert with_trouble.rows == []
    assert with_trouble.statuses == [OutcomeStatus.FAILED]


def test_a_coins_old_price_is_stale_and_one_older_than_the_last_no_row(market, read):
    now = datetime(2026, 11, 20, 13, tzinfo=UTC)
    market.trade(now.date(), (5.0,))
    last = now - timedelta(hours=1)
    coin_meta(market, regularMarketPrice=5.0, regularMarketTime=int(last.timestamp()))
    first = coins(read, now, stream=streams.CRYPTO_YFINANCE)
    assert first.statuses == [OutcomeStatus.OK]
    for ago in (timedelta(hours=5), timedelta(days=90)):
        market.meta["regularMarketTime"] = int((now - ago).timestamp())
        answer = coins(read, now, first.cursor, streams.CRYPTO_YFINANCE)
        assert (answer.rows, answer.cursor) == ([], first.cursor)
        assert answer.statuses == [OutcomeStatus.FAILED]
        assert answer.detail.startswith("stale")


def test_a_coins_price_has_its_quote_and_unit(market, read):
    now = datetime(2026, 11, 20, 13, tzinfo=UTC)
    market.trade(now.date(), (5.0,))
    coin_meta(market, currency="EUR", regularMarketPrice=5.0, regularMarketTime=int(now.timestamp()))
    market.meta["regularMarketVolume"] = "Infinity"
    (row,) = coins(read, now, stream=streams.CRYPTO_YFINANCE).rows
    assert (row["quote_currency"], row["price_unit"], row["price"], row["quote_volume"]) == ("EUR", 1, 5, None)


# -- answers that are none


@pytest.mark.parametrize(
    "error",
    [RuntimeError("boom"), OverflowError("far"), UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no"), AssertionError()],
)
def test_any_error_of_the_library_is_one_tickers_and_logged(market, read, monkeypatch, caplog, error):
    week(market)
    history = yfinance.Ticker.history

    def raising(self, *args, **kwargs):
        if self.ticker == "AAPL":
            raise error
        return history(self, *args, **kwargs)

    monkeypatch.setattr(yfinance.Ticker, "history", raising)
    answer = read(symbols=("AAPL", "MSFT"))
    told = {o.item: o for o in answer.outcomes}
    assert told["AAPL"].status is OutcomeStatus.FAILED
    assert type(error).__name__ in told["AAPL"].detail
    assert told["MSFT"].status is OutcomeStatus.OK
    assert any(record.exc_info for record in caplog.records)


def test_an_answer_without_end_is_cut_off(market, read, monkeypatch):
    monkeypatch.setattr(yahoo_session, "MAX_BODY", 1000)
    market.chart_body = b'{"chart": "' + b"x" * 200_000 + b'"}'
    with pytest.raises(SourceRejectedError, match="larger than"):
        read()


def test_an_answer_that_drips_in_is_ended(market, read, monkeypatch):
    from dataclasses import replace

    from tickvault.sources.shared import yahoo

    monkeypatch.setattr(yahoo, "PROVIDER", replace(yahoo.PROVIDER, read_timeout=0.3, attempts=1))
    answer = market.answer

    def slow(path, query):
        if "/chart/" in path:
            time.sleep(1)
        return answer(path, query)

    market.answer = slow
    with pytest.raises(SourceUnavailableError):
        read()
