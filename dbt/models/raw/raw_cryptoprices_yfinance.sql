{{ raw_cryptoprices('yfinance') }}
