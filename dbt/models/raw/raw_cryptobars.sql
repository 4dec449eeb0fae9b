{{ raw_table('raw_cryptobars', {
    'symbol': 'text', 'source': 'text', 'date': 'date', 'open': 'price', 'high': 'price', 'low': 'price',
    'close': 'price', 'volume': 'number', 'observed_at': 'time',
}, area='prices', added={'quote_currency': 'text', 'price_unit': 'number', 'quote_volume': 'number'}) }}
