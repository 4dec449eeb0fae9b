{{/*
The one pod template. Takes root, pod (see the README) and optionally values in place of root.Values.
Everything the restricted Pod Security Standard asks for is set here and nowhere else.
*/}}
{{- define "common.pod" -}}
{{- $root := .root -}}
{{- $pod := .pod -}}
{{- $own := (.values | default $root.Values).pod | default dict -}}
{{- $global := $root.Values.global | default dict -}}
{{- $disk := include "common.disk" $pod -}}
metadata:
  labels:
    {{- include "common.selector" (dict "root" $root "component" $pod.component) | nindent 4 }}
    app.kubernetes.io/part-of: tickvault
    {{- with merge dict ($pod.labels | default dict) ($own.labels | default dict) }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with merge dict ($pod.annotations | default dict) ($own.annotations | default dict) }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ $pod.serviceAccountName | default (include "common.fullname" $root) }}
  automountServiceAccountToken: {{ $pod.automountToken | default false }}
  enableServiceLinks: false
  {{- with $pod.restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  {{- with $pod.terminationGracePeriodSeconds }}
  terminationGracePeriodSeconds: {{ . }}
  {{- end }}
  {{- with $global.imagePullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with $own.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- range $key := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" }}
  {{- with index $own $key }}
  {{ $key }}: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: {{ $pod.runAsUser | default 10001 }}
    runAsGroup: {{ $pod.runAsUser | default 10001 }}
    fsGroup: {{ $pod.runAsUser | default 10001 }}
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- with $pod.initContainers }}
  initContainers:
    {{- range . }}
    - {{- include "common.container" (dict "root" $root "container" . "disk" $disk) | nindent 6 }}
    {{- end }}
  {{- end }}
  containers:
    {{- range $pod.containers }}
    - {{- include "common.container" (dict "root" $root "container" . "disk" $disk) | nindent 6 }}
    {{- end }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: {{ $pod.tmpSize | default "256Mi" }}}
    {{- with $pod.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/*
The limit of local disk: a pod is evicted when its emptyDirs and logs together pass it, so it is the room they were
promised and 512Mi for logs. Takes pod.
*/}}
{{- define "common.disk" -}}
{{- $mebibytes := addf 512 (include "common.mebibytes" (.tmpSize | default "256Mi")) -}}
{{- range .volumes -}}
{{- if and (hasKey . "emptyDir") (ne (get .emptyDir "medium" | toString) "Memory") }}{{ $mebibytes = addf $mebibytes (include "common.mebibytes" .emptyDir.sizeLimit) }}{{ end -}}
{{- end -}}
{{- printf "%dMi" (ceil $mebibytes | int64) -}}
{{- end }}

{{/* A quantity as a number of mebibytes; M and G count as Mi and Gi, which is a little more. */}}
{{- define "common.mebibytes" -}}
{{- $text := kindIs "float64" . | ternary (printf "%.0f" .) (toString .) -}}
{{- $factor := get (dict "k" 0.001 "Ki" 0.001 "M" 1 "Mi" 1 "G" 1024 "Gi" 1024 "T" 1048576 "Ti" 1048576) (regexFind "[A-Za-z]+$" $text) | default 0.000001 -}}
{{- mulf (regexFind "^[0-9.]+" $text) $factor -}}
{{- end }}

{{/* A plain container, completed: read-only root, no capabilities, /tmp, limits of ephemeral storage. */}}
{{- define "common.container" -}}
{{- $global := .root.Values.global | default dict -}}
{{- $filled := dict
      "imagePullPolicy" ($global.imagePullPolicy | default "IfNotPresent")
      "securityContext" (dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")))
      "resources" (dict "requests" (dict "ephemeral-storage" "32Mi") "limits" (dict "ephemeral-storage" .disk)) -}}
{{- $container := mustMergeOverwrite $filled (deepCopy .container) -}}
{{- $_ := set $container "volumeMounts" (concat (list (dict "name" "tmp" "mountPath" "/tmp")) (.container.volumeMounts | default list)) -}}
{{- toYaml $container -}}
{{- end }}

{{/* A Job around the pod template; takes root, name, pod, backoffLimit, deadline (seconds), annotations. */}}
{{- define "common.job" -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .name }}
  labels: {{- include "common.labels" (dict "root" .root "component" .pod.component) | nindent 4 }}
  {{- with .annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec: {{- include "common.jobSpec" . | nindent 2 }}
{{- end }}

{{- define "common.jobSpec" -}}
backoffLimit: {{ .backoffLimit | default 6 }}
activeDeadlineSeconds: {{ .deadline | default 900 }}
ttlSecondsAfterFinished: {{ .ttl | default 86400 }}
template: {{- include "common.pod" (dict "root" .root "pod" (merge (dict "restartPolicy" "Never") .pod)) | nindent 2 }}
{{- end }}

{{/* A Job's name that changes with its content and with each release, since a Job cannot be changed. */}}
{{- define "common.jobName" -}}
{{- printf "%s-%s-r%d-%s" (include "common.fullname" .root) .suffix .root.Release.Revision (toJson .content | sha256sum | trunc 6) -}}
{{- end }}

{{/* A pod that `helm test` runs; it ends in failure when the engine does not answer a real query. */}}
{{- define "common.testPod" -}}
{{- $template := include "common.pod" (dict "root" .root "pod" (merge (dict "restartPolicy" "Never" "component" "test") .pod)) | fromYaml -}}
{{- $meta := dict "name" (printf "%s-test" (include "common.fullname" .root)) "annotations" (dict "helm.sh/hook" "test" "helm.sh/hook-delete-policy" "before-hook-creation") -}}
{{- toYaml (dict "apiVersion" "v1" "kind" "Pod" "metadata" (mustMergeOverwrite $template.metadata $meta) "spec" $template.spec) -}}
{{- end }}

{{/* A volumeClaimTemplate; the claims it makes outlive the release. Takes root, name, persistence. */}}
{{- define "common.volumeClaim" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ .name }}
  labels: {{- include "common.selector" (dict "root" .root) | nindent 4 }}
spec:
  accessModes: {{- toYaml .persistence.accessModes | nindent 4 }}
  {{- with .persistence.storageClass | default (.root.Values.global | default dict).storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests: {storage: {{ .persistence.size }}}
{{- end }}
