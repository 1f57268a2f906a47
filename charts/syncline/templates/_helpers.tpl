{{/* Names and labels that the templates share. */}}

{{- define "syncline.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* 52 characters at most: the StatefulSet's Pods and their revisions add to it. */}}
{{- define "syncline.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "syncline.selectorLabels" -}}
app.kubernetes.io/name: {{ include "syncline.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "syncline.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "syncline.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "syncline.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "syncline.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name: name the ServiceAccount to use, since serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "syncline.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* The namespaces in which the operator works, separated by spaces; empty: all. */}}
{{- define "syncline.namespaces" -}}
{{- if .Values.allNamespaces }}
{{- if .Values.watchNamespaces }}
{{- fail "watchNamespaces: leave it empty, since allNamespaces is true" }}
{{- end }}
{{- else if .Values.watchNamespaces }}
{{- join " " .Values.watchNamespaces }}
{{- else }}
{{- .Release.Namespace }}
{{- end }}
{{- end }}

{{/* What the operator may do where it works. */}}
{{- define "syncline.rules" -}}
- apiGroups: [syncline.dev]
  resources: [connections, mappings, syncs]
  verbs: [get, list, watch]
- apiGroups: [syncline.dev]
  resources: [connections/status, mappings/status, syncs/status]
  verbs: [patch]
# Their metadata is watched; values are read only of those that a Connection refers to. Kubernetes knows no
# permission for the one without the other.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* The kind of what runs the operator: with a volume of its own, or with a database that several may share. */}}
{{- define "syncline.workload" -}}
{{- if .Values.state.postgres.secretName }}Deployment{{ else }}StatefulSet{{ end }}
{{- end }}
