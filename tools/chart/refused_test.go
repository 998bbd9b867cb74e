package chart

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// same fails for two values that differ.
func same(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestRefused: values that would make a cluster worse than one node, or that make no
// receiver, are refused with the reason.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, set string
		want      []string
	}{
		"two nodes": {"three", "replicaCount=2",
			[]string{"replicaCount is 2, which is worse than 1: if either node is lost, the other can't know that it may go on; use 1, 3 or 5"}},
		"four nodes":           {"three", "replicaCount=4", []string{"replicaCount is 4; use 1, or 3, which bears the loss of one node, or 5, which bears the loss of two"}},
		"no nodes":             {"three", "replicaCount=0", []string{"replicaCount is 0; use 1, or 3"}},
		"seven nodes":          {"three", "replicaCount=7", []string{"replicaCount is 7; use 1, or 3"}},
		"half a node":          {"three", "replicaCount=3.5", []string{"/replicaCount", "want integer"}},
		"no cluster secret":    {"one", "replicaCount=3", []string{"a cluster needs cluster_secret, 16 characters or more that all nodes share"}},
		"not among settings":   {"five", "secrets.settings={kazoo_api_key}", []string{"a cluster needs cluster_secret"}},
		"short cluster secret": {"three", "secrets.values.cluster_secret=short", []string{"secrets.values.cluster_secret is too short: it needs 16 characters"}},
		"everything": {"", "", []string{"config.kazoo_api_url is missing", "config.public_url is missing", "no login to Kazoo: the Secret needs kazoo_password",
			"a cluster needs cluster_secret"}},
		"no login":              {"one", "secrets.existing=mine,secrets.settings={admin_token}", []string{"no login to Kazoo", "are both given"}},
		"both Secrets":          {"one", "secrets.existing=mine", []string{"secrets.existing and secrets.values are both given"}},
		"settings of no Secret": {"one", "secrets.settings={kazoo_api_key}", []string{"secrets.settings is given without secrets.existing"}},
		"monitor without token": {"one", "serviceMonitor.enabled=true", []string{"serviceMonitor.enabled needs admin_token in the Secret"}},
		"secret in the file":    {"one", "config.kazoo_password=hunter2", []string{"config.kazoo_password is a secret"}},
		"cluster in the file":   {"one", "config.cluster_peers=a:1", []string{"config.cluster_peers is not yours to give"}},
		"data directory":        {"one", "config.data_dir=/elsewhere", []string{"config.data_dir is not yours to give"}},
		"unknown secret":        {"five", "secrets.settings={kazoo_secret}", []string{"/secrets/settings/0"}},
		"unknown value":         {"one", "replicas=3", []string{"replicas", "not allowed"}},
		"unknown nested value":  {"one", "image.name=x", []string{"/image", "name", "not allowed"}},
		"unknown affinity":      {"one", "antiAffinity=sometimes", []string{"/antiAffinity"}},
		"size without a unit":   {"one", "persistence.size=big", []string{"/persistence/size"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"template", release, dir}
			if c.file != "" {
				args = append(args, "--values", values(t)[c.file])
			}
			if c.set != "" {
				args = append(args, "--set", c.set)
			}
			out, problems, err := helm(t, args...)
			if err == nil {
				t.Fatalf("was taken:\n%s", out)
			}
			for _, want := range c.want {
				if !strings.Contains(problems, want) {
					t.Errorf("%q lacks %q", problems, want)
				}
			}
			if strings.Contains(problems, "hunter2") {
				t.Errorf("shows a secret: %s", problems)
			}
		})
	}
}
