{{ raw_cryptoprices('freecryptoapi') }}
