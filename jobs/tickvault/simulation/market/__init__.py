"""The simulated market: prices, splits and trading days, by a seed."""
