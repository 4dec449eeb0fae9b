-- The raw tables (schema public) and the ledger (schema data_platform): the loader owns both, the reader reads both.
-- The first job makes the same schema: both take the lock of the ledger's migrations, which psql gives back as it ends.
SELECT pg_advisory_lock(7461923001);
CREATE EXTENSION IF NOT EXISTS timescaledb;
ALTER SCHEMA public OWNER TO tickvault_loader;
CREATE SCHEMA IF NOT EXISTS data_platform AUTHORIZATION tickvault_loader;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CONNECT ON DATABASE stock_data TO tickvault_reader, tickvault_monitor;
GRANT USAGE ON SCHEMA public, data_platform TO tickvault_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public, data_platform TO tickvault_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE tickvault_loader IN SCHEMA public GRANT SELECT ON TABLES TO tickvault_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE tickvault_loader IN SCHEMA data_platform GRANT SELECT ON TABLES TO tickvault_reader;
