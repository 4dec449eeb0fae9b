#!/bin/bash
# The declared topics are there, and a message that is written is read again.
set -euo pipefail
cd /opt/kafka/bin
present=$(./kafka-topics.sh --bootstrap-server "$BOOTSTRAP" --list)
while read -r name _; do
  grep -qx "$name" <<<"$present" || { echo "topic $name is missing" >&2; exit 1; }
done </config/topics.txt
topic="helm-test-$RANDOM"
./kafka-topics.sh --bootstrap-server "$BOOTSTRAP" --create --topic "$topic" --partitions 1 --replication-factor "$REPLICATION"
echo "helm test" | ./kafka-console-producer.sh --bootstrap-server "$BOOTSTRAP" --topic "$topic"
read_back=$(./kafka-console-consumer.sh --bootstrap-server "$BOOTSTRAP" --topic "$topic" --from-beginning --max-messages 1 --timeout-ms 30000)
./kafka-topics.sh --bootstrap-server "$BOOTSTRAP" --delete --topic "$topic"
[ "$read_back" = "helm test" ]
echo "all declared topics are there; a message went in and came out"
