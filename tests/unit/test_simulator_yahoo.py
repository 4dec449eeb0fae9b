"""yfinance itself, its code untouched, reaches the simulator through a session that replaces the host."""

import logging
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import yfinance
from curl_cffi.requests import Session
from yfinance.data import YfData

from tickvault.local.simulator import start
from tickvault.simulation.market.market import market

NOW = datetime(2026, 11, 20, 13, tzinfo=UTC)


class RedirectedSession(Session):
    """Sends every request to one base URL, keeping path and query."""

    def __init__(self, base):
        super().__init__()
        self.base = base

    def request(self, method, url, *args, **kwargs):
        parts = urlsplit(url)
        query = f"?{parts.query}" if parts.query else ""
        return super().request(method, f"{self.base}{parts.path}{query}", *args, **kwargs)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    yfinance.set_tz_cache_location(str(tmp_path_factory.mktemp("yahoo")))
    with start(now=NOW) as simulator:
        yield simulator


@pytest.fixture
def simulator(running):
    running.set_clock(NOW)
    YfData(session=None).cache_get.cache_clear()
    yield running
    running.clear_faults()
    running.forget_requests()


@pytest.fixture(params=["/yahoo", ""], ids=["prefix", "host only"])
def session(simulator, request):
    return RedirectedSession(simulator.url + request.param)


def download(session, tickers, first, end):
    return yfinance.download(
        tickers, start=first, end=end, auto_adjust=False, actions=True, threads=False, progress=False, session=session
    )


def test_download_gives_bars_with_the_split_and_dividends(session):
    frame = download(session, ["COST", "KO", "BTC-USD"], date(2025, 10, 12), date(2026, 11, 20))
    expected = market().bars("COST", date(2025, 10, 12), date(2026, 11, 20), seen_at=NOW.date())
    cost = frame.xs("COST", axis=1, level=1).dropna(subset=["Close"])
    assert [at.date() for at in cost.index] == expected.day.tolist()
    assert cost["Close"].tolist() == pytest.approx(expected.close.tolist())
    assert cost["Volume"].tolist() == expected.volume.tolist()
    assert cost["Stock Splits"][cost["Stock Splits"] != 0].to_dict() == {cost.index[-2]: 4.0}
    coke = frame.xs("KO", axis=1, level=1).dropna(subset=["Close"])
    assert (coke["Dividends"] > 0).sum() in (4, 5)
    assert coke["Adj Close"].iloc[0] < coke["Close"].iloc[0]
    assert coke["Adj Close"].iloc[-1] == coke["Close"].iloc[-1]
    bitcoin = frame.xs("BTC-USD", axis=1, level=1).dropna(subset=["Close"])
    assert len(bitcoin) == 404


def test_before_the_split_prices_are_as_traded(simulator, session):
    simulator.set_clock(datetime(2026, 11, 17, 22, tzinfo=UTC))
    frame = yfinance.Ticker("COST", session=session).history(
        start=date(2026, 11, 16), end=date(2026, 11, 18), auto_adjust=False
    )
    traded = market().bars("COST", date(2026, 11, 16), date(2026, 11, 18))
    assert frame["Close"].tolist() == traded.close.tolist()
    assert (frame["Stock Splits"] == 0).all()


def test_an_open_session_appears_as_todays_bar(simulator, session):
    simulator.set_clock(datetime(2026, 11, 20, 18, tzinfo=UTC))
    frame = yfinance.Ticker("AAPL", session=session).history(
        start=date(2026, 11, 19), end=date(2026, 11, 21), auto_adjust=False
    )
    assert [at.date() for at in frame.index] == [date(2026, 11, 19), date(2026, 11, 20)]
    assert frame["Close"].iloc[-1] == market().price("AAPL", datetime(2026, 11, 20, 18, tzinfo=UTC))


def test_info_has_company_and_market_figures(session):
    info = yfinance.Ticker("AAPL", session=session).info
    facts = market().fundamentals("AAPL", NOW)
    assert (info["longName"], info["sector"], info["industry"]) == ("Apple Inc.", "Technology", "Consumer Electronics")
    assert (info["marketCap"], info["trailingPE"]) == (int(facts.market_cap), facts.pe_ratio)
    assert (info["fiftyTwoWeekHigh"], info["fiftyTwoWeekLow"]) == (facts.week_52_high, facts.week_52_low)
    assert (info["averageVolume"], info["quoteType"]) == (facts.average_volume, "EQUITY")
    assert info["trailingPegRatio"] > 0
    coin = yfinance.Ticker("BTC-USD", session=session).info
    assert (coin["quoteType"], coin["circulatingSupply"]) == ("CRYPTOCURRENCY", 19_950_000)
    fast = yfinance.Ticker("AAPL", session=session).fast_info
    assert fast["lastPrice"] == facts.market_cap / facts.supply


def test_an_unknown_ticker_is_empty_and_logged(session, caplog):
    with caplog.at_level(logging.ERROR, logger="yfinance"):
        frame = download(session, ["AAPL", "ZZZZ"], date(2026, 11, 16), date(2026, 11, 20))
    assert frame["Close"]["ZZZZ"].isna().all()
    assert len(frame["Close"]["AAPL"].dropna()) == 4
    assert "ZZZZ" in caplog.text


def test_a_rate_limit_reaches_yfinance(simulator, session):
    simulator.fault("yahoo", "429", path="/v8/finance/chart")
    with pytest.raises(yfinance.exceptions.YFRateLimitError):
        yfinance.Ticker("MSFT", session=session).history(start=date(2026, 11, 16), end=NOW.date() + timedelta(days=1))
