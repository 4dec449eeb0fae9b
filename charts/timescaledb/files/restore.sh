#!/bin/sh
# Restores each dump into a new database <name><suffix> with the owner of the live one; a live database is never touched.
set -eu
[ -n "$SUFFIX" ] || { echo "backup.restoreSuffix is empty: a restore goes beside the live database, not over it" >&2; exit 1; }
run() { psql --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 "$@"; }
for database in $DATABASES; do
  target="$database$SUFFIX"
  owner=$(run -d postgres -c "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '$database'")
  run -d postgres -c "DROP DATABASE IF EXISTS \"$target\" WITH (FORCE)" -c "CREATE DATABASE \"$target\" OWNER \"${owner:-postgres}\" TEMPLATE template0"
  if pg_restore --list "/scratch/$database.dump" | grep -q "EXTENSION - timescaledb"; then
    run -d "$target" -c "CREATE EXTENSION timescaledb" -c "SELECT timescaledb_pre_restore()" >/dev/null
    pg_restore --no-password --exit-on-error --dbname="$target" "/scratch/$database.dump"
    run -d "$target" -c "SELECT timescaledb_post_restore()" >/dev/null
  else
    pg_restore --no-password --exit-on-error --dbname="$target" "/scratch/$database.dump"
  fi
  run -d "$target" -c "REVOKE ALL ON DATABASE \"$target\" FROM PUBLIC" -c "ANALYZE"
  echo "$target: $(run -d "$target" -c "SELECT count(*) FROM information_schema.tables WHERE table_schema IN ('public', 'data_platform')") tables restored"
done
echo "to go live, stop the jobs and rename: ALTER DATABASE stock_data RENAME TO stock_data_old; ALTER DATABASE stock_data$SUFFIX RENAME TO stock_data"
