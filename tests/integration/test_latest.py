"""``tickvault latest``: the newest price that passed, and its change, from the marts where they are, else as loaded."""

import json
from datetime import UTC, date, datetime

import pytest
from click.testing import CliRunner

from tickvault.cli import root
from tickvault.core.errors import ConfigError
from tickvault.engines.postgres.connection import Connection
from tickvault.query.latest import latest

QUOTES = """CREATE TABLE {name} (symbol text, base_currency text, quote_currency text, price numeric(38,18),
    source text, observed_at timestamptz)"""


@pytest.fixture
def database(postgres_database):
    with Connection.to(postgres_database, "here") as owner:
        yield owner
        for schema, table in owner.rows(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'marts')"
        ):
            owner.run(f"DROP TABLE {schema}.{table}")


@pytest.fixture
def loaded(database):
    for name in ("raw_cryptoprices_binance", "raw_cryptoprices_coingecko"):
        database.run(QUOTES.format(name=name))
    database.run(
        """CREATE TABLE raw_cryptobars (symbol text, source text, date date, close numeric(38,18), quote_currency text,
        observed_at timestamptz)"""
    )
    database.run(
        """CREATE TABLE raw_stock_prices_yfinance (ticker text, date date, close_price numeric(38,18),
        stock_splits numeric(38,10), split_factor numeric(38,18), source text, quote_currency text,
        observed_at timestamptz)"""
    )
    database.run(
        """INSERT INTO raw_cryptoprices_coingecko VALUES
        ('BTC', 'BTC', 'USD', 90, 'coingecko', '2026-11-17 23:00+00'), ('BTC', 'BTC', 'USD', 99, 'coingecko',
        '2026-11-18 13:00+00'), ('PEPE', 'PEPE', 'USD', 0.00000521, 'coingecko', '2026-11-18 13:00+00')"""
    )
    database.run(
        """INSERT INTO raw_cryptoprices_binance VALUES
        ('BTC', 'BTC', 'USDT', 98, 'binance', '2026-11-18 13:00+00')"""
    )
    database.run(
        """INSERT INTO raw_stock_prices_yfinance VALUES
        ('COST', '2026-11-14', 800, 0, 1, 'yfinance', 'USD', '2026-11-14 21:00+00'),
        ('COST', '2026-11-17', 237, 0, 4, 'yfinance', 'USD', '2026-11-17 21:00+00'),
        ('COST', '2026-11-18', 241.74, 4, 1, 'yfinance', 'USD', '2026-11-18 21:00+00'),
        ('LATE', '2026-11-17', 948, 0, 1, 'yfinance', 'USD', '2026-11-17 21:00+00'),
        ('LATE', '2026-11-18', 241.74, 4, 1, 'yfinance', 'USD', '2026-11-18 21:00+00')"""
    )


def test_raw_tables_answer_where_nothing_is_published(loaded, make_settings, postgres_settings):
    assert loaded is None
    found = latest(make_settings(**postgres_settings), ["cost", "BTC", "LATE", "PEPE", "BTC"])
    assert [(p.symbol, p.currency, p.source, p.since, p.change_percent) for p in found] == [
        ("COST", "USD", "yfinance", date(2026, 11, 17), 2.0),  # read again after the split: 241.74 / 237
        ("BTC", "USD", "coingecko", date(2026, 11, 17), 10.0),
        ("LATE", "USD", "yfinance", date(2026, 11, 17), 2.0),  # read before it: 4 x 241.74 / 948
        ("PEPE", "USD", "coingecko", None, None),
    ]
    assert found[1].observed_at == datetime(2026, 11, 18, 13, tzinfo=UTC)


def test_a_raw_table_of_before_without_the_factor_is_taken_as_read_again(
    loaded, database, make_settings, postgres_settings
):
    assert loaded is None
    database.run("ALTER TABLE raw_stock_prices_yfinance DROP COLUMN split_factor")
    assert latest(make_settings(**postgres_settings), ["COST"])[0].change_percent == 2.0


def test_what_is_published_goes_before_and_without_what_is_suspect(loaded, database, make_settings, postgres_settings):
    assert loaded is None
    database.run("CREATE SCHEMA IF NOT EXISTS marts")
    database.run(
        """CREATE TABLE marts.fct_asset_prices (asset_symbol text, asset_type text, source text, quote_currency text,
        is_usd boolean, close_price numeric(38,18), share_factor float8, price_date date, observed_at timestamp,
        dq_status text)"""
    )
    database.run(
        """INSERT INTO marts.fct_asset_prices VALUES
        ('BTC', 'crypto', 'binance', 'USDT', true, 80, 1, '2026-11-17', '2026-11-17 23:59', 'passed'),
        ('BTC', 'crypto', 'coingecko', 'USD', true, 88, 1, '2026-11-18', '2026-11-18 13:00', 'passed'),
        ('BTC', 'crypto', 'coingecko', 'USD', true, 8888, 1, '2026-11-18', '2026-11-18 14:00', 'suspect'),
        ('COST', 'stock', 'yfinance', 'USD', true, 948, 1, '2026-11-17', '2026-11-17 21:00', 'passed'),
        ('COST', 'stock', 'yfinance', 'USD', true, 241.74, 4, '2026-11-18', '2026-11-18 21:00', 'passed'),
        ('ADA', 'crypto', 'binance', 'EUR', false, 1, 1, '2026-11-17', '2026-11-17 21:00', 'passed'),
        ('ADA', 'crypto', 'binance', 'USD', true, 2, 1, '2026-11-18', '2026-11-18 21:00', 'passed')"""
    )
    found = latest(make_settings(**postgres_settings), [])
    assert [(p.symbol, float(p.price), p.change_percent) for p in found] == [
        ("ADA", 2.0, None),  # euros are nothing to compare dollars with
        ("BTC", 88.0, 10.0),
        ("COST", 241.74, 2.0),
    ]


def test_an_unknown_symbol_gets_near_ones_and_nothing_at_all_a_way_out(
    loaded, database, make_settings, postgres_settings
):
    assert loaded is None
    settings = make_settings(**postgres_settings)
    with pytest.raises(ConfigError, match="'BTX': did you mean 'BTC'"):
        latest(settings, ["BTX", "COST"])
    with pytest.raises(ConfigError, match="no symbol is near"):
        latest(settings, ["'; drop table raw_cryptobars; --"])
    for table in (
        "raw_cryptoprices_binance",
        "raw_cryptoprices_coingecko",
        "raw_cryptobars",
        "raw_stock_prices_yfinance",
    ):
        database.run(f"DROP TABLE {table}")
    with pytest.raises(ConfigError, match="there are no prices yet"):
        latest(settings, ["BTC"])


def test_the_command_says_age_and_change(loaded, postgres_settings, monkeypatch):
    assert loaded is None
    for name, value in postgres_settings.items():
        monkeypatch.setenv(name.upper(), value)
    monkeypatch.setenv("TICKVAULT_CLOCK", "2026-11-18T15:30:00+00:00")
    shown = CliRunner().invoke(root, ["latest", "BTC", "PEPE"]).output
    assert "+10.00 %" in shown and "2 h 30 min" in shown and "2026-11-18 13:00:00" in shown and "0.00000521" in shown
    (told,) = json.loads(CliRunner().invoke(root, ["latest", "BTC", "--json"]).output)
    assert told["age_seconds"] == 9000 and told["price"].startswith("99.000") and told["currency"] == "USD"
