#!/bin/sh
# The loader builds a hypertable and fills it, the reader reads it and may not write: what the platform rests on.
set -eu
as() { user=$1 password=$2; shift 2; PGUSER=$user PGPASSWORD=$password psql --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 -d stock_data "$@"; }
as tickvault_loader "$LOADER_PASSWORD" \
  -c "DROP TABLE IF EXISTS public.helm_test" \
  -c "CREATE TABLE public.helm_test (at timestamptz NOT NULL, price numeric(38, 10) NOT NULL)" \
  -c "SELECT create_hypertable('public.helm_test', 'at')" \
  -c "INSERT INTO public.helm_test SELECT timestamptz '2026-01-01' + n * interval '1 hour', n FROM generate_series(1, 100) AS n" >/dev/null
rows=$(as tickvault_reader "$READER_PASSWORD" -c "SELECT count(*) FROM public.helm_test")
[ "$rows" = 100 ] || { echo "the reader sees $rows of 100 rows" >&2; exit 1; }
if as tickvault_reader "$READER_PASSWORD" -c "SET default_transaction_read_only = off" -c "DELETE FROM public.helm_test" >/dev/null 2>&1; then
  echo "the reader could delete" >&2
  exit 1
fi
as tickvault_loader "$LOADER_PASSWORD" -c "DROP TABLE public.helm_test"
tables=$(PGUSER=iceberg PGPASSWORD=$ICEBERG_PASSWORD psql -tA -d iceberg -c "SELECT count(*) FROM information_schema.tables WHERE table_name LIKE 'iceberg_%'")
[ "$tables" = 2 ] || { echo "Iceberg's catalogue has $tables of its 2 tables" >&2; exit 1; }
echo "the loader writes, the reader only reads, Iceberg's catalogue is in place"
