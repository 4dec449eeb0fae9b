{{ hub('asset_hk', {'asset_type': 'text', 'asset_symbol': 'key'}, [
    {'model': 'raw_transaction_personal', 'columns': ['asset_type', 'asset_symbol']},
    {'model': 'raw_transaction_corporate', 'columns': ['asset_type', 'asset_symbol']},
    {'model': 'raw_cryptoprices_binance', 'columns': ["'crypto'", 'symbol']},
    {'model': 'raw_cryptoprices_coingecko', 'columns': ["'crypto'", 'symbol']},
    {'model': 'raw_cryptoprices_yfinance', 'columns': ["'crypto'", 'symbol']},
    {'model': 'raw_cryptoprices_freecryptoapi', 'columns': ["'crypto'", 'symbol']},
    {'model': 'raw_cryptobars', 'columns': ["'crypto'", 'symbol']},
    {'model': 'raw_stockprices_yfinance', 'columns': ["'stock'", 'ticker']},
]) }}
