#!/bin/bash
# Starts one broker: its number is its place in the StatefulSet; storage is formatted once.
set -euo pipefail
node=${HOSTNAME##*-}
config=/tmp/server.properties
{
  cat /config/server.properties
  echo "node.id=$node"
  echo "advertised.listeners=PLAINTEXT://$HOSTNAME.$SERVICE:9092"
} >"$config"
/opt/kafka/bin/kafka-storage.sh format --ignore-formatted --cluster-id "$CLUSTER_ID" --config "$config"
exec /opt/kafka/bin/kafka-server-start.sh "$config"
