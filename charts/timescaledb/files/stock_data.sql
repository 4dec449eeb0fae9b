-- The raw tables (schema public), the ledger (schema data_platform) and what a build publishes here (marts, semantic): the
-- loader owns them, the reader reads them. What is built aside (vault, build_marts, ...) the loader makes, for itself alone.
-- The first job makes the same schema: both take the lock of the ledger's migrations, which psql gives back as it ends.
SELECT pg_advisory_lock(7461923001);
CREATE EXTENSION IF NOT EXISTS timescaledb;
ALTER SCHEMA public OWNER TO tickvault_loader;
CREATE SCHEMA IF NOT EXISTS data_platform AUTHORIZATION tickvault_loader;
CREATE SCHEMA IF NOT EXISTS marts AUTHORIZATION tickvault_loader;
CREATE SCHEMA IF NOT EXISTS semantic AUTHORIZATION tickvault_loader;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CONNECT ON DATABASE stock_data TO tickvault_reader, tickvault_monitor;
GRANT USAGE ON SCHEMA public, data_platform, marts, semantic TO tickvault_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public, data_platform, marts, semantic TO tickvault_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE tickvault_loader IN SCHEMA public, data_platform, marts, semantic
    GRANT SELECT ON TABLES TO tickvault_reader;
