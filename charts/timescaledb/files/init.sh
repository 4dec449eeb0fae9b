#!/bin/sh
# Makes databases, roles and rights, at install and at every upgrade; it ends in the same state however often it runs.
set -eu
attempt=0
until psql -d postgres -c "SELECT 1" >/dev/null 2>&1; do
  attempt=$((attempt + 1))
  [ "$attempt" -lt 120 ] || { echo "no answer from $PGHOST within four minutes" >&2; psql -d postgres -c "SELECT 1"; exit 1; }
  sleep 2
done
run() { psql --quiet --set ON_ERROR_STOP=1 "$@"; }
run -d postgres -f /init/roles.sql
run -d stock_data -f /init/stock_data.sql
run -d iceberg -f /init/iceberg.sql
for database in stock_data prefect iceberg; do
  run -d "$database" -c "REVOKE ALL ON DATABASE $database FROM PUBLIC"
done
echo "databases, roles and rights are in place"
