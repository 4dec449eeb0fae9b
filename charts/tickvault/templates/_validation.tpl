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
{{- if .Values.prometheus.enabled -}}
{{- $told := tpl (toJson .Values.prometheus.alerting.alertmanagers) . -}}
{{- range $chart, $name := dict "alertmanager" "alertmanager" "alertReceiver" "alert-receiver" -}}
{{- $address := printf "%s:9093" (include "common.nameOf" (dict "root" $ "chart" $name)) -}}
{{- if and (get $.Values $chart).enabled (not (contains (quote $address) $told)) -}}
{{- fail (printf "tickvault: %s.enabled, but Prometheus does not push to it: add %s to prometheus.alerting.alertmanagers." $chart $address) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range .Values.global.build -}}
{{- if not (has . (list "postgres" "snowflake" "trino")) -}}
{{- fail (printf "tickvault: global.build names %v: take of postgres, snowflake and trino." .) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.snowflakeEmulator.enabled $external.snowflake.account -}}
{{- fail "tickvault: snowflakeEmulator.enabled and global.external.snowflake.account contradict each other: load the emulator, or the real account." -}}
{{- end -}}
{{- if and (or .Values.snowflakeEmulator.enabled .Values.marketSimulator.enabled) (not .Values.global.generateSecrets) -}}
{{- fail "tickvault: the Snowflake emulator and the market simulator are for throw-away clusters only (global.generateSecrets=true): they take any login and invent prices." -}}
{{- end -}}
{{- range $engine, $chart := dict "minio" "minio" "postgres" "timescaledb" "trino" "trino" "prefect" "prefect" "snowflake" "snowflakeEmulator" "alertmanager" "alertmanager" -}}
{{- if and (get $.Values.global.engines $engine) (not (get $.Values $chart).enabled) -}}
{{- fail (printf "tickvault: global.engines still has %s, which %s.enabled=false switches off: upgrade with --reset-then-reuse-values in place of --reuse-values, and leave global.engines alone." $engine $chart) -}}
{{- end -}}
{{- end -}}
{{- include "tickvault.validation.jobs" . -}}
{{- include "tickvault.validation.database" . -}}
{{- $keys := list "MINIO_ACCESS_KEY" "MINIO_SECRET_KEY" "POSTGRES_PASSWORD" -}}
{{- if or .Values.prefect.enabled $external.prefect.apiUrl }}{{ $keys = append $keys "PREFECT_API_AUTH_STRING" }}{{ end -}}
{{- include "common.requireSecret" (dict "root" . "existing" .Values.global.jobsSecret "value" "global.jobsSecret" "keys" $keys) -}}
{{- if and .Values.global.generateSecrets (not .Values.global.jobsSecret) (not .Values.global.extraJobsSecrets) -}}
{{- if or (not .Values.minio.enabled) (not .Values.timescaledb.enabled) $external.prefect.apiUrl $external.snowflake.account -}}
{{- fail "tickvault: a password for an engine that runs elsewhere cannot be generated: set global.jobsSecret, or name a Secret with it in global.extraJobsSecrets." -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Flows need a Prefect, and the jobs' generated Secret the passwords that the engines really have. */}}
{{- define "tickvault.validation.jobs" -}}
{{- if and .Values.jobs.enabled (dig "flows" "enabled" false .Values.jobs) (not .Values.prefect.enabled) (not .Values.global.external.prefect.apiUrl) -}}
{{- fail "tickvault: the flows have no Prefect server: enable prefect, set global.external.prefect.apiUrl, or leave every job to Kubernetes (jobs.flows.enabled=false, jobs.jobs.<name>.orchestrator=cron)." -}}
{{- end -}}
{{- if and .Values.global.generateSecrets (not .Values.global.jobsSecret) -}}
{{- $root := . -}}
{{- range $check := list
      (list "minio" (list "MINIO_ACCESS_KEY" "MINIO_SECRET_KEY"))
      (list "timescaledb" (list "POSTGRES_PASSWORD"))
      (list "prefect" (list "PREFECT_API_AUTH_STRING")) -}}
{{- $chart := get $root.Values (index $check 0) -}}
{{- range $key := index $check 1 -}}
{{- if and $chart.enabled (get $chart "existingSecret") (not (get $root.Values.global.extraJobsSecrets $key)) -}}
{{- fail (printf "tickvault: %s.existingSecret holds a login that the generated Secret of the jobs cannot know: set global.jobsSecret, or global.extraJobsSecrets.%s to a Secret with this key." (index $check 0) $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.prometheus.enabled .Values.timescaledb.enabled (not (dig "exporter" "enabled" false .Values.timescaledb)) (dig "scrape" "postgres" "" .Values.prometheus) -}}
{{- fail "tickvault: Prometheus would report PostgreSQL as down, for timescaledb.exporter.enabled=false: set prometheus.scrape.postgres=null beside it." -}}
{{- end -}}
{{- if and .Values.prometheus.enabled .Values.prefect.enabled .Values.prefect.existingSecret -}}
{{- with dig "scrape" "prefect" dict .Values.prometheus -}}
{{- if and (eq .passwordSecret "{{ .Release.Name }}-prefect") (ne (tpl .passwordSecret $) (tpl $.Values.prefect.existingSecret $)) -}}
{{- fail "tickvault: Prometheus does not know the login of prefect.existingSecret: set prometheus.scrape.prefect.username, .passwordSecret and .passwordKey to the user, a Secret and its key (or prometheus.scrape.prefect=null)." -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* One database for everybody: the charts below cannot see each other's names. */}}
{{- define "tickvault.validation.database" -}}
{{- $own := .Values.settings.postgres -}}
{{- if and .Values.timescaledb.enabled (or (ne $own.database "stock_data") (ne $own.user "tickvault_loader")) -}}
{{- fail "tickvault: the chart timescaledb makes the database stock_data for the user tickvault_loader: other names in settings.postgres are for a global.external.postgres." -}}
{{- end -}}
{{- $used := dict -}}
{{- if and .Values.trino.enabled .Values.trino.catalogs.postgres.enabled }}{{ $_ := set $used "trino.catalogs.postgres.database" .Values.trino.catalogs.postgres.database }}{{ end -}}
{{- range $chart := list "alertReceiver" "grafana" "pgadmin" -}}
{{- $values := get $.Values $chart -}}
{{- if $values.enabled }}{{ $_ := set $used (printf "%s.database.name" $chart) $values.database.name }}{{ end -}}
{{- end -}}
{{- range $name, $database := $used -}}
{{- if ne $database $own.database -}}
{{- fail (printf "tickvault: %s is %s, but the jobs load into %s (settings.postgres.database): name the same database in both." $name $database $own.database) -}}
{{- end -}}
{{- end -}}
{{- end }}
