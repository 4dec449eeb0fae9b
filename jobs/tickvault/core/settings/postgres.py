"""Where PostgreSQL is."""

from pydantic import Field, SecretStr

from tickvault.core.settings.part import Part


class PostgresSettings(Part):
    """Where PostgreSQL is."""

    title = "PostgreSQL / TimescaleDB"

    postgres_host: str = Field("localhost", description="Host, or the folder of a Unix socket")
    postgres_port: int = Field(5432, description="Port")
    postgres_db: str = Field("stock_data", description="Database of the raw tables and the ledger")
    postgres_user: str = Field("tickvault_loader", description="User that loads")
    postgres_password: SecretStr | None = Field(None, description="Password of POSTGRES_USER")
    postgres_reader_user: str | None = Field(
        None, description="User that queries and exports and may only read; empty: POSTGRES_USER does"
    )
    postgres_reader_password: SecretStr | None = Field(None, description="Password of POSTGRES_READER_USER")

    def postgres_dsn(self, *, reader: bool = False) -> str:
        """Return a libpq keyword string for the raw tables' database, with TCP keepalives set.

        A session lock is only worth something if the server notices within seconds that its owner is gone.

        Args:
            reader: Whether it is for who only reads.
        """
        reads = reader and self.postgres_reader_user is not None
        password = self.postgres_reader_password if reads else self.postgres_password
        parts = {
            "host": self.postgres_host,
            "port": str(self.postgres_port),
            "dbname": self.postgres_db,
            "user": self.postgres_reader_user if reads else self.postgres_user,
            "password": password.get_secret_value() if password else None,
            "connect_timeout": "10",
            "keepalives_idle": "10",
            "keepalives_interval": "5",
            "keepalives_count": "3",
            "application_name": "tickvault",
        }
        quoted = {k: v.replace("\\", "\\\\").replace("'", "\\'") for k, v in parts.items() if v is not None}
        return " ".join(f"{k}='{v}'" for k, v in quoted.items())
