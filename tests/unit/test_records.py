"""Every way a provider's value can be wrong, and what is said about it."""

import json
import re
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, Overflow

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickvault.core import iso, values
from tickvault.core.errors import SchemaMismatchError
from tickvault.core.records import Epoch, RecordBuilder, require_fields
from tickvault.core.stream import INSTANT, Area, Stream, amount, required
from tickvault.market.streams import CRYPTO_BINANCE

NOW = datetime(2026, 11, 20, 13, tzinfo=UTC)
GOOD = {
    "symbol": "BTC",
    "base_currency": "BTC",
    "quote_currency": "USDT",
    "price": "8199.59000000",
    "volume": Decimal("43952.845785"),
    "source": "binance",
    "observed_at": Epoch(1570543246606),
    "price_change_24h": "-49.42",
}
MIXED = Stream(
    name="raw_mixed",
    schema=pa.schema(
        [
            required("id", pa.int64()),
            pa.field("small", pa.int32()),
            pa.field("ratio", pa.float64()),
            pa.field("flag", pa.bool_()),
            pa.field("day", pa.date32()),
            pa.field("at", INSTANT),
            amount("cost"),
        ]
    ),
    primary_key=("id",),
    cursor_field=None,
    lake_path="raw-data/mixed",
    warehouse_table="RAW_MIXED",
    area=Area.BATCH,
)


def build(**changes):
    return RecordBuilder(CRYPTO_BINANCE, NOW).build([GOOD | changes])


def test_a_good_record_becomes_a_row_of_the_streams_schema():
    records = build()
    assert records.rejects == ()
    assert records.batch.schema == CRYPTO_BINANCE.schema
    row = records.batch.to_pylist()[0]
    assert row["price"] == Decimal("8199.59")
    assert row["observed_at"] == datetime(2019, 10, 8, 14, 0, 46, 606000, UTC)
    assert row["market_cap"] is None


@pytest.mark.parametrize(
    ("changes", "column", "reason"),
    [
        ({"price": None}, "price", "price is missing"),
        ({"symbol": ""}, "symbol", "symbol is missing"),
        ({"price": "n/a"}, "price", "price is 'n/a', which is not a number"),
        ({"price": "1_0"}, "price", "not a number"),
        ({"price": "١٢"}, "price", "not a number"),
        ({"price": Decimal("NaN")}, "price", "not a finite number"),
        ({"price": "-Infinity"}, "price", "not a finite number"),
        ({"price": 1.5}, "price", "a float where an exact number is due"),
        ({"price": True}, "price", "a bool where"),
        ({"price": {"usd": 1}}, "price", "a dict where"),
        ({"price": "-1"}, "price", "price is '-1', less than 0"),
        ({"price": "1e20"}, "price", "more than 20 digits"),
        ({"price": "99999999999999999999.9999999999999999999"}, "price", "more than 20 digits"),
        ({"volume": "1e28"}, "volume", "more than 28 digits"),
        ({"price": "1e-19"}, "price", "which 18 digits after the point would make another number"),
        ({"price": "1e-999999999"}, "price", "another number"),
        ({"price": "0.0000000001234567894"}, "price", "another number"),
        ({"symbol": "B\0TC"}, "symbol", "NUL"),
        ({"symbol": "\ud800"}, "symbol", "lone surrogate"),
        ({"symbol": 7}, "symbol", "an int where text is due".replace("an int", "a int")),
        ({"observed_at": None}, "observed_at", "observed_at is missing"),
        ({"observed_at": "yesterday"}, "observed_at", "not a time in ISO 8601"),
        ({"observed_at": datetime(2026, 1, 1)}, "observed_at", "a time without its zone"),  # noqa: DTZ001
        ({"observed_at": "2026-01-01T00:00:00"}, "observed_at", "a time without its zone"),
        ({"observed_at": 1570543246606}, "observed_at", "which is not a time"),
        ({"observed_at": Epoch("soon")}, "observed_at", "not a number"),
        ({"observed_at": Epoch(10**30)}, "observed_at", "beyond the calendar"),
        ({"observed_at": Epoch(Decimal("1e999999"))}, "observed_at", "beyond the calendar"),
        ({"observed_at": Epoch("-1e999999")}, "observed_at", "beyond the calendar"),
        ({"observed_at": "2026-01-01T00:00:00x00:00Z"}, "observed_at", "not a time in ISO 8601"),
        ({"observed_at": "2026-01-01700:00:00Z"}, "observed_at", "not a time in ISO 8601"),
        ({"observed_at": "2026-W01-1T00:00:00Z"}, "observed_at", "not a time in ISO 8601"),
        ({"observed_at": "２０２６-01-01T00:00:00Z"}, "observed_at", "not a time in ISO 8601"),
        ({"observed_at": "0001-01-01T00:00:00+14:00"}, "observed_at", "beyond the calendar"),
        ({"observed_at": "10000-01-01T00:00:00Z"}, "observed_at", "not a time in ISO 8601"),
        ({"price": Decimal("1e999999")}, "price", "more than 28 digits"),
        ({"price": "1e999999999999999999999"}, "price", "price"),
        ({"observed_at": NOW + timedelta(hours=2)}, "observed_at", "lies in the future"),
    ],
)
def test_a_value_that_does_not_fit_puts_its_record_aside(changes, column, reason):
    records = build(**changes)
    assert records.batch.num_rows == 0
    (reject,) = records.rejects
    assert reject.column == column
    assert reason in reject.reason
    assert str(reject.record["quote_currency"]) == "USDT"
    if "NUL" not in reason and "surrogate" not in reason:  # what cannot be stored was replaced
        record = json.loads(json.dumps(reject.record))
        assert RecordBuilder(CRYPTO_BINANCE, NOW).build([record]).batch.num_rows == 0


