{{ raw_table('raw_cryptobars', {
    'symbol': 'text', 'source': 'text', 'date': 'date', 'open': 'number', 'high': 'number', 'low': 'number',
    'close': 'number', 'volume': 'number', 'observed_at': 'time',
}, area='prices') }}
