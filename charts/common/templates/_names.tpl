{{- define "common.fullname" -}}
{{- include "common.nameOf" (dict "root" . "chart" (kebabcase .Chart.Name)) -}}
{{- end }}

{{/* The name another chart of the same release gives to its objects. */}}
{{- define "common.nameOf" -}}
{{- ternary .root.Release.Name (printf "%s-%s" .root.Release.Name .chart) (eq .root.Release.Name .chart) | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "common.selector" -}}
app.kubernetes.io/name: {{ .name | default (kebabcase .root.Chart.Name) }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "common.labels" -}}
{{ include "common.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | default .root.Chart.Version | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: tickvault
helm.sh/chart: {{ printf "%s-%s" (kebabcase .root.Chart.Name) .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/*
registry/repository:tag@digest; global.imageRegistry stands in for the image's own registry, whichever that is. Without
tag and digest the tag is the chart's appVersion: our own images carry it.
*/}}
{{- define "common.image" -}}
{{- $global := .root.Values.global | default dict -}}
{{- $registry := $global.imageRegistry | default .image.registry -}}
{{- with $registry }}{{ . }}/{{ end -}}
{{- .image.repository -}}
{{- $tag := .image.tag | default (ternary "" .root.Chart.AppVersion (not (empty .image.digest))) -}}
{{- with $tag }}:{{ . }}{{ end -}}
{{- with .image.digest }}@{{ . }}{{ end -}}
{{- end }}

{{- define "common.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "common.fullname" . }}
  labels: {{- include "common.labels" (dict "root" .) | nindent 4 }}
automountServiceAccountToken: false
{{- end }}