@pytest.mark.parametrize(
    "error",
    [Overflow("x"), RecursionError("x"), KeyError("x"), OverflowError("x"), LookupError("no codec"), OSError(5)],
)
def test_an_error_nobody_foresaw_costs_one_record(monkeypatch, caplog, error):
    original = values.iso.time

    def failing(text):
        if text.endswith("13Z"):
            raise error
        return original(text)

    monkeypatch.setattr(values.iso, "time", failing)
    rows = [GOOD | {"symbol": s, "observed_at": f"2026-01-01T00:00:{s}Z"} for s in ("12", "13", "14")]
    records = RecordBuilder(CRYPTO_BINANCE, NOW).build(rows)
    assert records.batch.column("symbol").to_pylist() == ["12", "14"]
    (reject,) = records.rejects
    assert (reject.item, reject.column) == ("13", "observed_at")
    assert reject.reason == f"observed_at cannot be read: {type(error).__name__}"
    assert "Traceback" in caplog.text
    json.dumps(reject.record)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, 0, UTC)),
        ("2026-01-02 03:04:05.1234567Z", datetime(2026, 1, 2, 3, 4, 5, 123456, UTC)),
        ("2026-01-02T03:04:05,5+0530", datetime(2026, 1, 1, 21, 34, 5, 500000, UTC)),
        ("2026-01-02T03:04-07:00", datetime(2026, 1, 2, 10, 4, 0, 0, UTC)),
        ("2026-01-02t03:04:05z", datetime(2026, 1, 2, 3, 4, 5, 0, UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_are_read_by_the_grammar_of_iso_8601(text, expected):
    assert build(observed_at=text).batch.to_pylist()[0]["observed_at"] == expected


@given(
    st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))])), st.sampled_from("T ")
)
def test_whatever_python_writes_is_read_as_it_was_meant(time, separator):
    assert iso.time(time.isoformat(separator)) == time


@given(st.text(), st.integers(0, 24))
def test_a_time_with_anything_in_a_wrong_place_is_none(text, place):
    good = "2026-01-02T03:04:05+00:00"
    spoilt = good[:place] + text + good[place + 1 :]
    try:
        read = iso.time(spoilt)
    except ValueError:
        return
    assert re.fullmatch(r"[0-9:T +.,Zzt-]+", spoilt), read


def test_a_record_that_is_put_aside_is_fit_for_jsonb_however_deep_and_odd():
    deep = json.loads("[" * 900 + "]" * 900)
    odd = {"price": deep, "symbol": {"a\0\ud800": ["\0"]}}
    record = json.dumps(build(**odd).rejects[0].record, ensure_ascii=False)
    assert "\0" not in record
    record.encode()
    assert '"a␀\\\\ud800": ["␀"]' in record


def test_the_others_of_the_batch_stay():
    rows = [GOOD | {"symbol": s, "price": p} for s, p in [("A", "1"), ("B", "x"), ("C", "3")]]
    records = RecordBuilder(CRYPTO_BINANCE, NOW).build(rows)
    assert records.batch.column("symbol").to_pylist() == ["A", "C"]
    assert [r.item for r in records.rejects] == ["B"]


def test_a_clock_that_is_a_little_ahead_is_believed():
    assert build(observed_at=NOW + timedelta(minutes=59)).batch.num_rows == 1


