{{/*
The Secret with the webhook's address, or nothing. Whether the jobs' Secret has the key only a cluster can tell: where
Helm renders without one, name the Secret in webhookSecret.
*/}}
{{- define "alertmanager.webhookSecret" -}}
{{- $global := .Values.global | default dict -}}
{{- $jobs := include "common.secretName" (dict "root" . "existing" $global.jobsSecret "chart" "jobs") -}}
{{- $found := get ((lookup "v1" "Secret" .Release.Namespace $jobs).data | default dict) "ALERT_WEBHOOK_URL" -}}
{{- tpl (coalesce .Values.webhookSecret ($global.extraJobsSecrets | default dict).ALERT_WEBHOOK_URL (ternary $jobs "" (not (empty $found))) | default "") . -}}
{{- end }}

{{/* The receiver `people`: the webhook, and what else the values name. */}}
{{- define "alertmanager.people" -}}
{{- $people := deepCopy .Values.people -}}
{{- if include "alertmanager.webhookSecret" . -}}
{{- $slack := dict "api_url_file" "/webhook/ALERT_WEBHOOK_URL" "send_resolved" true -}}
{{- range $key := list "title" "text" "color" }}{{ $_ := set $slack $key (printf "{{ template %q . }}" (print "tickvault." $key)) }}{{ end -}}
{{- $_ := set $slack "fallback" $slack.title -}}
{{- $_ := set $people "slack_configs" (prepend ($people.slack_configs | default list) $slack) -}}
{{- end -}}
{{- toJson $people -}}
{{- end }}

{{- define "alertmanager.config" -}}
{{- $people := include "alertmanager.people" . | fromJson -}}
{{- $receiver := ternary "people" "nobody" (not (empty $people)) -}}
{{- with .Values.route -}}
route:
  receiver: {{ $receiver }}
  group_by: {{ toJson .groupBy }}
  group_wait: {{ .groupWait }}
  group_interval: {{ .groupInterval }}
  repeat_interval: {{ .repeatInterval }}
{{- end }}
  routes:
    # `tickvault alert test` waits for it: told at once, each by itself.
    - {matchers: ['test=~".+"'], receiver: {{ $receiver }}, group_by: [alertname, test], group_wait: 0s, group_interval: 2s}
    {{- with .Values.routes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
receivers:
  - name: nobody
  {{- if $people }}
  - {{- merge (dict "name" "people") $people | toYaml | nindent 4 }}
  {{- end }}
  {{- with .Values.receivers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
inhibit_rules:
  {{- range $name, $rule := .Values.inhibitRules }}
  - {{- dict "source_matchers" $rule.source "target_matchers" $rule.target "equal" $rule.equal | toYaml | nindent 4 }}
  {{- else }} []
  {{- end }}
templates: [/etc/alertmanager/slack.tmpl]
{{- end }}
