#!/bin/sh
# Uploads the dumps below <prefix>/<time>/; LATEST is written last, so that it never names half a backup.
set -eu
mc alias set lake "$S3_ENDPOINT" "$S3_ACCESS_KEY" "$S3_SECRET_KEY" >/dev/null
taken=$(date -u +%Y%m%dT%H%M%SZ)
for database in $DATABASES; do
  mc cp --quiet "/scratch/$database.dump" "lake/$BUCKET/$PREFIX/$taken/$database.dump"
done
echo "$taken" >/scratch/LATEST  # a pipe, whose length nobody knows, takes parts of half a gigabyte
mc cp --quiet /scratch/LATEST "lake/$BUCKET/$PREFIX/LATEST"
echo "backup $taken is in $BUCKET/$PREFIX/$taken/"
