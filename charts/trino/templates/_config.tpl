{{- define "trino.config" -}}
config.properties: |
  coordinator=true
  node-scheduler.include-coordinator=true
  http-server.http.port=8080
  discovery.uri=http://localhost:8080
  catalog.management=static
  query.max-memory={{ .Values.queryMaxMemory }}
  query.max-memory-per-node={{ .Values.queryMaxMemory }}
  query.min-expire-age=10m
  query.max-history=200
  {{- if .Values.existingAuthSecret }}
  http-server.process-forwarded=true
  http-server.authentication.type=PASSWORD
  # Inside the cluster, where the network policy names who may come, jobs give a user and no password.
  http-server.authentication.allow-insecure-over-http=true
  internal-communication.shared-secret=${ENV:SHARED_SECRET}
  {{- end }}
node.properties: |
  node.environment=tickvault
  node.data-dir=/data/trino
  plugin.dir=/usr/lib/trino/plugin
log.properties: |
  io.trino=INFO
  io.airlift=WARN
jvm.config: |
  -server
  -Xmx{{ .Values.heap }}
  -XX:+UseG1GC
  -XX:G1HeapRegionSize=8M
  -XX:+ExplicitGCInvokesConcurrent
  -XX:+ExitOnOutOfMemoryError
  -XX:-OmitStackTraceInFastThrow
  -XX:ReservedCodeCacheSize=192M
  -Djdk.attach.allowAttachSelf=true
  -Djdk.nio.maxCachedBufferSize=2000000
  -Dfile.encoding=UTF-8
  --enable-native-access=ALL-UNNAMED
access-control.properties: |
  access-control.name=file
  security.config-file=/etc/trino/rules.json
rules.json: {{ include "trino.rules" . | fromYaml | toPrettyJson | toJson }}
{{- if .Values.existingAuthSecret }}
password-authenticator.properties: |
  password-authenticator.name=file
  file.password-file=/auth/password.db
{{- end }}
{{- end }}

{{/* Only writers write, and only to lake; the first rule that fits decides. */}}
{{- define "trino.rules" -}}
catalogs:
  - {user: {{ join "|" .Values.writers | quote }}, catalog: lake, allow: all}
  - {catalog: system, allow: all}
  - {allow: read-only}
system_information:
  # Prometheus reads /metrics.
  - {user: prometheus, allow: [read]}
{{- end }}

{{- define "trino.catalogs" -}}
{{- with .Values.catalogs.postgres }}{{ if .enabled }}
postgres.properties: |
  connector.name=postgresql
  connection-url=jdbc:postgresql://{{ include "common.postgres.host" $ }}:{{ include "common.postgres.port" $ }}/{{ .database }}?sslmode={{ include "common.postgres.sslmode" $ }}
  connection-user={{ .user }}
  connection-password=${ENV:POSTGRES_PASSWORD}
  decimal-mapping=ALLOW_OVERFLOW
  decimal-default-scale=10
{{- end }}{{ end }}
{{- with .Values.catalogs.lake }}{{ if .enabled }}
lake.properties: |
  connector.name=iceberg
  iceberg.catalog.type=jdbc
  iceberg.jdbc-catalog.catalog-name=lake
  iceberg.jdbc-catalog.driver-class=org.postgresql.Driver
  iceberg.jdbc-catalog.connection-url=jdbc:postgresql://{{ include "common.postgres.host" $ }}:{{ include "common.postgres.port" $ }}/{{ .database }}?sslmode={{ include "common.postgres.sslmode" $ }}
  iceberg.jdbc-catalog.connection-user={{ .user }}
  iceberg.jdbc-catalog.connection-password=${ENV:ICEBERG_PASSWORD}
  iceberg.jdbc-catalog.default-warehouse-dir=s3://{{ include "common.s3.bucket" $ }}/{{ .prefix }}
  iceberg.compression-codec=ZSTD
  fs.native-s3.enabled=true
  s3.endpoint={{ include "common.s3.endpoint" $ }}
  s3.region={{ include "common.s3.region" $ }}
  s3.path-style-access=true
  s3.aws-access-key=${ENV:S3_ACCESS_KEY}
  s3.aws-secret-key=${ENV:S3_SECRET_KEY}
{{- end }}{{ end }}
{{- with .Values.catalogs.kafka }}{{ if .enabled }}
kafka.properties: |
  connector.name=kafka
  kafka.nodes={{ include "common.kafka.bootstrap" $ }}
  kafka.default-schema=default
  kafka.hide-internal-columns=false
  kafka.table-names={{ join "," .topics }}
{{- end }}{{ end }}
{{- if .Values.catalogs.tpch.enabled }}
tpch.properties: |
  connector.name=tpch
{{- end }}
{{- end }}
