"""One module per source; each is found by its name."""
