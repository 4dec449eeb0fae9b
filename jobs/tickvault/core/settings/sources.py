"""Where the providers are, and what is read of them."""

from pathlib import Path

from pydantic import Field, SecretStr

from tickvault.core.settings.part import Part


class SourceSettings(Part):
    """Where the providers are, and what is read of them."""

    title = "Sources"

    binance_base_url: str = Field("https://api.binance.com", description="Base URL of Binance's REST API")
    coingecko_base_url: str = Field("https://api.coingecko.com", description="Base URL of CoinGecko's REST API")
    coingecko_api_key: SecretStr | None = Field(None, description="Demo key, sent as x-cg-demo-api-key")
    yahoo_base_url: str | None = Field(None, description="Send yfinance's requests to this server instead of Yahoo")
    freecrypto_api: str | None = Field(None, description="Base URL of FreeCryptoAPI; empty switches the source off")
    freecrypto_api_key: SecretStr | None = Field(None, description="Key of FreeCryptoAPI; empty switches it off")
    freecrypto_path: str = Field("/v1/getData", description="Path of FreeCryptoAPI's prices")
    freecrypto_key_header: str = Field(
        "Authorization: Bearer {key}", description="Header that carries the key; {key} stands for it"
    )
    freecrypto_fields: str = Field(
        "rows=symbols,symbol=symbol,price=last,observed_at=date,high_24h=highest,low_24h=lowest,"
        "price_change_percent_24h=daily_change_percentage",
        description="Where FreeCryptoAPI's answer holds what, as column=field pairs; rows names the list",
    )
    news_base_url: str | None = Field(None, description="Base URL of the Karpet news service; empty leaves RSS alone")
    news_rss_urls: str = Field(
        "https://www.coindesk.com/arc/outboundfeeds/rss/,https://cointelegraph.com/rss",
        description="RSS feeds, comma separated; {id} stands for the coin's CoinGecko id",
    )
    news_read_limit: int = Field(10, ge=1, description="Coins to read news for")
    http_contact: str = Field(
        "https://github.com/tickvault/tickvault", description="Contact given in the User-Agent header"
    )
    http_time_budget: float = Field(300.0, gt=0, description="Seconds one run may spend waiting on one provider")
    crypto_symbols: str | None = Field(None, description="Coins to read: a file, or a comma separated list")
    stock_symbols: str | None = Field(None, description="Stocks to read: a file, or a comma separated list")
    seeds_path: Path = Field(Path("seeds"), description="Folder of cryptolist.txt, stocklist.txt and asset_info.csv")
    instances_path: Path = Field(
        Path("instances"), description="Folder of <source>/<instance>.toml, for sources that run several times over"
    )
    source_origin: str = Field("", description="Appended to every row's source; -simulated where the market is")
    history_days: int = Field(400, ge=1, description="Days the first run of a stream or symbol reaches back")
    max_reject_share: float = Field(0.1, ge=0, le=1, description="Share of bad records above which a stream fails")

    @property
    def news_feeds(self) -> tuple[str, ...]:
        """The addresses of ``NEWS_RSS_URLS``."""
        return tuple(url.strip() for url in self.news_rss_urls.split(",") if url.strip())
