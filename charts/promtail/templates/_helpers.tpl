{{/* Names are at most 63 characters: DNS labels. */}}
{{- define "promtail.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "promtail.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $both := printf "%s-%s" .Release.Name $name -}}
{{- if contains $name .Release.Name }}{{ $both = .Release.Name }}{{ end -}}
{{- .Values.fullnameOverride | default $both | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "promtail.namespace" -}}
{{- .Values.namespace | default .Release.Namespace }}
{{- end }}

{{- define "promtail.selectorLabels" -}}
app.kubernetes.io/name: {{ include "promtail.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "promtail.labels" -}}
helm.sh/chart: {{ include "promtail.chart" . }}
{{ include "promtail.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* name, namespace and labels of an object; the argument is a list: the root and, if it has one of
     its own, the end of the name */}}
{{- define "promtail.metadata" -}}
{{- $root := first . -}}
{{- $end := "" }}{{ range rest . }}{{ $end = printf "-%s" . }}{{ end }}
name: {{ include "promtail.fullname" $root | trunc (sub 63 (len $end) | int) | trimSuffix "-" }}{{ $end }}
namespace: {{ include "promtail.namespace" $root }}
labels:
  {{- include "promtail.labels" $root | nindent 2 }}
{{- end }}

{{- define "promtail.serviceAccountName" -}}
{{- $made := "default" -}}
{{- if .Values.serviceAccount.create }}{{ $made = include "promtail.fullname" . }}{{ end -}}
{{- .Values.serviceAccount.name | default $made }}
{{- end }}

{{- define "promtail.image" -}}
{{- $registry := .Values.global.imageRegistry | default .Values.image.registry -}}
{{- with $registry }}{{ . }}/{{ end }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Names of Grafana's chart, for values that include them. */}}
{{- define "promtail.namespaceName" -}}
{{- include "promtail.namespace" . }}
{{- end }}

{{- define "promtail.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}
