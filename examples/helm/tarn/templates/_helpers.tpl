{{- define "tarn.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "tarn.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tarn.labels" -}}
{{ include "tarn.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "tarn.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tarn.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* How /livez and all the rest of HTTP are reached. */ -}}
{{- define "tarn.scheme" -}}
{{- $http := default dict .Values.config.http -}}
{{- if or (dig "tls" "cert" "" $http) (dig "acme" "domains" "" $http) -}}https{{- else -}}http{{- end -}}
{{- end -}}

{{- /* What stands in tarn.yaml: the chart's listeners, and over them the values' config. */ -}}
{{- define "tarn.config" -}}
{{- $inside := printf "%s.%s.svc:%v" (include "tarn.fullname" .) .Release.Namespace .Values.service.kafkaPort -}}
{{- $listen := "0.0.0.0:9092" -}}
{{- $advertise := $inside -}}
{{- $kafka := dict -}}
{{- if .Values.external.enabled -}}
{{- $_ := required "external.advertised: the HOST:PORT that clients outside of the cluster reach" .Values.external.advertised -}}
{{- $protocol := "PLAINTEXT" -}}
{{- with .Values.config.kafka -}}
{{- $tls := and (hasKey . "tls") (hasKey (default dict .tls) "cert") -}}
{{- $sasl := and (hasKey . "sasl") (hasKey (default dict .sasl) "mechanisms") -}}
{{- if and $tls $sasl -}}{{- $protocol = "SASL_SSL" -}}{{- else if $tls -}}{{- $protocol = "SSL" -}}{{- else if $sasl -}}{{- $protocol = "SASL_PLAINTEXT" -}}{{- end -}}
{{- end -}}
{{- $listen = "INTERNAL://0.0.0.0:9092,EXTERNAL://0.0.0.0:9094" -}}
{{- $advertise = printf "INTERNAL://%s,EXTERNAL://%s" $inside .Values.external.advertised -}}
{{- $_ := set $kafka "protocols" (printf "INTERNAL:%s,EXTERNAL:%s" $protocol .Values.external.protocol) -}}
{{- end -}}
{{- $_ := set $kafka "listen" $listen -}}
{{- $_ := set $kafka "advertise" $advertise -}}
{{- $base := dict "kafka" $kafka "http" (dict "listen" "0.0.0.0:8081") "insecure-listen" .Values.insecureListen -}}
{{- mergeOverwrite $base (deepCopy .Values.config) | toYaml -}}
{{- end -}}
