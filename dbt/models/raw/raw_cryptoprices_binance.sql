{{ raw_cryptoprices('binance') }}
