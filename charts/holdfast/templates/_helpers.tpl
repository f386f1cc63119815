{{/* Labels of every object. */}}
{{- define "holdfast.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: holdfast
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: holdfast
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Labels of one component's objects. Takes (list . "component"). */}}
{{- define "holdfast.componentLabels" -}}
{{ include "holdfast.labels" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Labels that select one component's pods; they never change. Takes (list . "component"). */}}
{{- define "holdfast.selector" -}}
app.kubernetes.io/name: holdfast
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Labels of the user's and the chart's; the chart's win. Takes (list user's chart's-as-text). */}}
{{- define "holdfast.withLabels" -}}
{{ toYaml (mergeOverwrite (deepCopy (index . 0)) (fromYaml (index . 1))) }}
{{- end }}

{{/* The reference of one component's image. Takes (list . component's image). */}}
{{- define "holdfast.image" -}}
{{- $common := (index . 0).Values.image -}}
{{- $image := index . 1 -}}
{{- with $common.registry }}{{ . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $common.tag | default (index . 0).Chart.AppVersion }}{{ end }}
{{- end }}

{{/* What the operator's container and the uninstall check may do: nothing but compute and talk to the API. */}}
{{- define "holdfast.unprivileged" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Of their pods. 65532 is the user "nonroot" of most minimal images. */}}
{{- define "holdfast.unprivilegedPod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* `address:port` with the brackets that an IPv6 address needs. Takes (list address port). */}}
{{- define "holdfast.socketAddress" -}}
{{- $address := index . 0 -}}
{{- if contains ":" $address }}[{{ $address }}]{{ else }}{{ $address }}{{ end }}:{{ index . 1 }}
{{- end }}

{{/* Where the agents listen for probes and Prometheus. */}}
{{- define "holdfast.agentAddress" -}}
{{- .Values.agent.metrics.address | default (ternary "0.0.0.0" "127.0.0.1" .Values.podMonitor.enabled) }}
{{- end }}

{{/* Where the kubelet of the same node finds the agent. */}}
{{- define "holdfast.agentProbeHost" -}}
{{- $address := include "holdfast.agentAddress" . -}}
{{- get (dict "0.0.0.0" "127.0.0.1" "::" "::1") $address | default $address }}
{{- end }}
