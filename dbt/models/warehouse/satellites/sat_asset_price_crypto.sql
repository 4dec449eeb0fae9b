-- Quotes of four sources and the closed daily bars; source, price_kind and price_date tell the series apart.
{% set quote = {
    'asset_type': "'crypto'", 'price_kind': "'quote'", 'price_date': 'cast(observed_at as date)',
    'open_price': 'null', 'high_price': 'high_24h', 'low_price': 'low_24h',
} %}
{% set bar = {
    'asset_type': "'crypto'", 'price_kind': "'bar'", 'price_date': 'date',
    'open_price': 'open', 'high_price': 'high', 'low_price': 'low', 'price': 'close',
    'price_change_24h': 'null', 'price_change_percent_24h': 'null', 'market_cap': 'null',
} %}

{{ satellite('asset_hk', keys={'asset_type': 'text', 'symbol': 'key'}, observed='observed_at', payload={
    'source': 'text', 'price_kind': 'text', 'price_date': 'date', 'quote_currency': 'text', 'price_unit': 'number',
    'open_price': 'price', 'high_price': 'price', 'low_price': 'price', 'price': 'price', 'volume': 'number',
    'quote_volume': 'number', 'market_cap': 'number', 'price_change_24h': 'price',
    'price_change_percent_24h': 'number',
}, children=[
    'source', 'price_kind', "case when price_kind = 'quote' then observed_at else cast(price_date as timestamp(6)) end",
], sources=[
    {'model': 'raw_cryptoprices_binance', 'columns': quote},
    {'model': 'raw_cryptoprices_coingecko', 'columns': quote},
    {'model': 'raw_cryptoprices_yfinance', 'columns': quote},
    {'model': 'raw_cryptoprices_freecryptoapi', 'columns': quote},
    {'model': 'raw_cryptobars', 'columns': bar},
]) }}
