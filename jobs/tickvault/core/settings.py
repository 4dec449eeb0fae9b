"""The one place that reads the environment.

Field names are the environment variables of the reference documents, lower case. ``docs/settings.md`` and
``.env.example`` are made from this class (``tickvault settings``), and a test holds them to it.
"""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tickvault.core.errors import ConfigError


class Settings(BaseSettings):
    """Everything that can be set from outside; secrets are ``SecretStr`` and never printed."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    # Lake
    minio_endpoint: str | None = Field(None, description="S3 endpoint URL; empty with LAKE_PATH set uses a folder")
    minio_access_key: SecretStr | None = Field(None, description="S3 access key")
    minio_secret_key: SecretStr | None = Field(None, description="S3 secret key")
    minio_bucket: str = Field("tickvault", description="Bucket of the lake, also the folder's name in LAKE_PATH")
    minio_region: str = Field("us-east-1", description="S3 region")
    lake_path: Path | None = Field(None, description="Keep the lake in this folder instead of S3")

    # PostgreSQL / TimescaleDB
    postgres_host: str = Field("localhost", description="Host, or the folder of a Unix socket")
    postgres_port: int = Field(5432, description="Port")
    postgres_db: str = Field("stock_data", description="Database of the raw tables and the ledger")
    postgres_user: str = Field("tickvault_loader", description="User that loads")
    postgres_password: SecretStr | None = Field(None, description="Password of POSTGRES_USER")

    # Snowflake
    snowflake_account: str | None = Field(None, description="Account identifier; without it nothing loads to Snowflake")
    snowflake_user: str = Field("TICKVAULT_LOADER", description="User that loads")
    snowflake_password: SecretStr | None = Field(None, description="Password; not needed with a private key")
    snowflake_private_key: SecretStr | None = Field(None, description="PEM text of the user's private key")
    snowflake_private_key_path: Path | None = Field(None, description="File with the user's private key")
    snowflake_private_key_passphrase: SecretStr | None = Field(None, description="Passphrase of the private key")
    snowflake_role: str = Field("TICKVAULT_ROLE", description="Role")
    snowflake_warehouse: str = Field("TICKVAULT_WH", description="Virtual warehouse")
    snowflake_database: str = Field("TICKVAULT", description="Database")
    snowflake_schema: str = Field("RAW", description="Schema of the batch tables")
    snowflake_schema_staging: str = Field("STAGING", description="Schema of the price tables")
    snowflake_reader_role: str = Field("TICKVAULT_READER", description="Role that may read what is published")
    snowflake_host: str | None = Field(None, description="Host of the emulator; empty for a real account")
    snowflake_port: int = Field(443, description="Port of SNOWFLAKE_HOST")
    snowflake_protocol: Literal["http", "https"] = Field("https", description="Protocol of SNOWFLAKE_HOST")
    snowflake_network_timeout: int = Field(120, description="Seconds one statement may hang before it is given up")

    # Trino
    trino_host: str | None = Field(None, description="Trino coordinator; empty switches the Trino target off")
    trino_port: int = Field(8080, description="Port of TRINO_HOST")
    trino_user: str = Field("tickvault", description="User that builds and queries")
    trino_password: SecretStr | None = Field(None, description="Password; needs TRINO_SCHEME=https")
    trino_scheme: Literal["http", "https"] = Field("http", description="Protocol of TRINO_HOST")
    trino_lake_catalog: str = Field("lake", description="Iceberg catalogue the warehouse is built in")
    trino_raw_catalog: str = Field("postgres", description="Catalogue through which the raw tables are read")

    # Warehouse
    dbt_project_dir: Path = Field(Path("dbt"), description="Folder of the dbt project")
    dbt_target_path: Path | None = Field(None, description="Folder dbt writes to [default: dbt in TICKVAULT_HOME]")
    dbt_lock_wait_seconds: float = Field(3600.0, ge=0, description="Seconds a build waits for the one before it")
    dbt_settle_seconds: float = Field(
        90.0, ge=0, description="Seconds a build waits at most for reads and loads under way, so that it sees them too"
    )

    # Sources
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

    # Simulated market
    faker_seed: int = Field(20260101, description="Seed of the simulated customers and trades")
    faker_num_customers: int = Field(1000, ge=1, description="Customers")
    faker_num_corporates: int = Field(200, ge=1, description="Corporates")
    faker_num_stock_transactions: int = Field(5000, ge=0, description="Stock trades a day")
    faker_num_crypto_transactions: int = Field(3000, ge=0, description="Crypto trades a day")
    faker_history_share: float = Field(
        0.05, ge=0, le=1, description="Share of a day's trades on each day of the opening history"
    )

    # Runs
    tickvault_slot: str | None = Field(None, description="The slot to run, as 20261120T130000Z or ISO 8601")
    tickvault_schedule: str = Field("0 20 * * *", description="Cron expression a slot is derived from")
    tickvault_timezone: str = Field("Asia/Ho_Chi_Minh", description="Time zone of TICKVAULT_SCHEDULE")
    tickvault_job_name: str | None = Field(None, description="Name of the Kubernetes Job, by the downward API")
    tickvault_clock: datetime | None = Field(None, description="A simulated now, ISO 8601 UTC; for tests and the demo")
    tickvault_home: Path = Field(Path(".tickvault"), description="Folder of the embedded engines' data")
    tickvault_runner: Literal["process", "kubernetes"] = Field("process", description="Where flows start their steps")
    tickvault_namespace: str = Field("tickvault", description="Namespace of the jobs, for the kubernetes runner")
    tickvault_flows_namespace: str | None = Field(
        None, description="Namespace of the flows' pods, where it is not TICKVAULT_NAMESPACE"
    )
    tickvault_build: Literal["off", "snowflake", "trino", "both"] = Field(
        "off", description="Targets a flow asks for a dbt build after its loads"
    )
    flow_retries: int = Field(3, ge=0, description="Further attempts of a flow's step that failed for the moment")
    flow_retry_delay_seconds: float = Field(300.0, ge=0, description="Wait before the first of them; doubles each time")
    flow_retry_delay_max_seconds: float = Field(1800.0, ge=0, description="The longest wait between two attempts")
    step_timeout_seconds: float = Field(3600.0, gt=0, description="The longest a flow's step may take")
    service_drain_seconds: float = Field(
        25.0, ge=0, description="Seconds a service may take to finish its work once it is told to stop"
    )
    tickvault_termination_log: Path | None = Field(None, description="Write a run's outcome as JSON to this file")
    tickvault_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Log level")
    tickvault_log_format: Literal["json", "text"] = Field("json", description="json for machines, text for people")
    lock_wait_seconds: float = Field(30.0, ge=0, description="Seconds a job waits for another one of its name")
    pushgateway_url: str | None = Field(None, description="Prometheus Pushgateway; empty pushes nothing")
    fault_at: str | None = Field(None, description="Test only: end the process with 137 at this named point")

    # Alerts
    alert_webhook_url: SecretStr | None = Field(
        None, description="Where Slack or its like hears of alerts; empty: nobody"
    )
    alert_receiver_url: str = Field("http://localhost:9093", description="The receiver `tickvault alert test` tries")

    @field_validator("tickvault_clock")
    @classmethod
    def _clock_is_utc(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("must name its time zone, for instance 2026-11-20T13:00:00Z")
        return value

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the environment and ``.env``; keyword arguments win.

        Raises:
            ConfigError: A variable has a value that does not fit; every one is named.
        """
        try:
            return cls(**overrides)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
            raise ConfigError(f"settings do not fit: {wrong}") from error

    @property
    def news_feeds(self) -> tuple[str, ...]:
        """The addresses of ``NEWS_RSS_URLS``."""
        return tuple(url.strip() for url in self.news_rss_urls.split(",") if url.strip())

    def postgres_dsn(self) -> str:
        """Return a libpq keyword string for the raw tables' database, with TCP keepalives set.

        A session lock is only worth something if the server notices within seconds that its owner is gone.
        """
        parts = {
            "host": self.postgres_host,
            "port": str(self.postgres_port),
            "dbname": self.postgres_db,
            "user": self.postgres_user,
            "password": self.postgres_password.get_secret_value() if self.postgres_password else None,
            "connect_timeout": "10",
            "keepalives_idle": "10",
            "keepalives_interval": "5",
            "keepalives_count": "3",
            "application_name": "tickvault",
        }
        quoted = {k: v.replace("\\", "\\\\").replace("'", "\\'") for k, v in parts.items() if v is not None}
        return " ".join(f"{k}='{v}'" for k, v in quoted.items())

    def secrets(self) -> list[str]:
        """Return every secret value, for the log's redaction."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return [v.get_secret_value() for v in values if isinstance(v, SecretStr) and v.get_secret_value()]


def export(environment: Mapping[str, str]) -> None:
    """Set variables for this process and those it starts; an empty value counts as not set."""
    os.environ.update(environment)


def environment() -> dict[str, str]:
    """Return this process's variables, for one it starts."""
    return dict(os.environ)


def replace_environment(variables: Mapping[str, str]) -> None:
    """Give this process, a fork, the variables of the process it stands in for."""
    os.environ.clear()
    os.environ.update(variables)
