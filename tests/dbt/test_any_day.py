"""Splits and dividends on any day, told on time, late or ahead: holdings and returns; and no number from a later day.

The same vault is built at three dates. At each one plain fractions say what holdings are worth and what they brought;
between two of them nothing may change but what a later event changes by its nature.
"""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import plan
import pytest
import raw_data
from plan import DAYS, Row, Share, by_ticker, product
from warehouse import Dbt, Postgres, read

from tickvault.core.stream import Stream
from tickvault.market import streams
from tickvault.warehouse.metrics import metric, statement

SEED, COUNT = 20261126, 45
BUILT = (DAYS[14], DAYS[17], DAYS[-1])
BUILD = ("build", "--exclude-resource-type", "test", "unit_test", "--vars", "{lookback_hours: 100000}")
BUILD += ("--select", "+semantic_customer_overview", "+semantic_asset_performance", "+fct_asset_news_impact")
BUILD += ("+fct_asset_price_comparison",)
LATER_BY_NATURE = {"record_source", "load_timestamp", "package_id", "is_latest", "valid_to", "is_current"}
LEVELS = {"adj_close_price", "sma_7", "sma_20", "sma_50", "ema_12", "ema_26", "macd", "macd_signal", "macd_histogram"}
LEVELS |= {"bollinger_middle", "bollinger_upper", "bollinger_lower"}
"""Of the adjusted close, which a later dividend or split scales: what counts is how they stand to it."""
DATED = {
    "build_marts.fct_asset_prices": ("price_hk", "price_date"),
    "build_marts.fct_asset_indicators": ("indicator_hk", "price_date"),
    "build_marts.fct_asset_splits": ("split_hk", "split_date"),
    "build_marts.fct_asset_price_comparison": ("comparison_hk", "price_date"),
    "build_marts.fct_asset_news_impact": ("news_event_hk", "published_date"),
    "build_marts.fct_transactions": ("transaction_hk", "transaction_date"),
    "build_semantic.semantic_positions": ("position_hk", "valid_from"),
    "build_semantic.semantic_asset_performance": ("performance_hk", "price_date"),
}
COIN, MOVED = "ETH", "MOVED"
"""A coin that a better source lists on the second build, and a share that is then quoted in another currency."""


class Stage:
    """What the marts said at a build, and what the shares' rows were then."""

    def __init__(self, dbt: Dbt, until: date, shares: list[Share]) -> None:
        self.until = until
        self.marts = {name: read(dbt.warehouse, name) for name in DATED}
        self.loaded = {share.ticker: dict(share.loaded) for share in shares}
        self.overview = {
            row["party_id"]: row for row in read(dbt.warehouse, "build_semantic.semantic_customer_overview")
        }
        self.aum = {day: self._ask(dbt, day) for day in (*DAYS[4::5], until) if day <= until}

    def known(self, share: Share) -> dict[date, Fraction]:
        """The splits that the warehouse has heard of."""
        return {day: share.splits[day] for day, row in self.loaded[share.ticker].items() if row["stock_splits"]}

    @staticmethod
    def _ask(dbt: Dbt, until: date) -> dict[str, float]:
        _, sql = statement(metric("aum"), ("asset",), None, until, lambda model: f"build_semantic.{model}")
        return {symbol: float(value) for symbol, value in dbt.warehouse.query(sql)}


@pytest.fixture(scope="module")
def shares() -> list[Share]:
    return plan.shares(SEED, COUNT)


@pytest.fixture(scope="module")
def traded(shares: list[Share]) -> list[Row]:
    return plan.trades(SEED, shares)


@pytest.fixture(scope="module")
def stages(
    postgres_uri: str, shares: list[Share], traded: list[Row], tmp_path_factory: pytest.TempPathFactory
) -> list[Stage]:
    """The three builds: raw rows are overwritten by those of later loads, as the sink does it."""
    warehouse = Postgres.fresh(postgres_uri, "any_day")
    dbt = Dbt(warehouse, tmp_path_factory.mktemp("dbt-any-day"))
    rows: dict[tuple[str, date], Row] = {}
    found, before = [], None
    for until in BUILT:
        rows |= {(row["ticker"], row["date"]): row for row in plan.loads(shares, before, until)}
        tables = {stream.name: raw_data.table(stream, []) for stream in streams.ALL}
        tables[streams.STOCK_YFINANCE.name] = raw_data.table(streams.STOCK_YFINANCE, [*rows.values(), *moved(until)])
        for stream, brought in coin(until).items():
            tables[stream.name] = raw_data.table(stream, brought)
        made = [row for row in traded if row["transaction_timestamp"].date() <= until]
        slot = raw_data.END - timedelta(days=30)
        tables[streams.TRANSACTIONS_PERSONAL.name] = raw_data.table(
            streams.TRANSACTIONS_PERSONAL, raw_data.landed(streams.TRANSACTIONS_PERSONAL, made, "faker_market", slot)
        )
        warehouse.load(tables)
        dbt.run(*BUILD)
        found.append(Stage(dbt, until, shares))
        before = until
    return found


