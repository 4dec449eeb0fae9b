{{ raw_cryptoprices('coingecko') }}
