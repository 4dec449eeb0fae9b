"""Asks the simulated Binance for prices, as the source does."""

import json
import os
import urllib.request

url = os.environ["SIMULATOR"] + '/binance/api/v3/ticker/24hr?symbols=["BTCUSDT","ETHUSDT"]'.replace('"', "%22")
with urllib.request.urlopen(url, timeout=30) as answer:
    tickers = json.load(answer)
assert {ticker["symbol"] for ticker in tickers} == {"BTCUSDT", "ETHUSDT"}, tickers
assert all(float(ticker["lastPrice"]) > 0 for ticker in tickers), tickers
print("prices:", {ticker["symbol"]: ticker["lastPrice"] for ticker in tickers})