def coin(until: date) -> dict[Stream, list[Row]]:
    """A coin's bars at Yahoo, and at Binance from the day after the first build on; a quote and an article a day."""
    found: dict[Stream, list[Row]] = {s: [] for s in (streams.BARS_BINANCE, streams.CRYPTO_COINGECKO, streams.NEWS)}
    for n, day in enumerate(day for day in DAYS if day <= until):
        at = raw_data.END.replace(year=day.year, month=day.month, day=day.day)
        for source in ("yfinance", *(["binance"] if day > BUILT[0] else [])):
            close = 100 + n * 3 % 7 + (source == "binance")
            bar = {"symbol": COIN, "source": source, "date": day, "observed_at": at, "quote_currency": "USD"}
            bar |= dict.fromkeys(("open", "high", "low", "close"), close) | {"quote_volume": 5}
            found[streams.BARS_BINANCE] += raw_data.landed(streams.BARS_BINANCE, [bar], source, at)
        quote = {
            "symbol": COIN,
            "base_currency": COIN,
            "quote_currency": "USD",
            "price": 100 + n,
            "source": "coingecko",
        }
        quote |= {"observed_at": at, "market_cap": 10**9 + n}
        found[streams.CRYPTO_COINGECKO] += raw_data.landed(streams.CRYPTO_COINGECKO, [quote], "coingecko", at)
        article = {"cryptocurrency": COIN, "url": f"https://news.example/{n}", "title": "News", "source": "rss"}
        article |= {"date": at, "observed_at": at}
        found[streams.NEWS] += raw_data.landed(streams.NEWS, [article], "crypto_news", at)
    return found


def moved(until: date) -> list[Row]:
    """Bars of a share that is quoted in euros, and in dollars from the day after the first build on."""
    rows = []
    for n, day in enumerate(day for day in DAYS if day <= until):
        at = raw_data.END.replace(year=day.year, month=day.month, day=day.day)
        bar = {"ticker": MOVED, "date": day, "source": "yfinance", "observed_at": at, "stock_splits": 0, "dividends": 0}
        bar |= dict.fromkeys(("close_price", "adj_close_price"), 50 + n * 5 % 11)
        bar["quote_currency"] = "EUR" if day <= BUILT[0] else "USD"
        rows += raw_data.landed(streams.STOCK_YFINANCE, [bar], "yfinance", at)
    return rows


def near(value: Fraction | float, absolute: float = 1e-9) -> Any:
    return pytest.approx(float(value), rel=2e-9, abs=absolute)


def worth(stage: Stage, share: Share, rows: list[Row], until: date) -> dict[str, Fraction]:
    """What each party's holding of a share is worth at the end of a day: its last close as traded."""
    bar = max(day for day in share.closes if day <= until)
    known = stage.known(share)
    found: dict[str, Fraction] = {}
    for row in rows:
        day = row["transaction_timestamp"].date()
        if row["asset_symbol"] == share.ticker and day <= until:
            sign = -1 if row["transaction_type"] == "sell" else 1
            shares = sign * Fraction(row["quantity"]) * product(known, day, bar) / product(known, bar, day)
            found[row["customer_id"]] = found.get(row["customer_id"], Fraction(0)) + shares * share.closes[bar]
    return found


def test_assets_under_management_follow_splits(stages: list[Stage], shares: list[Share], traded: list[Row]) -> None:
    for stage in stages:
        held: dict[str, Fraction] = {}
        for share in shares:
            for day, answer in stage.aum.items():
                if day < min(share.closes):
                    assert share.ticker not in answer
                    continue
                parts = worth(stage, share, traded, day)
                assert answer.get(share.ticker, 0) == near(sum(parts.values()), 1e-3), (share, day, stage.until)
                if day == stage.until:
                    held = {p: held.get(p, Fraction(0)) + parts.get(p, 0) for p in plan.PARTIES}
        for party, total in held.items():
            assert stage.overview[party]["holdings_value"] == near(total, 1e-3)


