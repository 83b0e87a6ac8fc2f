{{- define "sallyport.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "sallyport.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sallyport.labels" -}}
{{ include "sallyport.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* The pod of both modes. */}}
{{- define "sallyport.pod" -}}
metadata:
  labels:
    {{- include "sallyport.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    # Other settings are other pods.
    checksum/config: {{ include (print $.Template.BasePath "/configmap.yaml") . | sha256sum }}
    {{- with .Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{ toYaml . | nindent 4 }}
  {{- end }}
  # It asks nothing of Kubernetes.
  automountServiceAccountToken: false
  serviceAccountName: {{ include "sallyport.name" . }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add .Values.shutdown.waitSeconds .Values.shutdown.drainSeconds 20 }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{ toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    {{- range $key, $hard := dict "kubernetes.io/hostname" "DoNotSchedule" "topology.kubernetes.io/zone" "ScheduleAnyway" }}
    - maxSkew: 1
      topologyKey: {{ $key }}
      whenUnsatisfiable: {{ $hard }}
      labelSelector:
        matchLabels: {{ include "sallyport.selector" $ | nindent 10 }}
    {{- end }}
  containers:
    - name: sallyportd
      image: {{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag }}{{ end }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve, --config, /etc/sallyport/config.yaml]
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      ports:
        - {name: api, containerPort: 8443, protocol: TCP}
        - {name: metrics, containerPort: 9090, protocol: TCP}
      {{- $scheme := ternary "HTTPS" "HTTP" (ne .Values.tls.existingSecret "") }}
      # Opening a large log takes time; a damaged one ends the process by itself.
      startupProbe:
        httpGet: {path: /livez, port: api, scheme: {{ $scheme }}}
        periodSeconds: 2
        failureThreshold: 300
      livenessProbe:
        httpGet: {path: /livez, port: api, scheme: {{ $scheme }}}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      readinessProbe:
        httpGet: {path: /readyz, port: api, scheme: {{ $scheme }}}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 2
      resources: {{ toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - {name: config, mountPath: /etc/sallyport, readOnly: true}
        - {name: kek, mountPath: /run/secrets/sallyport/kek, readOnly: true}
        {{- if .Values.tls.existingSecret }}
        - {name: tls, mountPath: /run/secrets/sallyport/tls, readOnly: true}
        {{- end }}
        {{- if eq .Values.mode "cluster" }}
        - {name: nats, mountPath: /run/secrets/sallyport/nats, readOnly: true}
        {{- end }}
        {{- if .Values.notify.existingSecret }}
        - {name: notify, mountPath: /run/secrets/sallyport/notify, readOnly: true}
        {{- end }}
        - {name: data, mountPath: /var/lib/sallyport}
        - {name: tmp, mountPath: /tmp}
  volumes:
    - name: config
      configMap: {name: {{ include "sallyport.name" . }}}
    - name: kek
      secret:
        secretName: {{ .Values.keyEncryptionKey.existingSecret }}
        defaultMode: 0440
        items: [{key: {{ .Values.keyEncryptionKey.key }}, path: kek.json}]
    {{- with .Values.tls.existingSecret }}
    - name: tls
      secret: {secretName: {{ . }}, defaultMode: 0440}
    {{- end }}
    {{- if eq .Values.mode "cluster" }}
    - name: nats
      secret:
        secretName: {{ .Values.nats.existingSecret }}
        defaultMode: 0440
        items:
          - {key: {{ .Values.nats.seedKey }}, path: seed}
          {{- with .Values.nats.caKey }}
          - {key: {{ . }}, path: ca.crt}
          {{- end }}
    {{- end }}
    {{- with .Values.notify.existingSecret }}
    - name: notify
      secret: {secretName: {{ . }}, defaultMode: 0440}
    {{- end }}
    - name: tmp
      emptyDir: {}
{{- end }}
