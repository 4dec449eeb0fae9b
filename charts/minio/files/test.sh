#!/bin/sh
# As the jobs' own user: write, read and delete below the first prefix it owns; a prefix it does not own must stay closed.
set -eu
mc alias set lake "$S3_ENDPOINT" "$JOBS_ACCESS" "$JOBS_SECRET" >/dev/null
object="lake/$BUCKET/$OWN_PREFIX/.helm-test"
echo "helm test" >/tmp/object  # a pipe, whose length nobody knows, takes parts of half a gigabyte
mc cp --quiet /tmp/object "$object" >/dev/null
[ "$(mc cat "$object")" = "helm test" ]
mc rm --quiet "$object" >/dev/null
echo "write, read and delete below $OWN_PREFIX/: ok"
if mc cp --quiet /tmp/object "lake/$BUCKET/not-yours/.helm-test" >/dev/null 2>&1; then
  echo "the user could write to not-yours/, which no policy allows" >&2
  exit 1
fi
echo "writing elsewhere is refused: ok"
