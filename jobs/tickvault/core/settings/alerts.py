"""Who hears of alerts."""

from pydantic import Field, SecretStr

from tickvault.core.settings.part import Part


class AlertSettings(Part):
    """Who hears of alerts."""

    title = "Alerts"

    alert_webhook_url: SecretStr | None = Field(
        None, description="Slack or its like, which Alertmanager tells (charts/alertmanager); empty: nobody"
    )
    alert_receiver_url: str = Field("http://localhost:9093", description="The receiver `tickvault alert test` tries")
    alertmanager_url: str | None = Field(
        None, description="The Alertmanager `tickvault alert test` tries; empty: only the way into the table"
    )
