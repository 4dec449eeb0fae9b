"""Which series of an asset is the one to use; what its indicators are is in test_formulas.py."""

from warehouse import Dbt


def test_one_series_of_an_asset_is_primary(snowflake_dbt: Dbt) -> None:
    primary = snowflake_dbt.warehouse.query(
        "SELECT asset_type, source, count(DISTINCT asset_hk) FROM build_marts.fct_asset_indicators WHERE is_primary "
        "GROUP BY asset_type, source ORDER BY asset_type"
    )
    assert primary == [("crypto", "binance", 7), ("stock", "yfinance", 9)]
    twice = "SELECT asset_hk, price_date FROM build_marts.fct_asset_indicators WHERE is_primary GROUP BY 1, 2"
    assert snowflake_dbt.warehouse.query(f"{twice} HAVING count(*) > 1") == []
