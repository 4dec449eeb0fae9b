"""The simulated market is deterministic, plausible and consistent within a day."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from tickvault.core.errors import ConfigError
from tickvault.market.symbols import Asset
from tickvault.simulation.market.market import Market, market
from tickvault.simulation.market.trading_days import holidays, is_trading_day, session

START, END = date(2025, 10, 12), date(2026, 11, 21)
NOON = datetime(2026, 11, 20, 13, tzinfo=UTC)


@pytest.fixture(scope="module")
def shipped():
    return market()


def returns(shipped, symbol):
    return np.diff(np.log(shipped.bars(symbol, date(2024, 1, 1), date(2026, 11, 1)).close))


def test_another_order_or_asset_changes_no_price(shipped):
    few = Market([shipped.assets["ETH"], Asset("NEW", "New", "crypto", "DeFi", "", "new", ""), shipped.assets["BTC"]])
    for symbol in ("BTC", "ETH"):
        assert few.bars(symbol, START, END).close.tolist() == shipped.bars(symbol, START, END).close.tolist()
        assert few.price(symbol, NOON) == shipped.price(symbol, NOON)
    assert few.price("NEW", NOON) > 0
    other = Market([shipped.assets["BTC"]], seed=8)
    assert other.price("BTC", NOON) != shipped.price("BTC", NOON)


def test_a_day_does_not_depend_on_the_range_asked_for(shipped):
    whole = shipped.bars("SOL", START, END)
    for index in (0, 100, -1):
        day = whole.day[index].item()
        one = shipped.bars("SOL", day, day + timedelta(days=1))
        assert (one.open[0], one.volume[0]) == (whole.open[index], whole.volume[index])


def test_bars_are_ordered_and_positive(shipped):
    for symbol, asset in shipped.assets.items():
        bars = shipped.bars(symbol, date(2024, 1, 1), date(2031, 1, 1))
        assert (bars.low > 0).all(), symbol
        assert (bars.volume > 0).all(), symbol
        assert (bars.low <= np.minimum(bars.open, bars.close)).all(), symbol
        assert (bars.high >= np.maximum(bars.open, bars.close)).all(), symbol
        assert len(bars.day) == (2557 if asset.asset_class == "crypto" else len(bars.day)), symbol
        assert bars.close.min() / bars.close.max() > 0.05, symbol  # years later it is still believable


def test_assets_move_as_their_class_does(shipped):
    crypto, stock, stable = (returns(shipped, s).std() for s in ("ETH", "MSFT", "USDC"))
    assert 0.02 < crypto < 0.05
    assert 0.008 < stock < 0.022
    assert stable < 0.002
    for asset_class, least, most in (("crypto", 0.35, 0.6), ("stock", 0.2, 0.45)):
        members = [s for s, a in shipped.assets.items() if a.asset_class == asset_class and a.sector != "Stablecoin"]
        together = np.corrcoef(np.stack([returns(shipped, s) for s in members]))
        assert least < together[np.triu_indices(len(members), 1)].mean() < most


def moments(values):
    """Give excess kurtosis, and the autocorrelation of the squares at lag 1, by their definitions."""
    centred = values - values.mean()
    squares = centred**2 - (centred**2).mean()
    kurtosis = (centred**4).mean() / (centred**2).mean() ** 2 - 3
    return kurtosis, (squares[1:] * squares[:-1]).sum() / (squares**2).sum()


@pytest.mark.parametrize("seed", [7, 8, 2026])
def test_tails_are_fat_and_volatility_clusters(shipped, seed):
    """As of real shares and coins (Cont 2001, stylized facts); a normal walk has about 0 of both and must not pass."""
    told = Market(list(shipped.assets.values()), seed)
    kurtosis, clustering = np.array([moments(returns(told, symbol)) for symbol in told.assets]).T
    assert ((kurtosis > 3) & (kurtosis < 30)).mean() > 0.95
    assert kurtosis.min() > 1.5 and kurtosis.max() < 100
    assert (clustering > 0.1).mean() > 0.95
    walk = np.random.default_rng(seed).standard_normal(1000)
    assert abs(moments(walk)[0]) < 1 and abs(moments(walk)[1]) < 0.1


def test_years_later_the_spread_of_returns_is_still_the_same(shipped):
    for symbol in ("BTC", "SOL", "AAPL", "KO", "USDC"):
        bars = shipped.bars(symbol, date(2024, 1, 1), date(2031, 1, 1))
        early, late = (np.diff(np.log(half)).std() for half in np.array_split(bars.close, 2))
        assert 0.6 < early / late < 1.6, symbol


def test_a_second_process_sees_the_same_market(shipped):
    code = (
        "from datetime import date; from tickvault.simulation.market.market import market;"
        "b = market().bars('SOL', date(2026, 1, 1), date(2026, 11, 1)); print(b.close.tolist(), b.volume.tolist())"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    bars = shipped.bars("SOL", date(2026, 1, 1), date(2026, 11, 1))
    assert told.strip() == f"{bars.close.tolist()} {bars.volume.tolist()}"


def test_tickers_stay_inside_the_day_and_move(shipped):
    for symbol in ("BTC", "PEPE", "AAPL", "COST"):
        day = date(2026, 11, 19)
        low, high = (float(m[0, 0]) for m in shipped.daily_range([symbol], day, day + timedelta(days=1)))
        opening, closing = session(day) if symbol in ("AAPL", "COST") else (datetime(2026, 11, 19, tzinfo=UTC),) * 2
        closing = closing if closing != opening else opening + timedelta(hours=23, minutes=59)
        instants = [opening + (closing - opening) * n / 200 for n in range(200)]
        prices = [shipped.price(symbol, at) for at in instants]
        assert low <= min(prices) <= max(prices) <= high
        assert len(set(prices)) > 20
        assert prices[0] == shipped.bars(symbol, day, day + timedelta(days=1)).open[0]


def test_a_running_day_ends_as_its_bar(shipped):
    day, over, span = shipped.today("BTC", datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC))
    bar = shipped.bars("BTC", day, day + timedelta(days=1))
    assert not over
    assert (span.open, span.high, span.low) == (bar.open[0], bar.high[0], bar.low[0])
    assert span.close == pytest.approx(bar.close[0], rel=1e-3)
    early = shipped.today("BTC", datetime(2026, 11, 20, 1, tzinfo=UTC))[2]
    assert early.high <= span.high and early.volume < span.volume


def test_stocks_rest_on_weekends_and_holidays(shipped):
    low, high = shipped.daily_range(["BTC", "AAPL"], date(2026, 11, 20), date(2026, 11, 30))
    closed = [not is_trading_day(date(2026, 11, 20) + timedelta(days=n)) for n in range(10)]
    assert closed == [False, True, True, False, False, False, True, False, True, True]  # Thanksgiving on the 26th
    assert np.isnan(low[1]).tolist() == np.isnan(high[1]).tolist() == closed
    assert not np.isnan(low[0]).any()
    assert shipped.today("AAPL", NOON)[:2] == (date(2026, 11, 19), True)  # New York has not opened yet
    assert shipped.last_trade("AAPL", NOON) == datetime(2026, 11, 19, 21, tzinfo=UTC)


def test_nyse_holidays_of_known_years():
    assert sorted(f"{d:%m-%d}" for d in holidays(2026)) == [
        "01-01", "01-19", "02-16", "04-03", "05-25", "06-19", "07-03", "09-07", "11-26", "12-25",
    ]  # fmt: skip
    assert date(2021, 12, 31) not in holidays(2021)  # New Year's Day 2022 is a Saturday and is not moved
    assert date(2022, 12, 26) in holidays(2022)


def test_a_split_divides_what_is_seen_later_but_not_what_was_traded(shipped):
    split_day, ratio = shipped.split("COST")
    before = split_day - timedelta(days=1)
    traded = shipped.bars("COST", before, split_day)
    seen = shipped.bars("COST", before, split_day, seen_at=split_day)
    assert seen.close[0] * ratio == traded.close[0]
    assert seen.volume[0] == traded.volume[0] * ratio
    assert shipped.bars("COST", before, split_day, seen_at=before).close[0] == traded.close[0]
    after = shipped.bars("COST", split_day, split_day + timedelta(days=1)).close[0]
    assert after == pytest.approx(seen.close[0], rel=0.25)
    caps = [shipped.fundamentals("COST", NOON - timedelta(days=n)) for n in (1, 4)]
    assert caps[0].market_cap == pytest.approx(caps[1].market_cap, rel=0.35)
    assert caps[0].supply == ratio * caps[1].supply


def test_dividends_are_quarterly_on_trading_days_and_adjusted(shipped):
    paid = shipped.dividends("KO", END)
    assert 10 < len(paid) < 13
    assert all(is_trading_day(day) for day in paid)
    assert shipped.dividends("TSLA", END) == {}
    split_day, ratio = shipped.split("COST")
    first = min(shipped.dividends("COST", END))
    assert (
        shipped.dividends("COST", END)[first] * ratio == shipped.dividends("COST", split_day - timedelta(days=1))[first]
    )


def test_questions_outside_the_market_are_refused(shipped):
    with pytest.raises(ConfigError, match="does not trade 'NOPE'"):
        shipped.daily_range(["NOPE"], START, END)
    with pytest.raises(ConfigError, match="outside the simulated years"):
        shipped.price("BTC", datetime(2031, 1, 1, tzinfo=UTC))
