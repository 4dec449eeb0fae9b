"""One module per source; a module's source is found by its name (``Source.name`` equals the module's)."""
