"""The outside world of demos and tests: a market, the people who trade on it, the providers that tell of it."""
