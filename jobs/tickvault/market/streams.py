"""Every stream the platform knows: names, columns and lake prefixes as the reference has them.

A source names the streams it fills; a sink creates its tables from them. The eight common columns of a price table
come first and in the reference's order, what a single source adds follows and is nullable.
"""

import pyarrow as pa

from tickvault.core.stream import INSTANT, MONEY, PRICE, Area, Stream, address, amount, price, required

TEXT = pa.string()

_TRANSACTION = pa.schema(
    [
        required("transaction_id", TEXT),
        required("customer_id", TEXT),  # who trades: a person, or in the corporate table the company
        required("customer_type", TEXT),  # personal | corporate
        pa.field("company_id", TEXT),  # null for persons
        required("asset_type", TEXT),  # stock | crypto
        required("asset_symbol", TEXT),
        required("transaction_type", TEXT),  # buy | sell
        amount("quantity", nullable=False),
        amount("price_per_unit", nullable=False),
        amount("transaction_amount", nullable=False),
        amount("fee_amount", nullable=False),
        required("currency", TEXT),
        required("transaction_timestamp", INSTANT),
    ]
)

_CUSTOMER = pa.schema(
    [
        required("customer_id", TEXT),
        required("first_name", TEXT),
        required("last_name", TEXT),
        pa.field("email", TEXT),
        pa.field("phone", TEXT),
        pa.field("date_of_birth", pa.date32()),
        pa.field("address", TEXT),
        pa.field("city", TEXT),
        required("country", TEXT),  # ISO 3166-1 alpha-2
        required("tier", TEXT),  # bronze | silver | gold | platinum
        required("risk_tolerance", TEXT),  # low | medium | high
        pa.field("company_id", TEXT),  # employer, null for most
        required("created_at", INSTANT),
        required("updated_at", INSTANT),
    ]
)

_CORPORATE = pa.schema(
    [
        required("company_id", TEXT),
        required("company_name", TEXT),
        pa.field("industry", TEXT),
        required("country", TEXT),
        pa.field("city", TEXT),
        pa.field("website", TEXT),
        pa.field("contact_email", TEXT),
        pa.field("employee_count", pa.int64()),
        amount("annual_revenue"),
        required("tier", TEXT),
        required("risk_tolerance", TEXT),
        required("created_at", INSTANT),
        required("updated_at", INSTANT),
    ]
)

_NEWS = pa.schema(
    [
        required("cryptocurrency", TEXT),
        address("url"),
        required("title", TEXT),
        pa.field("description", TEXT),
        pa.field("date", INSTANT),
        pa.field("image", TEXT),
        required("source", TEXT),
        required("observed_at", INSTANT),
    ]
)

_CRYPTO_PRICE = pa.schema(
    [
        required("symbol", TEXT),
        required("base_currency", TEXT),
        required("quote_currency", TEXT),
        price("price", nullable=False),
        amount("volume"),  # in units of the base; null where the provider gives it in the quote currency alone
        required("source", TEXT),
        required("observed_at", INSTANT),
        pa.field("price_change_24h", PRICE),
        pa.field("price_change_percent_24h", MONEY),
        price("high_24h"),
        price("low_24h"),
        amount("market_cap"),
        amount("price_unit"),  # how many of the base the provider quotes for (1000SATS: 1000); prices here are for one
        amount("quote_volume"),  # in the quote currency, as the provider gives it
    ]
)

_BAR = pa.schema(
    [
        required("symbol", TEXT),
        required("source", TEXT),
        required("date", pa.date32()),
        price("open", nullable=False),
        price("high", nullable=False),
        price("low", nullable=False),
        price("close", nullable=False),
        amount("volume"),
        required("observed_at", INSTANT),
        pa.field("quote_currency", TEXT),
        amount("price_unit"),
        amount("quote_volume"),
    ]
)

