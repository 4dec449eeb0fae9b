{{/* Where the ledger is. */}}
{{- define "alertReceiver.env" -}}
{{- $global := .Values.global | default dict -}}
{{- $own := $global.extraJobsSecrets | default dict -}}
{{- $jobs := include "common.secretName" (dict "root" . "existing" $global.jobsSecret "chart" "jobs") -}}
- {name: HOME, value: /tmp}
- {name: POSTGRES_HOST, value: {{ include "common.postgres.host" . | quote }}}
- {name: POSTGRES_PORT, value: {{ include "common.postgres.port" . | quote }}}
- {name: POSTGRES_DB, value: {{ .Values.database.name | quote }}}
- {name: POSTGRES_USER, value: {{ .Values.database.user | quote }}}
- {name: PGSSLMODE, value: {{ include "common.postgres.sslmode" . | quote }}}
- {{- include "common.secretEnv" (dict "name" "POSTGRES_PASSWORD" "secret" ($own.POSTGRES_PASSWORD | default $jobs) "key" "POSTGRES_PASSWORD") | nindent 2 }}
{{- end }}
