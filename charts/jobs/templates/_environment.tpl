{{/* One image of ours. Takes root and name. */}}
{{- define "jobs.image" -}}
{{- $image := .root.Values.image -}}
{{- $tag := get .root.Values.imageTags .name | default $image.tag -}}
{{- include "common.image" (dict "root" .root "image" (dict "registry" $image.registry "repository" (printf "%s/%s" $image.repository .name) "tag" $tag)) -}}
{{- end }}

{{/* Secret keys as variables, each from the Secret that was given for it, else from the jobs' one. Takes root and secrets. */}}
{{- define "jobs.secretEnv" -}}
{{- $global := .root.Values.global | default dict -}}
{{- $common := include "common.secretName" (dict "root" .root "existing" $global.jobsSecret "chart" "jobs") -}}
{{- range $key, $need := .secrets }}
- {{- include "common.secretEnv" (dict "name" $key "secret" (get ($global.extraJobsSecrets | default dict) $key | default $common) "key" $key "optional" (eq $need "optional")) | nindent 2 }}
{{- end }}
{{- end }}

{{/* What every pod that runs the platform's code has around it. */}}
{{- define "jobs.volumes" -}}
- name: seeds
  configMap: {name: {{ include "common.fullname" . }}-seeds}
{{- end }}
{{/* File by file: a mounted folder would hold a copy of each under the time of its mount. */}}
{{- define "jobs.volumeMounts" -}}
{{- range list "cryptolist.txt" "stocklist.txt" "asset_info.csv" }}
- {name: seeds, mountPath: /app/seeds/{{ . }}, subPath: {{ . }}, readOnly: true}
{{- end }}
{{- end }}
{{- define "jobs.settings" -}}
- configMapRef: {name: {{ .Release.Name }}-settings}
{{- end }}
{{/* What one job or worker reads beside the settings that all have. Takes root and own (complete). */}}
{{- define "jobs.ownEnv" -}}
{{- if .root.Values.symbols.crypto }}
- {name: CRYPTO_SYMBOLS, value: /app/seeds/cryptolist.txt}
{{- end }}
{{- if .root.Values.symbols.stock }}
- {name: STOCK_SYMBOLS, value: /app/seeds/stocklist.txt}
{{- end }}
{{- range $name, $value := .own.env }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- include "jobs.secretEnv" (dict "root" .root "secrets" .own.secrets) }}
{{- end }}
