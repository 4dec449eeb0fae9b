"""The source as a job uses it: slots, cursors, and the promises about its rows."""

import json
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tickvault.core.package import Cursor
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.core.stream import Stream
from tickvault.engines.http.client import HttpClient
from tickvault.market.streams import CORPORATES, CUSTOMERS, TRANSACTIONS_CORPORATE, TRANSACTIONS_PERSONAL
from tickvault.simulation.market.market import market
from tickvault.simulation.market.trading_days import is_trading_day, session
from tickvault.sources import Context
from tickvault.sources.faker_market import FakerMarket

TRADES = (TRANSACTIONS_PERSONAL, TRANSACTIONS_CORPORATE)
FIRST = date(2026, 11, 20)  # a Friday
SMALL = {
    "faker_num_customers": 40,
    "faker_num_corporates": 10,
    "faker_num_stock_transactions": 400,
    "faker_num_crypto_transactions": 300,
    "history_days": 45,
}


def read(stream: Stream, day: date, since: Cursor | None = None, **changed: float) -> tuple[pa.Table, Cursor]:
    settings = Settings(_env_file=None, **SMALL | changed)
    context = Context(settings, HttpClient(settings), Slot.of(datetime(day.year, day.month, day.day, 13, tzinfo=UTC)))
    batches = list(FakerMarket(context).read(stream, since))
    assert all(b.records.num_rows <= 65_536 for b in batches)
    merged: Cursor = {}
    for batch in batches:
        merged |= batch.cursor or {}
    # What the lake keeps is JSON, so the cursor has to survive it.
    return pa.Table.from_batches([b.records for b in batches], stream.schema), json.loads(json.dumps(merged))


def read_days(stream: Stream, days: list[date], **changed: float) -> pa.Table:
    tables, cursor = [], None
    for day in days:
        table, cursor = read(stream, day, cursor, **changed)
        tables.append(table)
    return pa.concat_tables(tables)


def following(first: date, count: int) -> list[date]:
    return [first + timedelta(days=n) for n in range(count)]


def oversold(trades: list[dict]) -> list[str]:
    """Replay all trades in time's order and name those that sell more than is held then, splits left out."""
    held: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    wrong = []
    for row in sorted(trades, key=lambda r: (r["transaction_timestamp"], r["transaction_id"])):
        key = row["customer_id"], row["asset_symbol"]
        held[key] += row["quantity"] if row["transaction_type"] == "buy" else -row["quantity"]
        if held[key] < 0:
            wrong.append(f"{row['transaction_id']}: {key} holds {held[key]}")
    return wrong


@pytest.fixture(scope="module")
def trades() -> list[dict]:
    """Both streams: the opening history, then a week of days."""
    return [row for stream in TRADES for row in read_days(stream, following(FIRST, 8)).to_pylist()]


@pytest.mark.parametrize("stream", FakerMarket.streams, ids=lambda s: s.name)
def test_the_same_seed_and_slot_give_the_same_rows_and_another_seed_others(stream: Stream) -> None:
    once, cursor = read(stream, FIRST)
    again, same_cursor = read(stream, FIRST)
    other, _ = read(stream, FIRST, faker_seed=2)
    assert once.num_rows > 0
    assert once.equals(again)
    assert cursor == same_cursor
    assert not once.equals(other)


@pytest.mark.parametrize("stream", FakerMarket.streams, ids=lambda s: s.name)
def test_rows_fit_the_schema_and_keys_are_unique(stream: Stream) -> None:
    table, _ = read(stream, FIRST)
    table.validate(full=True)
    for field in stream.schema:
        column = table[field.name]
        assert field.nullable or column.null_count == 0, field.name
        if (field.metadata or {}).get(b"min") == b"0":
            assert pc.min(column).as_py() >= 0, field.name
    keys = list(zip(*(table[name].to_pylist() for name in stream.primary_key), strict=True))
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("stream", FakerMarket.streams, ids=lambda s: s.name)
def test_a_second_slot_on_a_day_brings_nothing_and_keeps_the_cursor(stream: Stream) -> None:
    _, cursor = read(stream, FIRST)
    table, kept = read(stream, FIRST, cursor)
    assert table.num_rows == 0
    assert kept == cursor
    assert read(stream, FIRST - timedelta(days=3), cursor) == (table, cursor)


