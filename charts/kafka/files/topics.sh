#!/bin/bash
# Brings the topics to what the values declare: each line of topics.txt is name, partitions, settings. It may run again.
set -euo pipefail
cd /opt/kafka/bin
for _ in $(seq 60); do
  ./kafka-broker-api-versions.sh --bootstrap-server "$BOOTSTRAP" >/dev/null 2>&1 && break
  sleep 3
done
while read -r name partitions settings; do
  ./kafka-topics.sh --bootstrap-server "$BOOTSTRAP" --create --if-not-exists --topic "$name" --partitions "$partitions" --replication-factor "$REPLICATION"
  ./kafka-configs.sh --bootstrap-server "$BOOTSTRAP" --alter --entity-type topics --entity-name "$name" --add-config "$settings"
  described=$(./kafka-topics.sh --bootstrap-server "$BOOTSTRAP" --describe --topic "$name")
  [[ $described =~ PartitionCount:[[:space:]]*([0-9]+) ]]
  if [ "${BASH_REMATCH[1]}" -lt "$partitions" ]; then
    ./kafka-topics.sh --bootstrap-server "$BOOTSTRAP" --alter --topic "$name" --partitions "$partitions"
  fi
done </config/topics.txt
