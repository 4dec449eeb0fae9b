"""How much the simulated customers trade."""

from pydantic import Field

from tickvault.core.settings.part import Part


class MarketSettings(Part):
    """How much the simulated customers trade."""

    title = "Simulated market"

    faker_seed: int = Field(20260101, description="Seed of the simulated customers and trades")
    faker_num_customers: int = Field(1000, ge=1, description="Customers")
    faker_num_corporates: int = Field(200, ge=1, description="Corporates")
    faker_num_stock_transactions: int = Field(5000, ge=0, description="Stock trades a day")
    faker_num_crypto_transactions: int = Field(3000, ge=0, description="Crypto trades a day")
    faker_history_share: float = Field(
        0.05, ge=0, le=1, description="Share of a day's trades on each day of the opening history"
    )
