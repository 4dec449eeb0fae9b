-- Roles and databases. Each database belongs to the one role that builds in it; passwords follow the Secret.
\getenv loader_password LOADER_PASSWORD
\getenv reader_password READER_PASSWORD
\getenv prefect_password PREFECT_PASSWORD
\getenv iceberg_password ICEBERG_PASSWORD
\getenv monitor_password MONITOR_PASSWORD
SELECT format('CREATE ROLE %I LOGIN', role)
FROM unnest(ARRAY['tickvault_loader', 'tickvault_reader', 'tickvault_monitor', 'prefect', 'iceberg']) AS role
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role)
\gexec
-- Statements with a password stay out of the server's log.
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
ALTER ROLE tickvault_loader PASSWORD :'loader_password';
ALTER ROLE tickvault_reader PASSWORD :'reader_password';
ALTER ROLE tickvault_monitor PASSWORD :'monitor_password';
ALTER ROLE prefect PASSWORD :'prefect_password';
ALTER ROLE iceberg PASSWORD :'iceberg_password';
RESET log_statement;
RESET log_min_error_statement;
RESET log_min_duration_statement;
ALTER ROLE tickvault_reader SET default_transaction_read_only = on;
ALTER ROLE tickvault_reader SET search_path = public, marts, semantic;
GRANT pg_monitor TO tickvault_monitor;
SELECT format('CREATE DATABASE %I OWNER %I', name, owner)
FROM (VALUES ('stock_data', 'tickvault_loader'), ('prefect', 'prefect'), ('iceberg', 'iceberg')) AS wanted (name, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name)
\gexec
