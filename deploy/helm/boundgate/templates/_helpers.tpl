{{- define "boundgate.name" -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "boundgate.selector" -}}
app.kubernetes.io/name: boundgate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "boundgate.labels" -}}
{{ include "boundgate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "boundgate.image" -}}
{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "boundgate.tlsSecret" -}}
{{ .Values.certificate.secretName | default (printf "%s-tls" (include "boundgate.name" .)) }}
{{- end }}

{{- define "boundgate.clientsCa" -}}
{{ .Values.clientCertificates.caConfigMap | default (printf "%s-clients-ca" (include "boundgate.name" .)) }}
{{- end }}

{{/* The keys of a TOML table. A JSON text, number, truth value or list of them is the same in TOML. */}}
{{- define "boundgate.keys" -}}
{{- range $key, $value := . }}
{{- if not (kindIs "map" $value) }}
{{ if regexMatch "^[A-Za-z0-9_-]+$" $key }}{{ $key }}{{ else }}{{ toJson $key }}{{ end }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- end }}

{{- define "boundgate.config" -}}
[listener]
address = "0.0.0.0:8443"
certificate = "tls.crt"
private_key = "tls.key"
workers = {{ int .Values.workers }}
{{- with .Values.publicUrl }}
public_url = {{ toJson . }}
{{- end }}

[client_certificates]
mode = {{ toJson .Values.clientCertificates.mode }}
trust = {{ toJson .Values.clientCertificates.trust }}
{{- if eq .Values.clientCertificates.trust "ca" }}
ca = "clients-ca.pem"
{{- end }}
{{- range .Values.issuers }}

[[issuers]]
{{- include "boundgate.keys" . }}
{{- with .tls }}

[issuers.tls]
{{- include "boundgate.keys" . }}
{{- end }}
{{- with .introspection }}

[issuers.introspection]
{{- include "boundgate.keys" . }}
{{- end }}
{{- end }}
{{- with .Values.binding }}

[binding]
{{- include "boundgate.keys" . }}
{{- end }}
{{- range .Values.routes }}

[[routes]]
{{- include "boundgate.keys" . }}
{{- end }}

[upstream]
url = "http://127.0.0.1:{{ int .Values.api.port }}"
{{- include "boundgate.keys" .Values.upstream }}

[forward]
{{- include "boundgate.keys" .Values.forward }}

[forward.claims]
{{- include "boundgate.keys" .Values.forward.claims }}

[limits]
drain_delay = "{{ int .Values.drainDelaySeconds }}s"
drain = "{{ int .Values.drainSeconds }}s"
{{- include "boundgate.keys" .Values.limits }}
{{- with .Values.log }}

[log]
{{- include "boundgate.keys" . }}
{{- end }}

[admin]
address = "0.0.0.0:9901"
control = "unix:/run/boundgate/control.sock"
{{- end }}
