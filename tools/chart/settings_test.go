package chart

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSettings: the program accepts the settings in the form in which the chart
// passes them, and gives each its meaning.
func TestSettings(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "kazoohook")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/kazoohook")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, want := range map[string][]string{
		"one":   {"kazoo_username: webhooks", "public_url: https://hooks.example.com", "admin_addr: 127.0.0.1:9090"},
		"three": {"cluster_peers:", "kazoohook-1.kazoohook-nodes.phones.svc:6222", "cluster_size: 3", "cluster_node: kazoohook-0", "admin_addr: :9090", "public_url: https://example.com/hooks"},
		"five":  {"cluster_size: 5", "kazoohook-4.kazoohook-nodes.phones.svc:6222", "tls_cert_file:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := render(t, "--values", values(t)[name])
			root := mounted(t, m)
			cmd := exec.CommandContext(t.Context(), program, "config")
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + root}
			for k, v := range m.env(t) {
				if v == "metadata.name" {
					v = m.set.Name + "-0"
				}
				if strings.HasPrefix(v, "/") {
					v = root + v
				}
				cmd.Env = append(cmd.Env, k+"="+v)
			}
			out, err := cmd.Output()
			if err != nil {
				var problems []byte
				if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // Output's own
					problems = exit.Stderr
				}
				t.Fatalf("%v\n%s", err, problems)
			}
			plain := strings.NewReplacer(`"`, "", "'", "").Replace(string(out))
			for _, w := range want {
				if !strings.Contains(plain, w) {
					t.Errorf("lacks %q:\n%s", w, out)
				}
			}
		})
	}
}

// mounted writes the files of a pod: the configuration, and each file of a secret
// that a variable names.
func mounted(t *testing.T, m *manifests) string {
	t.Helper()
	root := t.TempDir()
	put := func(path, content string) {
		if err := os.MkdirAll(filepath.Dir(root+path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const secrets = "/run/secrets/kazoohook/"
	for k, v := range m.env(t) {
		if strings.HasSuffix(k, "_FILE") {
			put(v, "an-api-key-or-password-of-64-characters-0123456789-0123456789-01")
		}
	}
	if m.secret != nil {
		for k, v := range m.secret.StringData {
			put(secrets+k, v)
		}
	}
	env := m.env(t)
	put(env["KAZOOHOOK_CONFIG"], strings.ReplaceAll(m.config.Data["config.yaml"], secrets, root+secrets))
	if cert := env["TLS_CERT_FILE"]; cert != "" {
		public, private := certificate(t)
		put(cert, public)
		put(env["TLS_KEY_FILE"], private)
	}
	return root
}

// TestSecretsAreKnown: the chart and its schema know each secret that the
// program's documentation lists, and no other.
func TestSecretsAreKnown(t *testing.T) {
	t.Parallel()
	var want []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)`, `([A-Z_]+)_FILE` ").FindAllStringSubmatch(read(t, "docs/configuration.md"), -1) {
		want = append(want, strings.ToLower(row[1]))
	}
	slices.Sort(want)
	if len(want) < 9 {
		t.Fatalf("only %v in the documentation", want)
	}
	chart := strings.Fields(regexp.MustCompile(`knownSecrets" -}}\n(.*)\n`).FindStringSubmatch(read(t, "deploy/helm/templates/_helpers.tpl"))[1])
	slices.Sort(chart)
	same(t, chart, want)
	var schema struct {
		Properties struct {
			Secrets struct {
				Properties struct {
					Settings struct{ Items struct{ Enum []string } }
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(read(t, "deploy/helm/values.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	known := schema.Properties.Secrets.Properties.Settings.Items.Enum
	slices.Sort(known)
	same(t, known, want)
}

// TestDocumentedValues: the chart accepts the values in the documentation.
func TestDocumentedValues(t *testing.T) {
	t.Parallel()
	shown := regexp.MustCompile("(?s)```yaml\n# values.yaml\n(.*?)```").FindStringSubmatch(read(t, "docs/operations.md"))
	if shown == nil {
		t.Fatal("docs/operations.md shows none")
	}
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(shown[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	m := render(t, "--values", file, "--values", dir+"/examples/ingress-haproxy.yaml")
	if *m.set.Spec.Replicas != 3 || m.secret != nil || m.ingress == nil {
		t.Errorf("%s", m.text)
	}
}
