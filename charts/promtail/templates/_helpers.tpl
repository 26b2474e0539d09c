{{/* Names are at most 63 characters: DNS labels. */}}
{{- define "promtail.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "promtail.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $both := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $both | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "promtail.namespace" -}}
{{- .Values.namespace | default .Release.Namespace }}
{{- end }}

{{- define "promtail.selectorLabels" -}}
app.kubernetes.io/name: {{ include "promtail.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "promtail.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "promtail.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* name, namespace and labels of an object; the argument is a list: the root and, if it has one of
     its own, the end of the name */}}
{{- define "promtail.metadata" -}}
{{- $root := first . -}}
name: {{ include "promtail.fullname" $root }}{{ range rest . }}-{{ . }}{{ end }}
namespace: {{ include "promtail.namespace" $root }}
labels:
  {{- include "promtail.labels" $root | nindent 2 }}
{{- end }}

{{- define "promtail.serviceAccountName" -}}
{{- $made := .Values.serviceAccount.create | ternary (include "promtail.fullname" .) "default" -}}
{{- .Values.serviceAccount.name | default $made }}
{{- end }}

{{- define "promtail.image" -}}
{{- $registry := .Values.global.imageRegistry | default .Values.image.registry -}}
{{- with $registry }}{{ . }}/{{ end }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
