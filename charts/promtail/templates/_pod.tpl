{{/* The pod of the DaemonSet and of the Deployment. */}}
{{- define "promtail.pod" -}}
metadata:
  labels:
    {{- include "promtail.selectorLabels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    {{- if .Values.config.enabled }}
    checksum/config: {{ tpl .Values.config.file . | sha256sum }} {{- /* a new file, new pods */}}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "promtail.serviceAccountName" . }}
  automountServiceAccountToken: {{ .Values.automountServiceAccountToken }}
  enableServiceLinks: {{ .Values.enableServiceLinks }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- if .Values.hostNetwork }}
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  {{- end }}
  {{- with .Values.hostAliases }}
  hostAliases:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.global.imagePullSecrets | default .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.initContainer }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: promtail
      {{- include "promtail.container" . | nindent 6 }}
    {{- range $name, $container := .Values.extraContainers }}
    - name: {{ $name }}
      {{- toYaml $container | nindent 6 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumes:
    - name: config
      {{- if .Values.configmap.enabled }}
      configMap: {name: {{ include "promtail.fullname" . }}}
      {{- else }}
      secret: {secretName: {{ include "promtail.fullname" . }}}
      {{- end }}
    {{- with (include "promtail.volumes" . | fromYaml).volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- define "promtail.container" -}}
image: {{ include "promtail.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args:
  - -config.file=/etc/promtail/promtail.yaml
  {{- with .Values.extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
env:
  - name: HOSTNAME # the node whose pods are read
    valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - {name: http-metrics, containerPort: {{ .Values.config.serverPort }}, protocol: TCP}
  {{- range $key, $port := .Values.extraPorts }}
  - {name: {{ $port.name | default $key }}, containerPort: {{ $port.containerPort }}, protocol: {{ $port.protocol | default "TCP" }}}
  {{- end }}
{{- with .Values.livenessProbe }}
livenessProbe:
  {{- tpl (toYaml .) $ | nindent 2 }}
{{- end }}
{{- with .Values.readinessProbe }}
readinessProbe:
  {{- tpl (toYaml .) $ | nindent 2 }}
{{- end }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.containerSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - {name: config, mountPath: /etc/promtail, readOnly: true}
  {{- with (include "promtail.volumes" . | fromYaml).mounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* The default volumes and the mounts of what is there.  Those of a Deployment leave out what is a
     node's: its pods are anywhere, and two on one node must not share positions. */}}
{{- define "promtail.volumes" -}}
{{- $volumes := list }}{{ $names := list }}{{ $mounts := list }}
{{- range .Values.defaultVolumes }}
{{- if or $.Values.daemonset.enabled (not .hostPath) }}
{{- $volumes = append $volumes . }}
{{- else if eq .name "run" }}
{{- $volumes = append $volumes (dict "name" "run" "emptyDir" dict) }}
{{- end }}
{{- end }}
{{- range concat $volumes (.Values.extraVolumes | default list) }}
{{- $names = append $names .name }}
{{- end }}
{{- range .Values.defaultVolumeMounts }}
{{- if has .name $names }}
{{- $mounts = append $mounts . }}
{{- end }}
{{- end }}
{{- dict "volumes" $volumes "mounts" $mounts | toYaml }}
{{- end }}
