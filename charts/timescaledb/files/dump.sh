#!/bin/sh
# Dumps every database into /scratch, each from one snapshot; the upload follows in the next container.
set -eu
for database in $DATABASES; do
  pg_dump --format=custom --no-password --file="/scratch/$database.dump" "$database"
  pg_restore --list "/scratch/$database.dump" >/dev/null
  echo "$database: dumped"
done