def test_a_word_for_word_repetition_is_dropped_and_another_value_put_aside():
    builder = RecordBuilder(CRYPTO_BINANCE, NOW)
    records = builder.build([GOOD, dict(GOOD)])
    assert (records.batch.num_rows, records.repeated, records.rejects) == (1, 1, ())
    later = builder.build([GOOD | {"price": "8199.590"}, GOOD | {"price": "1"}])
    assert (later.batch.num_rows, later.repeated) == (0, 1)
    assert "a second record with the key symbol=BTC, observed_at=2019" in later.rejects[0].reason


def test_rejects_can_be_written_as_jsonb():
    reject = build(symbol="B\0\ud800", price=Decimal("NaN")).rejects[0]
    assert reject.record["symbol"] == "B␀\\ud800"
    assert reject.record["price"] == "NaN"
    assert reject.record["observed_at"] == "2019-10-08T14:00:46.606000+00:00"
    assert build(price="x", observed_at=Epoch("soon")).rejects[0].record["observed_at"] == "soon"


def test_only_digits_beyond_an_amounts_tenth_are_rounded_half_to_even():
    volumes = ["0.12345678905", "0.12345678915", "1408e-8", "0.00000000001"]
    rows = [GOOD | {"symbol": str(n), "volume": v} for n, v in enumerate(volumes)]
    batch = RecordBuilder(CRYPTO_BINANCE, NOW).build(rows).batch
    expected = ["0.1234567890", "0.1234567892", "0.0000140800", "0E-10"]
    assert [str(v) for v in batch.column("volume").to_pylist()] == expected


@pytest.mark.parametrize(
    ("price", "stored"),
    [
        ("9.123456789e-06", "0.000009123456789"),
        ("1.2345e-9", "0.0000000012345"),
        ("1e-18", "0.000000000000000001"),
        ("0", "0"),
        ("0e-400", "0"),
        ("189.839996337890625", "189.839996337890625"),
        ("0.00000000123456789012", "0.000000001234567890"),  # 1e-10 of itself
    ],
)
def test_a_price_is_stored_as_it_is_but_for_a_billionth(price, stored):
    assert build(price=price).batch.to_pylist()[0]["price"] == Decimal(stored)


@given(st.decimals(min_value=0, max_value=Decimal(99999999999999999999), places=18))
def test_eighteen_digits_pass_unchanged(price):
    assert build(price=str(price)).batch.to_pylist()[0]["price"] == price


@given(st.text())
def test_any_text_is_a_row_or_a_reject(text):
    records = build(symbol=text)
    assert records.batch.num_rows + len(records.rejects) == 1


def test_text_is_normalised():
    row = build(symbol="Cafe\u0301").batch.to_pylist()[0]
    assert row["symbol"] == "Caf\u00e9"


def test_every_other_type_is_read_strictly():
    zone = timezone(timedelta(hours=7))
    row = {
        "id": 2**62,
        "small": "7",
        "ratio": 0.1,
        "flag": True,
        "day": "2026-11-20",
        "at": datetime(2026, 11, 20, 20, tzinfo=zone),
        "cost": 3,
    }
    assert RecordBuilder(MIXED, NOW).build([row]).batch.to_pylist() == [
        row | {"small": 7, "day": date(2026, 11, 20), "at": NOW, "cost": Decimal(3)}
    ]
    assert RecordBuilder(MIXED, NOW).build([row | {"ratio": Decimal("1e400")}]).rejects[0].column == "ratio"
    wrong = {"id": 2**63, "small": 2**31, "ratio": "x", "flag": 1, "day": NOW, "at": NOW.date(), "cost": "-0.01"}
    for column, value in wrong.items():
        assert RecordBuilder(MIXED, NOW).build([row | {column: value}]).rejects[0].column == column


def test_a_column_the_stream_does_not_have_is_a_mistake_of_ours():
    with pytest.raises(SchemaMismatchError) as caught:
        build(prize="1")
    assert caught.value.column == "prize"


def test_a_field_missing_in_every_record_is_a_changed_format():
    fields = {"price": "lastPrice", "volume": "volume"}
    require_fields(CRYPTO_BINANCE, [], fields)
    require_fields(CRYPTO_BINANCE, [{"volume": 1}, {"lastPrice": 1}], fields)
    with pytest.raises(SchemaMismatchError) as caught:
        require_fields(CRYPTO_BINANCE, [{"last_price": "1", "volume": "2"}], fields)
    assert (caught.value.stream, caught.value.column) == ("raw_cryptoprices_binance", "price")
    assert "lastPrice" in caught.value.expected
    assert caught.value.found == "last_price, volume"
