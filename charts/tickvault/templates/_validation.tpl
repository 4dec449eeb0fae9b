{{/* Switches that contradict each other end here, with a sentence, before anything is installed. */}}
{{- define "tickvault.validation" -}}
{{- $external := .Values.global.external -}}
{{- range $check := list
      (list "minio" "s3" "endpoint" "the lake" true)
      (list "timescaledb" "postgres" "host" "the raw tables and the ledger" true)
      (list "trino" "trino" "host" "Trino" false)
      (list "kafka" "kafka" "bootstrap" "Kafka" false)
      (list "prefect" "prefect" "apiUrl" "the Prefect server" false)
      (list "prometheus" "prometheus" "url" "Prometheus" false) -}}
{{- $chart := index $check 0 -}}{{- $engine := index $check 1 -}}{{- $key := index $check 2 -}}
{{- $own := (index $.Values $chart).enabled -}}
{{- $elsewhere := get (get $external $engine) $key -}}
{{- if and $own $elsewhere -}}
{{- fail (printf "tickvault: %s.enabled and global.external.%s.%s contradict each other: switch the chart off, or leave the address empty." $chart $engine $key) -}}
{{- end -}}
{{- if and (index $check 4) (not $own) (not $elsewhere) -}}
{{- fail (printf "tickvault: %s is nowhere: enable %s, or set global.external.%s.%s." (index $check 3) $chart $engine $key) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.trino.enabled .Values.trino.catalogs.kafka.enabled (not .Values.kafka.enabled) (not $external.kafka.bootstrap) -}}
{{- fail "tickvault: trino.catalogs.kafka.enabled needs a Kafka: enable kafka, or set global.external.kafka.bootstrap." -}}
{{- end -}}
{{- if and .Values.alertReceiver.enabled .Values.prometheus.enabled (not .Values.prometheus.alerting.alertmanagers) -}}
{{- fail (printf "tickvault: alertReceiver.enabled, but Prometheus does not know it: set prometheus.alerting.alertmanagers to [%s-alert-receiver:9093]." .Release.Name) -}}
{{- end -}}
{{- if and .Values.snowflakeEmulator.enabled $external.snowflake.account -}}
{{- fail "tickvault: snowflakeEmulator.enabled and global.external.snowflake.account contradict each other: load the emulator, or the real account." -}}
{{- end -}}
{{- if and (or .Values.snowflakeEmulator.enabled .Values.marketSimulator.enabled) (not .Values.global.generateSecrets) -}}
{{- fail "tickvault: the Snowflake emulator and the market simulator are for throw-away clusters only (global.generateSecrets=true): they take any login and invent prices." -}}
{{- end -}}
{{- $keys := list "MINIO_ACCESS_KEY" "MINIO_SECRET_KEY" "POSTGRES_PASSWORD" -}}
{{- if or .Values.prefect.enabled $external.prefect.apiUrl }}{{ $keys = append $keys "PREFECT_API_AUTH_STRING" }}{{ end -}}
{{- include "common.requireSecret" (dict "root" . "existing" .Values.global.jobsSecret "value" "global.jobsSecret" "keys" $keys) -}}
{{- if and .Values.global.generateSecrets (not .Values.global.jobsSecret) (not .Values.global.extraJobsSecrets) -}}
{{- if or (not .Values.minio.enabled) (not .Values.timescaledb.enabled) $external.prefect.apiUrl $external.snowflake.account -}}
{{- fail "tickvault: a password for an engine that runs elsewhere cannot be generated: set global.jobsSecret, or name a Secret with it in global.extraJobsSecrets." -}}
{{- end -}}
{{- end -}}
{{- end }}
