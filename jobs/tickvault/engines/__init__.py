"""What the platform talks to: PostgreSQL, Snowflake, Trino, the lake's storage, HTTP. Drivers are imported here."""
