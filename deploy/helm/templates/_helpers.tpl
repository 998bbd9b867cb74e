{{/* The name of everything in this release. */}}
{{- define "kazoohook.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 45 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "kazoohook.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "kazoohook.labels" -}}
{{ include "kazoohook.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "kazoohook.secret" -}}
{{- .Values.secrets.existing | default (include "kazoohook.name" .) -}}
{{- end -}}

{{/* Every setting that is a secret. */}}
{{- define "kazoohook.knownSecrets" -}}
kazoo_password kazoo_credentials kazoo_api_key hook_secret hook_secret_previous admin_token forward_secret cluster_secret cluster_secret_previous
{{- end -}}

{{/* The keys of the Secret that are settings, as a JSON list. All others are files
of the operator. A single node gets no setting of a cluster. */}}
{{- define "kazoohook.secretSettings" -}}
{{- $known := include "kazoohook.knownSecrets" . | splitList " " -}}
{{- $given := .Values.secrets.settings -}}
{{- if not .Values.secrets.existing -}}
{{- $given = keys .Values.secrets.values -}}
{{- end -}}
{{- $out := list -}}
{{- range $known -}}
{{- if and (has . $given) (or (ne (int $.Values.replicaCount) 1) (not (hasPrefix "cluster_" .))) -}}
{{- $out = append $out . -}}
{{- end -}}
{{- end -}}
{{- $out | toJson -}}
{{- end -}}

{{/* Not empty if the page, API and metrics can be reached from outside the pod. */}}
{{- define "kazoohook.admin" -}}
{{- if has "admin_token" (include "kazoohook.secretSettings" . | fromJsonArray) }}yes{{ end -}}
{{- end -}}

{{/* Checks that the schema can't express. Reports all problems at once. */}}
{{- define "kazoohook.check" -}}
{{- $problems := list -}}
{{- $settings := include "kazoohook.secretSettings" . | fromJsonArray -}}
{{- $n := int .Values.replicaCount -}}
{{- if eq $n 2 -}}
{{- $problems = append $problems "replicaCount is 2, which is worse than 1: if either node is lost, the other can't know that it may go on; use 1, 3 or 5" -}}
{{- else if not (has $n (list 1 3 5)) -}}
{{- $problems = append $problems (printf "replicaCount is %d; use 1, or 3, which bears the loss of one node, or 5, which bears the loss of two" $n) -}}
{{- end -}}
{{- range list "kazoo_api_url" "public_url" -}}
{{- if not (get $.Values.config .) -}}
{{- $problems = append $problems (printf "config.%s is missing" .) -}}
{{- end -}}
{{- end -}}
{{- range $key, $_ := $.Values.config -}}
{{- if has $key (include "kazoohook.knownSecrets" $ | splitList " ") -}}
{{- $problems = append $problems (printf "config.%s is a secret, and everybody who sees the ConfigMap could read it; use secrets.values or secrets.existing" $key) -}}
{{- else if or (has $key (list "data_dir" "listen_addr" "admin_addr" "tls_cert_file" "tls_key_file" "acme_domains")) (hasPrefix "cluster_" $key) -}}
{{- $problems = append $problems (printf "config.%s is not yours to give: the chart decides it by other values" $key) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.secrets.existing .Values.secrets.values -}}
{{- $problems = append $problems "secrets.existing and secrets.values are both given: the chart either uses your Secret or makes one" -}}
{{- end -}}
{{- if and (not .Values.secrets.existing) .Values.secrets.settings -}}
{{- $problems = append $problems "secrets.settings is given without secrets.existing: it names keys of a Secret of yours" -}}
{{- end -}}
{{- if not (or (has "kazoo_password" $settings) (has "kazoo_credentials" $settings) (has "kazoo_api_key" $settings)) -}}
{{- $problems = append $problems "no login to Kazoo: the Secret needs kazoo_password, kazoo_credentials or kazoo_api_key (secrets.values, or secrets.existing and secrets.settings)" -}}
{{- end -}}
{{- if and (gt (int .Values.replicaCount) 1) (not (has "cluster_secret" $settings)) -}}
{{- $problems = append $problems "a cluster needs cluster_secret, 16 characters or more that all nodes share (openssl rand -hex 24), in secrets.values, or in secrets.existing and secrets.settings" -}}
{{- end -}}
{{- with .Values.secrets.values.cluster_secret -}}
{{- if lt (len .) 16 -}}
{{- $problems = append $problems "secrets.values.cluster_secret is too short: it needs 16 characters or more (openssl rand -hex 24)" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not (include "kazoohook.admin" .)) -}}
{{- $problems = append $problems "serviceMonitor.enabled needs admin_token in the Secret: without it metrics can be read inside the pod only" -}}
{{- end -}}
{{- if $problems -}}
{{- fail (printf "\n- %s\n" (join "\n- " $problems)) -}}
{{- end -}}
{{- end -}}

{{/* All nodes, as CLUSTER_PEERS has them. */}}
{{- define "kazoohook.peers" -}}
{{- $name := include "kazoohook.name" . -}}
{{- $peers := list -}}
{{- range $i := until (int .Values.replicaCount) -}}
{{- $peers = append $peers (printf "%s-%d.%s-nodes.%s.svc:6222" $name $i $name $.Release.Namespace) -}}
{{- end -}}
{{- join "," $peers -}}
{{- end -}}
