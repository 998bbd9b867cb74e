// Package chart tests the Helm chart in deploy/helm: Helm itself renders it for
// several values, and every object is decoded strictly into the types of
// Kubernetes' API.
package chart

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const (
	dir     = "../../deploy/helm"
	release = "kazoohook"
	space   = "phones"
)

// helm runs Helm: the program in the variable HELM, or the tool of this module.
func helm(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	command := []string{"go", "tool", "helm"}
	if program := os.Getenv("HELM"); program != "" {
		command = []string{program}
	}
	var out, problems bytes.Buffer
	command = append(command, args...)
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &problems
	cmd.Env = append(os.Environ(), "HELM_CONFIG_HOME="+t.TempDir(), "HELM_CACHE_HOME="+t.TempDir(), "HELM_DATA_HOME="+t.TempDir())
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), problems.String(), err
}

// values are the files that the tests render, by name.
func values(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(dir + "/ci/*-values.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%v %v", files, err)
	}
	out := map[string]string{}
	for _, f := range files {
		out[strings.TrimSuffix(filepath.Base(f), "-values.yaml")] = f
	}
	return out
}

// manifests are the objects of a release.
type manifests struct {
	text       string
	all        []runtime.Object
	set        *apps.StatefulSet
	services   map[string]*core.Service
	config     *core.ConfigMap
	secret     *core.Secret
	ingress    *networking.Ingress
	network    *networking.NetworkPolicy
	disruption *policy.PodDisruptionBudget
	monitor    *monitoring.ServiceMonitor
	rule       *monitoring.PrometheusRule
}

// render has Helm render the chart with values, as files or as --set.
func render(t *testing.T, args ...string) *manifests {
	t.Helper()
	out, problems, err := helm(t, append([]string{"template", release, dir, "--namespace", space}, args...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, problems)
	}
	return decode(t, out)
}

// decode reads every object strictly: an unknown field, a repeated field and an
// unknown kind are errors.
func decode(t *testing.T, text string) *manifests {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{core.AddToScheme, apps.AddToScheme, networking.AddToScheme, policy.AddToScheme, monitoring.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	m := &manifests{text: text, services: map[string]*core.Service{}}
	documents := yaml.NewYAMLReader(newReader(text))
	for {
		raw, err := documents.Read()
		if err != nil {
			break // the end
		}
		if strings.TrimSpace(comments.ReplaceAllString(string(raw), "")) == "" {
			continue
		}
		object, _, err := decoder.Decode(raw, nil, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, raw)
		}
		m.add(t, object)
	}
	if m.set == nil || m.config == nil {
		t.Fatalf("there is no StatefulSet or no ConfigMap:\n%s", text)
	}
	return m
}

func (m *manifests) add(t *testing.T, object runtime.Object) {
	t.Helper()
	m.all = append(m.all, object)
	switch o := object.(type) {
	case *apps.StatefulSet:
		m.set = o
	case *core.Service:
		m.services[o.Name] = o
	case *core.ConfigMap:
		m.config = o
	case *core.Secret:
		m.secret = o
	case *core.ServiceAccount:
	case *networking.Ingress:
		m.ingress = o
	case *networking.NetworkPolicy:
		m.network = o
	case *policy.PodDisruptionBudget:
		m.disruption = o
	case *monitoring.ServiceMonitor:
		m.monitor = o
	case *monitoring.PrometheusRule:
		m.rule = o
	default:
		t.Errorf("unexpected: %T", object)
	}
}

// container returns the only container of a pod.
func (m *manifests) container(t *testing.T) core.Container {
	t.Helper()
	if n := len(m.set.Spec.Template.Spec.Containers); n != 1 || len(m.set.Spec.Template.Spec.InitContainers) != 0 {
		t.Fatalf("%d containers", n)
	}
	return m.set.Spec.Template.Spec.Containers[0]
}

// env returns a container's variables by name; a field's path stands for its value.
func (m *manifests) env(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, e := range m.container(t).Env {
		if _, twice := out[e.Name]; twice {
			t.Errorf("%s is given twice", e.Name)
		}
		out[e.Name] = e.Value
		if e.ValueFrom != nil && e.ValueFrom.FieldRef != nil {
			out[e.Name] = e.ValueFrom.FieldRef.FieldPath
		}
	}
	return out
}

// TestLint: Helm's linter finds nothing, whatever is switched on.
func TestLint(t *testing.T) {
	t.Parallel()
	for name, file := range values(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if out, problems, err := helm(t, "lint", "--strict", dir, "--values", file); err != nil {
				t.Errorf("%v\n%s%s", err, out, problems)
			}
		})
	}
	if out, problems, err := helm(t, "lint", "--strict", dir); err != nil {
		t.Errorf("without values: %v\n%s%s", err, out, problems)
	}
}

// TestObjects: each set of values makes the objects that it should, each in the
// release's namespace, with a name of its own and the labels of the release.
func TestObjects(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"one": {"ConfigMap", "Secret", "Service", "Service", "ServiceAccount", "StatefulSet"},
		"three": {"ConfigMap", "Ingress", "NetworkPolicy", "PodDisruptionBudget", "PrometheusRule", "Secret", "Service", "Service", "Service",
			"ServiceAccount", "ServiceMonitor", "StatefulSet"},
		"five": {"ConfigMap", "NetworkPolicy", "Service", "Service", "Service", "ServiceAccount", "StatefulSet"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := render(t, "--values", values(t)[name])
			var kinds []string
			seen := map[string]bool{}
			for _, o := range m.all {
				kind := o.GetObjectKind().GroupVersionKind().Kind
				kinds = append(kinds, kind)
				meta := objectMeta(t, o)
				if meta.Namespace != space || meta.Labels["app.kubernetes.io/instance"] != release || meta.Labels["app.kubernetes.io/managed-by"] != "Helm" {
					t.Errorf("%s: %+v", kind, meta)
				}
				if key := kind + "/" + meta.Name; seen[key] {
					t.Errorf("%s twice", key)
				} else {
					seen[key] = true
				}
			}
			slices.Sort(kinds)
			if !slices.Equal(kinds, want) {
				t.Errorf("%v, want %v", kinds, want)
			}
		})
	}
}

// TestPackage: the chart can be packaged, and the package renders the same.
func TestPackage(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	if _, problems, err := helm(t, "package", dir, "--destination", out); err != nil {
		t.Fatalf("%v\n%s", err, problems)
	}
	file := values(t)["three"]
	packed, err := filepath.Glob(out + "/kazoohook-*.tgz")
	if err != nil || len(packed) != 1 {
		t.Fatal(packed, err)
	}
	text, problems, err := helm(t, "template", release, packed[0], "--namespace", space, "--values", file)
	if err != nil {
		t.Fatalf("%v\n%s", err, problems)
	}
	if want := render(t, "--values", file).text; text != want {
		t.Error("the package renders otherwise than the directory")
	}
	list, err := exec.CommandContext(context.WithoutCancel(t.Context()), "tar", "tzf", packed[0]).Output()
	if err != nil || strings.Contains(string(list), "/ci/") || !strings.Contains(string(list), "/files/alerts.yaml") {
		t.Errorf("%v\n%s", err, list)
	}
}
