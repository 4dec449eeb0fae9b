#!/bin/sh
# Fetches the dumps of the backup named by BACKUP, else of the latest one.
set -eu
mc alias set lake "$S3_ENDPOINT" "$S3_ACCESS_KEY" "$S3_SECRET_KEY" >/dev/null
taken=${BACKUP:-$(mc cat "lake/$BUCKET/$PREFIX/LATEST")}
for database in $DATABASES; do
  mc cp --quiet "lake/$BUCKET/$PREFIX/$taken/$database.dump" "/scratch/$database.dump"
done
echo "backup $taken fetched"