_STOCK_PRICE = pa.schema(
    [
        required("ticker", TEXT),
        required("date", pa.date32()),
        price("open_price"),
        price("high_price"),
        price("low_price"),
        price("close_price", nullable=False),
        price("adj_close_price"),
        amount("volume"),
        amount("dividends"),
        amount("stock_splits"),
        pa.field("company_name", TEXT),
        pa.field("sector", TEXT),
        pa.field("industry", TEXT),
        amount("market_cap"),
        pa.field("pe_ratio", MONEY),
        price("week_52_high"),
        price("week_52_low"),
        amount("avg_volume"),
        required("source", TEXT),
        required("observed_at", INSTANT),
        pa.field("quote_currency", TEXT),  # as quoted: GBp is a penny, and a price of 1100.50 GBp is 11.005 GBP
        pa.field("split_factor", PRICE),  # prices x this = as traded: of the later splits that the reading knew
    ]
)


def _crypto_price(source: str) -> Stream:
    return Stream(
        name=f"raw_cryptoprices_{source}",
        schema=_CRYPTO_PRICE,
        primary_key=("symbol", "observed_at"),
        cursor_field="observed_at",
        lake_path=f"raw-data/crypto/{source}",
        warehouse_table=f"RAW_CRYPTOPRICES_{source.upper()}",
        area=Area.PRICES,
    )


def _crypto_bars(source: str) -> Stream:
    return Stream(
        name="raw_cryptobars",
        schema=_BAR,
        primary_key=("symbol", "source", "date"),
        cursor_field="observed_at",
        lake_path=f"raw-data/crypto/{source}/bars",
        warehouse_table="RAW_CRYPTOBARS",
        area=Area.PRICES,
        version_field="date",
    )


TRANSACTIONS_PERSONAL = Stream(
    name="raw_transactions_personal",
    schema=_TRANSACTION,
    primary_key=("transaction_id",),
    cursor_field="transaction_timestamp",
    lake_path="raw-data/transactions/personal",
    warehouse_table="RAW_TRANSACTIONS",
    area=Area.BATCH,
)
TRANSACTIONS_CORPORATE = Stream(
    name="raw_transactions_corporate",
    schema=_TRANSACTION,
    primary_key=("transaction_id",),
    cursor_field="transaction_timestamp",
    lake_path="raw-data/transactions/corporate",
    warehouse_table="RAW_TRANSACTIONS",
    area=Area.BATCH,
)
CUSTOMERS = Stream(
    name="raw_customers",
    schema=_CUSTOMER,
    primary_key=("customer_id", "updated_at"),
    cursor_field="updated_at",
    lake_path="raw-data/customers",
    warehouse_table="RAW_CUSTOMERS",
    area=Area.BATCH,
)
CORPORATES = Stream(
    name="raw_corporates",
    schema=_CORPORATE,
    primary_key=("company_id", "updated_at"),
    cursor_field="updated_at",
    lake_path="raw-data/corporates",
    warehouse_table="RAW_CORPORATES",
    area=Area.BATCH,
)
NEWS = Stream(
    name="raw_news",
    schema=_NEWS,
    primary_key=("cryptocurrency", "url"),
    cursor_field="observed_at",
    lake_path="raw-data/crypto_news",
    warehouse_table="RAW_NEWS",
    area=Area.BATCH,
)
CRYPTO_BINANCE = _crypto_price("binance")
CRYPTO_COINGECKO = _crypto_price("coingecko")
CRYPTO_YFINANCE = _crypto_price("yfinance")
CRYPTO_FREECRYPTOAPI = _crypto_price("freecryptoapi")
BARS_BINANCE = _crypto_bars("binance")
BARS_YFINANCE = _crypto_bars("yfinance")
STOCK_YFINANCE = Stream(
    name="raw_stock_prices_yfinance",
    schema=_STOCK_PRICE,
    primary_key=("ticker", "date"),
    cursor_field="observed_at",
    lake_path="raw-data/stock/yfinance",
    warehouse_table="RAW_STOCK_PRICES_YFINANCE",
    area=Area.PRICES,
    version_field="date",
)

ALL: tuple[Stream, ...] = (
    TRANSACTIONS_PERSONAL,
    TRANSACTIONS_CORPORATE,
    CUSTOMERS,
    CORPORATES,
    NEWS,
    CRYPTO_BINANCE,
    CRYPTO_COINGECKO,
    CRYPTO_YFINANCE,
    CRYPTO_FREECRYPTOAPI,
    BARS_BINANCE,
    BARS_YFINANCE,
    STOCK_YFINANCE,
)
