#!/bin/sh
# Makes the bucket, its lifecycle, and the users with their policies. Everything may run again: it ends in the same state.
set -eu
attempt=0
until mc alias set lake "$S3_ENDPOINT" "$ROOT_USER" "$ROOT_PASSWORD" >/dev/null 2>&1; do
  attempt=$((attempt + 1))
  [ "$attempt" -lt 90 ] || { echo "no answer from $S3_ENDPOINT within three minutes" >&2; exit 1; }
  sleep 2
done
mc mb --ignore-existing "lake/$BUCKET"
mc ilm rule import "lake/$BUCKET" </init/lifecycle.json
for user in $USERS; do
  variable=$(echo "$user" | tr 'a-z-' 'A-Z_')
  eval "access=\$USER_${variable}_ACCESS secret=\$USER_${variable}_SECRET"
  mc admin user add lake "$access" "$secret"
  mc admin policy create lake "tickvault-$user" "/init/policy-$user.json"
  # Attaching what is attached already is an error to mc, so it is looked up first.
  case "$(mc admin user info lake "$access")" in
    *"tickvault-$user"*) ;;
    *) mc admin policy attach lake "tickvault-$user" --user "$access" ;;
  esac
done
echo "bucket $BUCKET and users $USERS are in place"
