{{/*
A Service. Takes root, component, ports (list of name, port and optionally targetPort, nodePort), type, headless, suffix, annotations,
selector (further labels of its pods).
*/}}
{{- define "common.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "common.fullname" .root }}{{ with .suffix }}-{{ . }}{{ end }}
  labels: {{- include "common.labels" (dict "root" .root "component" .component) | nindent 4 }}
spec:
  {{- if .headless }}
  clusterIP: None
  publishNotReadyAddresses: true
  {{- else }}
  type: {{ .type | default "ClusterIP" }}
  {{- end }}
  selector: {{- include "common.selector" (dict "root" .root "component" .component) | nindent 4 }}
    {{- with .selector }}{{ toYaml . | nindent 4 }}{{ end }}
  ports:
    {{- $type := .type }}
    {{- range .ports }}
    - name: {{ .name }}
      port: {{ .port }}
      targetPort: {{ .targetPort | default .name }}
      {{- if and .nodePort (eq ($type | default "ClusterIP") "NodePort") }}
      nodePort: {{ .nodePort }}
      {{- end }}
    {{- end }}
{{- end }}

{{/* The address browsers use: the Ingress's, else the default. Takes ingress and default. */}}
{{- define "common.publicUrl" -}}
{{- if .ingress.enabled -}}{{ ternary "https" "http" (ne .ingress.tlsSecret "") }}://{{ .ingress.host }}{{- else -}}{{ .default }}{{- end -}}
{{- end }}

{{/* An Ingress to one Service. Takes root, ingress (enabled, className, host, tlsSecret, annotations), port (the Service port's name). */}}
{{- define "common.ingress" -}}
{{- if .ingress.enabled }}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ include "common.fullname" .root }}
  labels: {{- include "common.labels" (dict "root" .root) | nindent 4 }}
  {{- with .ingress.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- with .ingress.tlsSecret }}
  tls:
    - secretName: {{ . }}
      hosts: [{{ $.ingress.host | quote }}]
  {{- end }}
  rules:
    - host: {{ required (printf "%s: ingress.enabled needs ingress.host, the name under which users reach it." .root.Chart.Name) .ingress.host | quote }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ include "common.fullname" .root }}
                port: {name: {{ .port }}}
{{- end }}
{{- end }}
