{{/*
The name of a Secret: the given one (a template is evaluated), else the one named as the chart's objects.
Takes root, existing and chart (default: this chart).
*/}}
{{- define "common.secretName" -}}
{{- if .existing -}}
{{- tpl .existing .root -}}
{{- else -}}
{{- include "common.nameOf" (dict "root" .root "chart" (.chart | default (kebabcase .root.Chart.Name))) -}}
{{- end -}}
{{- end }}

{{/*
Fails with a sentence when a chart has neither an existing Secret nor generated ones, or when the cluster is there
and the Secret or one of its keys is not. Takes root, existing, keys and value (the name of the setting).
*/}}
{{- define "common.requireSecret" -}}
{{- $root := .root -}}
{{- $value := .value | default "existingSecret" -}}
{{- if not .existing -}}
{{- if not ($root.Values.global | default dict).generateSecrets -}}
{{- fail (printf "%s: set %s to the name of a Secret with the keys %s (or, on a throw-away cluster only, global.generateSecrets=true in the umbrella chart)." (kebabcase $root.Chart.Name) $value (join ", " .keys)) -}}
{{- end -}}
{{- else if lookup "v1" "ServiceAccount" $root.Release.Namespace "default" -}}
{{- $name := tpl .existing $root -}}
{{- $data := (lookup "v1" "Secret" $root.Release.Namespace $name).data | default dict -}}
{{- range .keys -}}
{{- if not (hasKey $data .) -}}
{{- fail (printf "%s: the Secret %s, named by %s, has no key %s in the namespace %s: create it before the release." (kebabcase $root.Chart.Name) $name $value . $root.Release.Namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "common.secretEnv" -}}
name: {{ .name }}
valueFrom:
  secretKeyRef:
    name: {{ .secret }}
    key: {{ .key }}
    {{- if .optional }}
    optional: true
    {{- end }}
{{- end }}

{{/* A hash of a Secret that was given by name and exists, so that a change of it restarts the pods at the next upgrade. */}}
{{- define "common.secretChecksum" -}}
{{- if .existing -}}
{{- (lookup "v1" "Secret" .root.Release.Namespace (tpl .existing .root)).data | default dict | toJson | sha256sum -}}
{{- else -}}
generated
{{- end -}}
{{- end }}
