"""One module per sink; each is found by its name."""
