{{ raw_table('raw_stock_prices_yfinance', {
    'ticker': 'text', 'date': 'date', 'open_price': 'number', 'high_price': 'number', 'low_price': 'number',
    'close_price': 'number', 'adj_close_price': 'number', 'volume': 'number', 'dividends': 'number',
    'stock_splits': 'number', 'company_name': 'text', 'sector': 'text', 'industry': 'text', 'market_cap': 'number',
    'pe_ratio': 'number', 'week_52_high': 'number', 'week_52_low': 'number', 'avg_volume': 'number', 'source': 'text',
    'observed_at': 'time',
}, area='prices') }}
