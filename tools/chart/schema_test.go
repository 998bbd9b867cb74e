package chart

import (
	"encoding/json"
	"os"
	"testing"

	core "k8s.io/api/core/v1"
)

// schema is the part of values.schema.json that TestEveryEnum reads.
type schema struct {
	Properties map[string]schema `json:"properties"`
	Items      *schema           `json:"items"`
	Enum       []any             `json:"enum"`
}

// enums calls use with each value that an enum allows, as an argument of --set-json. A list
// gets all of its values at once.
func (s schema) enums(path string, use func(path string, value any)) {
	for name, property := range s.Properties {
		property.enums(path+"."+name, use)
	}
	for _, value := range s.Enum {
		use(path[1:], value)
	}
	if s.Items != nil && s.Items.Enum != nil {
		use(path[1:], s.Items.Enum)
	}
}

// TestEveryEnum: the templates take every value that the schema allows, for a cluster.
func TestEveryEnum(t *testing.T) {
	t.Parallel()
	var s schema
	if err := json.Unmarshal([]byte(read(t, "deploy/helm/values.schema.json")), &s); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	s.enums("", func(path string, value any) {
		seen[path]++
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(path+"="+string(text), func(t *testing.T) {
			t.Parallel()
			render(t, "--values", values(t)["five"], "--set-json", path+"="+string(text))
		})
	})
	for path, n := range map[string]int{"antiAffinity": 4, "image.pullPolicy": 3, "secrets.settings": 1, "service.type": 3} {
		if seen[path] != n {
			t.Errorf("%s has %d values", path, seen[path])
		}
	}
}

// TestAntiAffinity: each value does what values.yaml says. Helm reads off without quotes
// as false.
func TestAntiAffinity(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]func(*core.Affinity) bool{
		"off":   func(a *core.Affinity) bool { return a == nil },
		`"off"`: func(a *core.Affinity) bool { return a == nil },
		"preferred": func(a *core.Affinity) bool {
			return len(a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution) == 1
		},
		"required": func(a *core.Affinity) bool {
			return len(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution) == 1
		},
	} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			file := t.TempDir() + "/values.yaml"
			if err := os.WriteFile(file, []byte("antiAffinity: "+value+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			m := render(t, "--values", values(t)["five"], "--values", file)
			if a := m.set.Spec.Template.Spec.Affinity; !want(a) {
				t.Errorf("%+v", a)
			}
		})
	}
}
