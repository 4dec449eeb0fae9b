{{ raw_table('raw_stock_prices_yfinance', {
    'ticker': 'text', 'date': 'date', 'open_price': 'price', 'high_price': 'price', 'low_price': 'price',
    'close_price': 'price', 'adj_close_price': 'price', 'volume': 'number', 'dividends': 'number',
    'stock_splits': 'number', 'company_name': 'text', 'sector': 'text', 'industry': 'text', 'market_cap': 'number',
    'pe_ratio': 'number', 'week_52_high': 'price', 'week_52_low': 'price', 'avg_volume': 'number', 'source': 'text',
    'observed_at': 'time',
}, area='prices', added={'quote_currency': 'text', 'split_factor': 'price'}) }}
