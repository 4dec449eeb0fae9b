{{- define "timescaledb.secret" -}}
{{- include "common.secretName" (dict "root" . "existing" .Values.existingSecret) -}}
{{- end }}

{{/* The superuser's connection, for init, backup and restore. */}}
{{- define "timescaledb.superuser" -}}
- {name: PGHOST, value: {{ include "common.fullname" . }}}
- {name: PGUSER, value: postgres}
- {name: PGCONNECT_TIMEOUT, value: "10"}
- {{- include "common.secretEnv" (dict "name" "PGPASSWORD" "secret" (include "timescaledb.secret" .) "key" "postgres-password") | nindent 2 }}
{{- end }}

{{- define "timescaledb.s3" -}}
{{- $secret := include "common.secretName" (dict "root" . "existing" .Values.backup.existingSecret "chart" "minio") -}}
- {name: HOME, value: /tmp}
- {name: MC_CONFIG_DIR, value: /tmp/mc}
- {name: S3_ENDPOINT, value: {{ include "common.s3.endpoint" . | quote }}}
- {name: BUCKET, value: {{ include "common.s3.bucket" . }}}
- {name: PREFIX, value: {{ .Values.backup.prefix }}}
- {name: DATABASES, value: {{ join " " .Values.backup.databases | quote }}}
- {{- include "common.secretEnv" (dict "name" "S3_ACCESS_KEY" "secret" $secret "key" "backup-access-key") | nindent 2 }}
- {{- include "common.secretEnv" (dict "name" "S3_SECRET_KEY" "secret" $secret "key" "backup-secret-key") | nindent 2 }}
{{- end }}

{{/* One step of backup or restore. Takes root, name, script, image, env. */}}
{{- define "timescaledb.step" -}}
name: {{ .name }}
image: {{ include "common.image" (dict "root" .root "image" .image) }}
command: [/bin/sh, /init/{{ .script }}]
env: {{- .env | nindent 2 }}
resources: {{- toYaml .root.Values.jobResources | nindent 2 }}
volumeMounts:
  - {name: init, mountPath: /init}
  - {name: scratch, mountPath: /scratch}
{{- end }}

{{- define "timescaledb.backup" -}}
{{- $client := .Values.backup.clientImage -}}
component: backup
runAsUser: 70
initContainers:
  - {{- include "timescaledb.step" (dict "root" . "name" "dump" "script" "dump.sh" "image" .Values.image "env" (printf "%s\n- {name: DATABASES, value: %q}" (include "timescaledb.superuser" .) (join " " .Values.backup.databases))) | nindent 4 }}
containers:
  - {{- include "timescaledb.step" (dict "root" . "name" "upload" "script" "upload.sh" "image" $client "env" (include "timescaledb.s3" .)) | nindent 4 }}
volumes: {{- include "timescaledb.stepVolumes" . | nindent 2 }}
{{- end }}

{{- define "timescaledb.restore" -}}
component: backup
runAsUser: 70
initContainers:
  - {{- include "timescaledb.step" (dict "root" . "name" "download" "script" "download.sh" "image" .Values.backup.clientImage "env" (printf "%s\n- {name: BACKUP, value: \"\"}" (include "timescaledb.s3" .))) | nindent 4 }}
containers:
  - {{- include "timescaledb.step" (dict "root" . "name" "restore" "script" "restore.sh" "image" .Values.image "env" (printf "%s\n- {name: DATABASES, value: %q}\n- {name: SUFFIX, value: %q}" (include "timescaledb.superuser" .) (join " " .Values.backup.databases) .Values.backup.restoreSuffix)) | nindent 4 }}
volumes: {{- include "timescaledb.stepVolumes" . | nindent 2 }}
{{- end }}

{{- define "timescaledb.stepVolumes" -}}
- name: init
  configMap: {name: {{ include "common.fullname" . }}-init}
- name: scratch
  emptyDir: {sizeLimit: {{ .Values.backup.scratchSize }}}
{{- end }}
