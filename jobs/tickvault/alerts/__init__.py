"""What fires: the history of Prometheus's alerts, and a test of their way."""
