{{/*
Where an engine is: the chart's own value, else global.external.<engine>, else the Service of this release.
Takes root, engine, key and default.
*/}}
{{- define "common.endpoint" -}}
{{- $own := get (get .root.Values .engine | default dict) .key -}}
{{- $external := get (get ((.root.Values.global | default dict).external | default dict) .engine | default dict) .key -}}
{{- tpl (toString (coalesce $own $external .default "")) .root -}}
{{- end }}

{{/*
Whether this release has an engine (common.engineHere), or knows of one elsewhere (common.engineThere): "true" or nothing.
A chart on its own cannot tell, and takes it to be there. Takes root and engine.
*/}}
{{- define "common.engineHere" -}}
{{- $global := .root.Values.global | default dict -}}
{{- if or (not (hasKey $global "engines")) (get ($global.engines | default dict) .engine) -}}true{{- end -}}
{{- end }}
{{- define "common.engineThere" -}}
{{- $address := get (dict "snowflake" "account" "trino" "host" "prefect" "apiUrl") .engine -}}
{{- $external := get ((.root.Values.global | default dict).external | default dict) .engine | default dict -}}
{{- if or (include "common.engineHere" .) (get $external $address) -}}true{{- end -}}
{{- end }}

{{/*
The engines the warehouse is built on, as JSON: global.build without those that are nowhere; where it is empty, Snowflake
and Trino. A chart on its own cannot tell, and takes all. Takes the root.
*/}}
{{- define "common.built" -}}
{{- $global := .Values.global | default dict -}}
{{- $given := $global.build | default (ternary (list "snowflake" "trino") (list "postgres" "snowflake" "trino") (hasKey $global "engines")) -}}
{{- $built := list -}}
{{- range $engine := list "postgres" "snowflake" "trino" -}}
{{- if and (has $engine $given) (or (eq $engine "postgres") (include "common.engineThere" (dict "root" $ "engine" $engine))) }}{{ $built = append $built $engine }}{{ end -}}
{{- end -}}
{{- $built | toJson -}}
{{- end }}

{{- define "common.postgres.host" -}}
{{- include "common.endpoint" (dict "root" . "engine" "postgres" "key" "host" "default" (include "common.nameOf" (dict "root" . "chart" "timescaledb"))) -}}
{{- end }}
{{- define "common.postgres.port" -}}
{{- include "common.endpoint" (dict "root" . "engine" "postgres" "key" "port" "default" 5432) -}}
{{- end }}
{{- define "common.postgres.sslmode" -}}
{{- include "common.endpoint" (dict "root" . "engine" "postgres" "key" "sslmode" "default" "prefer") -}}
{{- end }}

{{- define "common.s3.endpoint" -}}
{{- include "common.endpoint" (dict "root" . "engine" "s3" "key" "endpoint" "default" (printf "http://%s:9000" (include "common.nameOf" (dict "root" . "chart" "minio")))) -}}
{{- end }}
{{- define "common.s3.bucket" -}}
{{- include "common.endpoint" (dict "root" . "engine" "s3" "key" "bucket" "default" "tickvault") -}}
{{- end }}
{{- define "common.s3.region" -}}
{{- include "common.endpoint" (dict "root" . "engine" "s3" "key" "region" "default" "us-east-1") -}}
{{- end }}

{{- define "common.kafka.bootstrap" -}}
{{- include "common.endpoint" (dict "root" . "engine" "kafka" "key" "bootstrap" "default" (printf "%s:9092" (include "common.nameOf" (dict "root" . "chart" "kafka")))) -}}
{{- end }}

{{- define "common.trino.host" -}}
{{- include "common.endpoint" (dict "root" . "engine" "trino" "key" "host" "default" (include "common.nameOf" (dict "root" . "chart" "trino"))) -}}
{{- end }}
{{- define "common.trino.port" -}}
{{- include "common.endpoint" (dict "root" . "engine" "trino" "key" "port" "default" 8080) -}}
{{- end }}

{{- define "common.prefect.apiUrl" -}}
{{- include "common.endpoint" (dict "root" . "engine" "prefect" "key" "apiUrl" "default" (printf "http://%s:4200/api" (include "common.nameOf" (dict "root" . "chart" "prefect")))) -}}
{{- end }}

{{- define "common.prometheus.url" -}}
{{- include "common.endpoint" (dict "root" . "engine" "prometheus" "key" "url" "default" (printf "http://%s:9090" (include "common.nameOf" (dict "root" . "chart" "prometheus")))) -}}
{{- end }}
