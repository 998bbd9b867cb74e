package chart

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestAsTheImageIs: user, ports and data directory are those of the Dockerfile, and
// the container is as restricted as in compose.yaml.
func TestAsTheImageIs(t *testing.T) {
	t.Parallel()
	docker := read(t, "Dockerfile")
	user, err := strconv.ParseInt(regexp.MustCompile(`(?m)^USER (\d+):\d+$`).FindStringSubmatch(docker)[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	volume := regexp.MustCompile(`(?m)^VOLUME (\S+)$`).FindStringSubmatch(docker)[1]
	port := regexp.MustCompile(`(?m)^EXPOSE (\d+)$`).FindStringSubmatch(docker)[1]
	for name, file := range values(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := render(t, "--values", file)
			pod, c := m.set.Spec.Template.Spec, m.container(t)
			s := pod.SecurityContext
			if !*s.RunAsNonRoot || *s.RunAsUser != user || *s.RunAsGroup != user || *s.FSGroup != user || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
				t.Errorf("%+v", s)
			}
			if s := c.SecurityContext; !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || s.Privileged != nil || s.Capabilities.Drop[0] != "ALL" || s.Capabilities.Add != nil {
				t.Errorf("%+v", s)
			}
			if *pod.AutomountServiceAccountToken || pod.HostNetwork || pod.HostPID {
				t.Errorf("%+v", pod)
			}
			if strconv.Itoa(int(c.Ports[0].ContainerPort)) != port || c.Ports[0].Name != "hooks" {
				t.Errorf("%+v", c.Ports)
			}
			if c.VolumeMounts[0].Name != "data" || c.VolumeMounts[0].MountPath != volume || !strings.HasPrefix(m.env(t)["DATA_DIR"], volume+"/") {
				t.Errorf("%+v", c.VolumeMounts)
			}
			if len(c.Args) != 1 || c.Args[0] != "serve" || c.Command != nil {
				t.Errorf("%v %v", c.Command, c.Args)
			}
		})
	}
}

// TestProbes: all probes ask /healthz at the port for requests, by TLS if it has TLS.
// None asks /readyz, and a stop has enough time.
func TestProbes(t *testing.T) {
	t.Parallel()
	for name, scheme := range map[string]core.URIScheme{"one": "", "three": "", "five": core.URISchemeHTTPS} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := render(t, "--values", values(t)[name])
			c := m.container(t)
			for which, p := range map[string]*core.Probe{"liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
				if p == nil || p.HTTPGet == nil || p.HTTPGet.Path != "/healthz" || p.HTTPGet.Port.StrVal != "hooks" || p.HTTPGet.Scheme != scheme {
					t.Errorf("%s: %+v", which, p)
				}
			}
			if strings.Contains(comments.ReplaceAllString(m.text, ""), "path: /readyz") || c.StartupProbe != nil {
				t.Error("/readyz is asked")
			}
			// preStop, SHUTDOWN_TIMEOUT of 10 s, and 20 s for the rest of a stop.
			pause := c.Lifecycle.PreStop.Sleep.Seconds
			if grace := *m.set.Spec.Template.Spec.TerminationGracePeriodSeconds; pause == 0 || grace < pause+30 {
				t.Errorf("%d s to stop, %d of them before", grace, pause)
			}
		})
	}
}

// TestMonitoring: the rules are all those of docs/alerts.yaml, and the metrics are
// scraped with the token.
func TestMonitoring(t *testing.T) {
	t.Parallel()
	m := render(t, "--values", values(t)["three"])
	var want, got map[string]any
	raw, err := yaml.Marshal(m.rule.Spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(read(t, "docs/alerts.yaml")), &want); err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
	if len(m.rule.Spec.Groups) < 5 || m.rule.Labels["release"] != "prometheus" || m.monitor.Labels["release"] != "prometheus" {
		t.Errorf("%d groups, %v, %v", len(m.rule.Spec.Groups), m.rule.Labels, m.monitor.Labels)
	}
	e := m.monitor.Spec.Endpoints[0]
	if e.Port != "admin" || e.Path != "/metrics" || e.Authorization.Credentials.Name != m.secret.Name || e.Authorization.Credentials.Key != "admin_token" {
		t.Errorf("%+v", e)
	}
	if m.secret.StringData["admin_token"] == "" {
		t.Error("the Secret has no token")
	}
}

// TestIngress: host and path are those of the public URL, and nothing else is
// public.
func TestIngress(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]struct{ host, path string }{
		"https://hooks.example.com":       {"hooks.example.com", ""},
		"https://hooks.example.com:8443/": {"hooks.example.com", ""},
		"https://example.com/a/hooks/":    {"example.com", "/a/hooks"},
	} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			m := render(t, "--values", values(t)["three"], "--values", dir+"/examples/ingress-haproxy.yaml", "--set", "config.public_url="+url)
			rules := m.ingress.Spec.Rules
			if len(rules) != 1 || rules[0].Host != want.host || m.ingress.Spec.TLS[0].Hosts[0] != want.host || len(rules[0].HTTP.Paths) != 2 {
				t.Fatalf("%+v", m.ingress.Spec)
			}
			for i, path := range []string{want.path + "/kazoo/", want.path + "/healthz"} {
				p := rules[0].HTTP.Paths[i]
				service := m.services[p.Backend.Service.Name]
				if p.Path != path || service == nil || p.Backend.Service.Port.Name != service.Spec.Ports[0].Name {
					t.Errorf("%+v", p)
				}
			}
			if !strings.Contains(m.ingress.Annotations["haproxy.org/backend-config-snippet"], "retry-on conn-failure") || *m.ingress.Spec.IngressClassName != "haproxy" {
				t.Errorf("%+v", m.ingress)
			}
		})
	}
}
