{{ satellite('asset_hk', keys={'asset_type': 'text', 'ticker': 'key'}, observed='observed_at', payload={
    'source': 'text', 'price_kind': 'text', 'price_date': 'date', 'quote_currency': 'text', 'open_price': 'price',
    'high_price': 'price', 'low_price': 'price', 'price': 'price', 'adj_close_price': 'price', 'volume': 'number',
    'dividends': 'number', 'stock_splits': 'number', 'company_name': 'text', 'sector': 'text', 'industry': 'text', 'market_cap': 'number',
    'pe_ratio': 'number', 'week_52_high': 'price', 'week_52_low': 'price', 'avg_volume': 'number',
    'split_factor': 'price',
}, children=['source', 'price_date'], sources=[
    {'model': 'raw_stockprices_yfinance', 'columns': {
        'asset_type': "'stock'", 'price_kind': "'bar'", 'price_date': 'date', 'price': 'close_price',
    }},
]) }}
