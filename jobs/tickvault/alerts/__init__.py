"""Alerts: taken from Prometheus, kept in ``data_platform.alert_history``, and told to a webhook once."""
