"""A deterministic market and an HTTP server that speaks the wire formats of the platform's sources."""
