"""The streams carry the reference's names, columns and prefixes."""

import pyarrow as pa
import pytest

from tickvault.core.errors import ConfigError
from tickvault.core.stream import Area, Stream
from tickvault.engines.snowflake.tables import Names, create_table
from tickvault.market import streams

PREFIXES = {
    "raw_transactions_personal": {"raw-data/transactions/personal"},
    "raw_transactions_corporate": {"raw-data/transactions/corporate"},
    "raw_customers": {"raw-data/customers"},
    "raw_corporates": {"raw-data/corporates"},
    "raw_news": {"raw-data/crypto_news"},
    "raw_cryptoprices_binance": {"raw-data/crypto/binance"},
    "raw_cryptoprices_coingecko": {"raw-data/crypto/coingecko"},
    "raw_cryptoprices_yfinance": {"raw-data/crypto/yfinance"},
    "raw_cryptoprices_freecryptoapi": {"raw-data/crypto/freecryptoapi"},
    "raw_cryptobars": {"raw-data/crypto/binance/bars", "raw-data/crypto/yfinance/bars"},
    "raw_stock_prices_yfinance": {"raw-data/stock/yfinance"},
}
PRICE = ["symbol", "base_currency", "quote_currency", "price", "volume", "source", "observed_at"]
PRICE_EXTRA = [
    "price_change_24h",
    "price_change_percent_24h",
    "high_24h",
    "low_24h",
    "market_cap",
    "price_unit",
    "quote_volume",
]
STOCK = [
    "ticker",
    "date",
    "open_price",
    "high_price",
    "low_price",
    "close_price",
    "adj_close_price",
    "volume",
    "dividends",
    "stock_splits",
    "company_name",
    "sector",
    "industry",
    "market_cap",
    "pe_ratio",
    "week_52_high",
    "week_52_low",
    "avg_volume",
    "source",
    "observed_at",
]
STOCK_EXTRA = ["quote_currency", "split_factor"]


def test_tables_and_prefixes():
    found: dict[str, set[str]] = {}
    for stream in streams.ALL:
        found.setdefault(stream.name, set()).add(stream.lake_path)
    assert found == PREFIXES


def test_columns_of_the_reference_in_its_order():
    for stream in streams.ALL:
        if stream.name.startswith("raw_cryptoprices_"):
            assert stream.schema.names == PRICE + PRICE_EXTRA
            assert all(stream.schema.field(n).nullable for n in PRICE_EXTRA)
    assert streams.STOCK_YFINANCE.schema.names == STOCK + STOCK_EXTRA
    assert streams.NEWS.schema.names[:6] == ["cryptocurrency", "url", "title", "description", "date", "image"]


def test_both_transaction_streams_fill_one_snowflake_table_told_apart_by_customer_type():
    pair = (streams.TRANSACTIONS_PERSONAL, streams.TRANSACTIONS_CORPORATE)
    assert {s.warehouse_table for s in pair} == {"RAW_TRANSACTIONS"}
    assert pair[0].schema.equals(pair[1].schema)
    assert not pair[0].schema.field("customer_type").nullable


def test_a_price_is_the_references_eight_columns_then_what_a_source_adds():
    columns = streams.CRYPTO_BINANCE.table_columns
    added = ("row_version", "package_id", "last_seen_version")
    assert columns == (*PRICE, "load_timestamp", *PRICE_EXTRA, *added)
    assert streams.STOCK_YFINANCE.table_columns == (*STOCK, "load_timestamp", *STOCK_EXTRA, *added)
    lineage = ("row_version", "package_id", "load_timestamp", "last_seen_version")
    assert streams.CUSTOMERS.table_columns[-4:] == lineage


def test_snowflakes_names_are_in_upper_case(make_settings):
    settings = make_settings(snowflake_database="db", snowflake_schema="raw", snowflake_schema_staging="staging")
    assert Names.of(settings) == Names("DB", "RAW", "STAGING")
    created = create_table(Names.of(settings), streams.CRYPTO_BINANCE)
    assert created.startswith("CREATE TABLE IF NOT EXISTS DB.STAGING.RAW_CRYPTOPRICES_BINANCE (symbol ")
    assert "observed_at TIMESTAMP_NTZ NOT NULL, load_timestamp TIMESTAMP_NTZ NOT NULL, price_change_24h" in created


@pytest.mark.parametrize(
    ("field", "said"),
    [(pa.field("x", pa.uint64()), "uint64"), (pa.field("x", pa.decimal256(50, 2)), "decimal256"),
     (pa.field("x", pa.timestamp("ns")), "timestamp"), (pa.field("package_id", pa.string()), "adds itself")],
)  # fmt: skip
def test_what_no_sink_may_store_is_refused_at_once(field, said):
    schema = pa.schema([pa.field("k", pa.string()), field])
    with pytest.raises(ConfigError, match=said):
        Stream("raw_x", schema, ("k",), None, "raw-data/x", "RAW_X", Area.BATCH)