@pytest.mark.parametrize("stream", TRADES, ids=lambda s: s.name)
def test_missed_days_are_made_up_with_the_rows_of_an_undisturbed_run(stream: Stream) -> None:
    daily = read_days(stream, following(FIRST, 8))
    late = read_days(stream, [FIRST, FIRST + timedelta(days=7)])
    assert daily.equals(late)


@pytest.mark.parametrize("stream", [CUSTOMERS, CORPORATES], ids=lambda s: s.name)
def test_missed_days_are_made_up_with_the_states_of_an_undisturbed_run(stream: Stream) -> None:
    daily = read_days(stream, following(FIRST, 8)).to_pylist()
    late = read_days(stream, [FIRST, FIRST + timedelta(days=7)]).to_pylist()
    as_set = [{tuple(row.items()) for row in rows} for rows in (daily, late)]
    assert as_set[0] == as_set[1]


def test_a_full_day_has_the_numbers_asked_for_and_the_history_a_share(trades: list[dict]) -> None:
    counts: dict[tuple[date, str], int] = defaultdict(int)
    for row in trades:
        counts[row["transaction_timestamp"].date(), row["asset_type"]] += 1
    last_of_history = FIRST - timedelta(days=1)
    assert min(day for day, _ in counts) == FIRST - timedelta(days=SMALL["history_days"])
    for day in following(FIRST - timedelta(days=SMALL["history_days"]), SMALL["history_days"] + 7):
        full = day >= last_of_history
        assert counts[day, "crypto"] == (300 if full else 15), day
        assert counts[day, "stock"] == ((400 if full else 20) if is_trading_day(day) else 0), day
    personal = sum(row["customer_type"] == "personal" for row in trades)
    assert 0.78 <= personal / len(trades) <= 0.82


def test_both_streams_are_told_apart_and_share_no_id(trades: list[dict]) -> None:
    assert len({row["transaction_id"] for row in trades}) == len(trades)
    for row in trades:
        if row["customer_type"] == "corporate":
            assert row["customer_id"].startswith("B")
            assert row["company_id"] == row["customer_id"]
        else:
            assert row["customer_id"].startswith("C")
            assert row["company_id"] is None


def test_nobody_sells_more_than_he_holds(trades: list[dict]) -> None:
    assert sum(row["transaction_type"] == "sell" for row in trades) > len(trades) / 20
    assert oversold(trades) == []


def test_nobody_sells_more_than_he_holds_when_the_numbers_change_between_runs() -> None:
    changes = [
        {},
        {"faker_num_stock_transactions": 100, "faker_num_crypto_transactions": 900},
        {"faker_num_stock_transactions": 1500, "faker_num_customers": 300, "faker_num_corporates": 3},
        {"faker_num_stock_transactions": 0, "faker_num_crypto_transactions": 7},
        {"faker_num_customers": 5, "faker_num_crypto_transactions": 1200},
        {"faker_seed": 3},
        {},
        {"faker_num_stock_transactions": 2000},
    ]
    rows: list[dict] = []
    for stream in TRADES:
        cursor = None
        for number in range(40):
            day = FIRST + timedelta(days=number)
            table, cursor = read(stream, day, cursor, **changes[number % len(changes)])
            rows += table.to_pylist()
    assert len({row["transaction_id"] for row in rows}) == len(rows)
    assert any(row["transaction_type"] == "sell" for row in rows if row["asset_type"] == "stock")
    assert oversold(rows) == []


def test_prices_lie_in_the_days_range_and_trades_in_the_hours(trades: list[dict]) -> None:
    for row in trades:
        day = row["transaction_timestamp"].date()
        low, high = market().daily_range([row["asset_symbol"]], day, day + timedelta(days=1))
        assert low[0, 0] - 1e-9 <= float(row["price_per_unit"]) <= high[0, 0] + 1e-9, row
        if row["asset_type"] == "stock":
            opening, closing = session(day)
            assert opening <= row["transaction_timestamp"] < closing


