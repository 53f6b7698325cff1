{{- define "labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Seconds for the service to forget the pod before its drain begins. */ -}}
{{- define "preStop" -}}5{{- end }}

{{- /* Those, a second for each thousand streams, 5 s for the store, and as much to spare. */ -}}
{{- define "grace" -}}
{{- add (include "preStop" .) (div (add .Values.maxClients 999) 1000) 5 10 -}}
{{- end }}
