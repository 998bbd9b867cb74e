package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFile(t *testing.T) {
	t.Parallel()
	var accepted []string
	for k := range fileKeys() {
		accepted = append(accepted, k)
	}
	for name, c := range map[string]struct {
		yaml string
		want values
		bad  []string
	}{
		"empty":         {"", values{}, nil},
		"only comments": {"# nothing\n", values{}, nil},
		"null":          {"~\n", values{}, nil},
		"one":           {"hook_name: mine\n", values{"HOOK_NAME": "mine"}, nil},
		"as written": {"# head\nhook_retries: 0x3\nkazoo_password: 0123\nhook_secret: '12345678901234567890'\nself_check: off\ninclude_subaccounts: true # yes\nkazoo_api_rate: .5\nlisten_addr: \":8080\"\n",
			values{"HOOK_RETRIES": "0x3", "KAZOO_PASSWORD": "0123", "HOOK_SECRET": "12345678901234567890", "SELF_CHECK": "off", "INCLUDE_SUBACCOUNTS": "true", "KAZOO_API_RATE": ".5", "LISTEN_ADDR": ":8080"}, nil},
		"lists":            {"hooks:\n  - object:user:doc_deleted\n  - sms\nallow_cidrs: [10.0.0.0/8, 192.0.2.7]\ntrusted_proxies: []\n", values{"HOOKS": "object:user:doc_deleted,sms", "ALLOW_CIDRS": "10.0.0.0/8,192.0.2.7"}, nil},
		"comma list":       {"hooks: object:user,sms\n", values{"HOOKS": "object:user,sms"}, nil},
		"not given":        {"hook_name:\nhook_secret: ''\ndata_dir: null\n", values{}, nil},
		"escapes":          {"kazoo_password: \"a\\tb \\u00e9\"\n", values{"KAZOO_PASSWORD": "a\tb é"}, nil},
		"block":            {"kazoo_password: |\n  two words\n", values{"KAZOO_PASSWORD": "two words"}, nil},
		"secret file":      {"hook_secret_file: /run/secrets/s\n", values{"HOOK_SECRET_FILE": "/run/secrets/s"}, nil},
		"numbers gone mad": {"kazoo_api_rate: .inf\n", values{"KAZOO_API_RATE": ".inf"}, nil},
		"flow":             {"{hook_name: mine, data_dir: /data}\n", values{"HOOK_NAME": "mine", "DATA_DIR": "/data"}, nil},
		"twice":            {"hook_name: a\nhook_name: b\n", nil, []string{`is not YAML: line 2: mapping key "hook_name" already defined at [1:1]`}},
		"nested":           {"hooks:\n  object: user\n", values{}, []string{"line 1: hooks takes a single value or a list of them"}},
		"nested list":      {"hooks: [[a]]\n", values{}, []string{"line 1: hooks takes a single value or a list of them"}},
		"alias":            {"hook_name: &a x\ndata_dir: *a\n", values{}, []string{"line 1: hook_name takes a single value or a list of them", "line 2: data_dir takes a single value or a list of them"}},
		"a list":           {"- hook_name\n", values{}, []string{"line 1: holds no settings; use lines like \"kazoo_api_url: https://example.com:8443\""}},
		"two documents":    {"hook_name: a\n---\nhook_name: b\n", values{"HOOK_NAME": "a"}, []string{"line 3: holds a second document; use one"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _, bad := parseFile([]byte(c.yaml))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.bad, bad); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("unknown key", func(t *testing.T) {
		t.Parallel()
		_, _, bad := parseFile([]byte("hook_name: mine\nkazoo_api_ulr: x\nqqqqqqqq: x\n"))
		if len(bad) != 2 || !strings.HasPrefix(bad[0], `line 2: "kazoo_api_ulr" is not a setting; did you mean kazoo_api_url? (accepted are accounts_interval, acme_ca, `) ||
			!strings.HasPrefix(bad[1], `line 3: "qqqqqqqq" is not a setting; accepted are accounts_interval, acme_ca, `) {
			t.Errorf("%q", bad)
		}
		for _, k := range accepted {
			if !strings.Contains(bad[1], k) {
				t.Errorf("%s is not listed", k)
			}
		}
	})
	t.Run("syntax error shows no content", func(t *testing.T) {
		t.Parallel()
		_, _, bad := parseFile([]byte("kazoo_password: \"MARKED-SECRET\nhook_name: [\n"))
		if len(bad) != 1 || !strings.HasPrefix(bad[0], "is not YAML: ") || strings.Contains(bad[0], "MARKED") {
			t.Errorf("%q", bad)
		}
	})
}

// TestFileProblems checks how Load reports problems of a file.
func TestFileProblems(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "settings.yaml")
	if err := os.WriteFile(path, []byte("hooks: {}\nhook_retries: 9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(Options{File: path, Need: HookSet})
	want := []string{
		`"settings.yaml" line 1: hooks takes a single value or a list of them`,
		`HOOK_RETRIES: "9" is out of range; Kazoo accepts 0 to 4`,
	}
	if diff := cmp.Diff(want, messages(t, err)); diff != "" {
		t.Error(diff)
	}
	missing := filepath.Join(dir, "missing.yaml")
	_, err = Load(Options{File: missing, Need: All}) // settings that the file may hold are not reported as missing
	if diff := cmp.Diff([]string{`"` + missing + `" can't be read: no such file or directory`}, messages(t, err)); diff != "" {
		t.Error(diff)
	}
}

func FuzzConfigFile(f *testing.F) {
	for _, seed := range []string{
		"", "hook_name: mine\n", "hooks:\n  - sms\n  - object:user\n", "hook_name: &a x\ndata_dir: *a\n", "a: b: c", "- x", "---\n---\n",
		"? [a]\n: b\n", "hook_name: !!binary aGk=\n", "hook_name: |\n  x\n", "\tx", "{", "<<: *x\n", "hook_name: \"\\u0000\"",
	} {
		f.Add([]byte(seed))
	}
	known := fileKeys()
	names := map[string]bool{}
	for _, n := range known {
		names[n] = true
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		vals, _, bad := parseFile(content)
		for n, v := range vals {
			if !names[n] || v == "" {
				t.Errorf("%q: %q", n, v)
			}
		}
		for _, b := range bad {
			if b == "" {
				t.Error("an empty problem")
			}
		}
	})
}