def test_bars_show_what_was_traded_and_what_it_brought(stages: list[Stage], shares: list[Share]) -> None:
    for stage in stages:
        bars = by_ticker(stage.marts["build_marts.fct_asset_indicators"])
        for share in shares:
            known, before = stage.known(share), None
            assert [bar["price_date"] for bar in bars[share.ticker]] == list(stage.loaded[share.ticker])
            for bar in bars[share.ticker]:
                day = bar["price_date"]
                paid, about = share.dividends.get(day, Fraction(0)), (share, day, stage.until)
                row = stage.loaded[share.ticker][day]
                assert bar["close_price"] == near(share.closes[day]), about
                assert bar["dividends"] == near(paid, 1e-7), about
                assert bar["stock_splits"] == near(known.get(day, 0)), about
                assert bar["share_factor"] == near(product(known, date.min, day)), about
                factor = Fraction(row["split_factor"] or product(known, day)) / product(known, day)
                assert bar["adj_close_price"] == near(Fraction(row["adj_close_price"]) * factor), about
                if before:
                    ratio = product(known, before, day)
                    brought = (share.closes[day] + paid) * ratio / share.closes[before] - 1
                    assert bar["total_return"] == near(brought, 1e-7), about
                before = day


def test_shares_held_are_what_they_have_become(stages: list[Stage], shares: list[Share], traded: list[Row]) -> None:
    names = {party["party_hk"]: name for name, party in stages[-1].overview.items()}
    of = {share.ticker: share for share in shares}
    states = stages[-1].marts["build_semantic.semantic_positions"]
    assert {state["share_factor"] > 1 for state in states} == {True, False}
    for state in states:
        share = of[state["asset_symbol"]]
        known, begins = stages[-1].known(share), state["valid_from"]
        held = sum(
            (-1 if row["transaction_type"] == "sell" else 1) * Fraction(row["quantity"]) * product(known, day, begins)
            for row in traded
            if (row["customer_id"], row["asset_symbol"]) == (names[state["party_hk"]], share.ticker)
            and (day := row["transaction_timestamp"].date()) <= begins
        )
        assert float(state["quantity"]) == near(held, 1e-6), (share, state)
        assert not [day for day in known if begins < day < state["valid_to"]], "a split begins a state of its own"


def test_what_was_known_of_a_day_stays_known(stages: list[Stage]) -> None:
    said: dict[tuple[str, date], Any] = {}
    erased = 0
    for stage in stages:
        prices = {(r["asset_symbol"], r["price_date"]): r for r in stage.marts["build_marts.fct_asset_prices"]}
        for key, value in said.items():
            assert (prices[key]["market_cap"], prices[key]["pe_ratio"]) == (value, value), key
        said |= {key: row["market_cap"] for key, row in prices.items() if row["market_cap"] is not None}
        erased += sum(stage.loaded[ticker][day] is not stages[0].loaded[ticker].get(day) for ticker, day in said
                      if ticker in stage.loaded)  # fmt: skip
    assert len(said) > COUNT
    assert erased > 10, "bars with a market value were read again without it"


@pytest.mark.parametrize("relation", DATED)
def test_no_number_is_from_a_later_day(relation: str, stages: list[Stage], shares: list[Share]) -> None:
    key, day_of = DATED[relation]
    restated = {s.ticker for s in shares if any(s.delays.values()) or s.skips}
    compared = 0
    for earlier, later in pairwise(stages):
        then = {row[key]: row for row in later.marts[relation]}
        for row in earlier.marts[relation]:
            if row["asset_symbol"] in restated:
                continue  # told late: what was shown before was not known better
            assert row[key] in then, f"{relation} lost {row}"
            assert row[day_of] <= earlier.until
            _same(relation, row, then[row[key]])
            compared += 1
    assert compared > (5 if "splits" in relation else 25)


def _same(relation: str, row: Row, then: Row) -> None:
    for name in row.keys() - LATER_BY_NATURE:
        value, now = row[name], then[name]
        if value is None and relation.endswith("news_impact"):
            continue  # the bar after it was not there yet
        if name in LEVELS and value is not None:
            value, now = (float(side[name]) / float(side["adj_close_price"]) for side in (row, then))
        if isinstance(value, float | Decimal):
            assert float(now) == near(value), (relation, name, row, then)
        else:
            assert now == value, (relation, name, row, then)


def test_a_source_or_currency_of_later_changes_no_day_before(stages: list[Stage]) -> None:
    bars = by_ticker([row for row in stages[-1].marts["build_marts.fct_asset_indicators"] if row["is_primary"]])
    for ticker, name, values in ((COIN, "source", ("yfinance", "binance")), (MOVED, "quote_currency", ("EUR", "USD"))):
        assert [row[name] for row in bars[ticker]] == [values[day > BUILT[0]] for day in DAYS]
    assert [row["bar"] for row in bars[MOVED]] == [*range(1, 16), *range(1, len(DAYS) - 14)]
