"""The simulated customers and companies, and what they trade: every row a pure function of (seed, day, index)."""