def test_amounts_are_exact_and_fees_follow_the_tier_held_then(trades: list[dict]) -> None:
    rates = {"bronze": "0.0050", "silver": "0.0035", "gold": "0.0020", "platinum": "0.0010"}
    states: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for stream, key in ((CUSTOMERS, "customer_id"), (CORPORATES, "company_id")):
        for row in read_days(stream, following(FIRST, 8)).to_pylist():
            states[row[key]].append((row["updated_at"], row["tier"]))
    for row in trades:
        assert row["transaction_amount"] == row["quantity"] * row["price_per_unit"]
        earlier = [s for s in states[row["customer_id"]] if s[0] <= row["transaction_timestamp"]]
        assert earlier, f"{row['customer_id']} traded before it existed"
        fee = row["transaction_amount"] * Decimal(rates[max(earlier)[1]])
        assert abs(row["fee_amount"] - fee) <= Decimal("0.00000000005")


def test_the_same_customers_return_and_two_percent_change_a_day() -> None:
    opening, cursor = read(CUSTOMERS, FIRST, faker_num_customers=2000, history_days=100)
    known = {(r["customer_id"], r["updated_at"]): r for r in opening.to_pylist()}
    last = {r["customer_id"]: r for r in sorted(known.values(), key=lambda r: r["updated_at"])}
    changes = []
    for day in following(FIRST + timedelta(days=1), 5):
        table, cursor = read(CUSTOMERS, day, cursor, faker_num_customers=2000)
        rows = table.to_pylist()
        assert set(last) <= {r["customer_id"] for r in rows}
        new = [r for r in rows if (r["customer_id"], r["updated_at"]) not in known]
        assert all(r["updated_at"].date() == day - timedelta(days=1) for r in new)
        assert all(known[key] == r for r in rows if (key := (r["customer_id"], r["updated_at"])) in known)
        known |= {(r["customer_id"], r["updated_at"]): r for r in new}
        last |= {r["customer_id"]: r for r in sorted(new, key=lambda r: r["updated_at"])}
        changes.append(sum(r["updated_at"] > r["created_at"] for r in new) / len(last))
    assert 0.015 <= sum(changes) / len(changes) <= 0.025
    assert 2000 < len(last) < 4000
    assert 0.12 <= sum(r["company_id"] is not None for r in last.values()) / len(last) <= 0.18


def test_every_change_changes_tier_risk_tolerance_or_country() -> None:
    states: dict[str, list[dict]] = defaultdict(list)
    for row in read(CUSTOMERS, FIRST, history_days=400)[0].to_pylist():
        states[row["customer_id"]].append(row)
    compared = 0
    for rows in states.values():
        rows.sort(key=lambda r: r["updated_at"])
        for before, after in pairwise(rows):
            changed = {name for name in before if before[name] != after[name]} - {"updated_at"}
            assert changed - {"city"} in ({"tier"}, {"risk_tolerance"}, {"country"})
            assert before["created_at"] == after["created_at"] <= before["updated_at"]
            compared += 1
    assert compared > 200


def test_employers_exist() -> None:
    companies = set(read(CORPORATES, FIRST)[0]["company_id"].to_pylist())
    employers = set(read(CUSTOMERS, FIRST)[0]["company_id"].to_pylist()) - {None}
    assert employers
    assert employers <= companies


def test_a_history_of_one_day_and_no_trades_at_all() -> None:
    table, cursor = read(TRANSACTIONS_PERSONAL, FIRST, history_days=1)
    assert set(pc.unique(table["transaction_type"]).to_pylist()) == {"buy"}
    assert {t.date() for t in table["transaction_timestamp"].to_pylist()} == {date(2026, 11, 19)}
    none, later = read(
        TRANSACTIONS_PERSONAL,
        FIRST + timedelta(days=1),
        cursor,
        faker_num_stock_transactions=0,
        faker_num_crypto_transactions=0,
    )
    assert none.num_rows == 0
    assert later[""]["day"] == "2026-11-20"


def test_the_cursor_remembers_as_many_days_as_a_lot_can_be_sold() -> None:
    _, cursor = read(TRANSACTIONS_PERSONAL, FIRST, history_days=100)
    _, cursor = read(TRANSACTIONS_PERSONAL, FIRST + timedelta(days=3), cursor)
    volumes = cursor[""]["volumes"]
    assert list(volumes) == [(date(2026, 10, 26) + timedelta(days=n)).isoformat() for n in range(28)]
    assert volumes["2026-11-22"][:2] == [0, 300]  # a Sunday
