package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// whole is a complete environment, except for a password, which a test adds.
func whole(more ...string) []string {
	return append([]string{
		"KAZOO_API_URL=http://kazoo:8000", "KAZOO_USERNAME=a", "KAZOO_ACCOUNT_NAME=c", "PUBLIC_URL=https://hooks.example.com",
	}, more...)
}

func write(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWhatEditorsAddToSecrets: byte order marks and line ends are not part of a secret,
// in a file or a variable.
func TestWhatEditorsAddToSecrets(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"plain": "pass word", "line": "pass word\n", "Windows": "pass word\r\n", "mark": "\ufeffpass word", "mark and line": "\ufeffpass word\r\n", "lines": "pass word\n\n",
	} {
		cfg, err := Load(Options{Need: All, Environ: whole("KAZOO_PASSWORD_FILE=" + write(t, content, 0o600))})
		if err != nil || cfg.KazooPassword.Reveal() != "pass word" || len(cfg.Warnings) > 0 {
			t.Errorf("%s: %v %v", name, err, cfg)
		}
	}
	cfg, err := Load(Options{Need: All, Environ: whole("KAZOO_PASSWORD=\ufeffpass")})
	if err != nil || cfg.KazooPassword.Reveal() != "pass" {
		t.Error(err)
	}
	_, err = Load(Options{Need: All, Environ: whole("KAZOO_PASSWORD_FILE=" + write(t, "\xff\xfep\x00a\x00", 0o600))})
	if err == nil || !strings.Contains(err.Error(), "is UTF-16 text; save it as UTF-8") {
		t.Error(err)
	}
	yaml := write(t, "\ufeffkazoo_password: pass\nresync_interval: 1d12h\n", 0o600)
	cfg, err = Load(Options{Need: All, File: yaml, Environ: whole()})
	if err != nil || cfg.KazooPassword.Reveal() != "pass" || cfg.ResyncInterval != 36*time.Hour {
		t.Error(err)
	}
}

// TestQuotesOfEnvFiles: quotes are removed where they can't be meant, and named in a
// warning where they may be.
func TestQuotesOfEnvFiles(t *testing.T) {
	t.Parallel()
	cfg, err := Load(Options{Need: All, Environ: []string{
		`KAZOO_API_URL="http://kazoo:8000"`, `KAZOO_USERNAME='ann'`, `KAZOO_PASSWORD="pass"`, `KAZOO_ACCOUNT_NAME="it's"`, `PUBLIC_URL='https://hooks.example.com'`,
		`HOOK_SECRET="0123456789abcdef"`, `HOOK_NAME="`,
	}})
	if err != nil {
		t.Fatal(err)
	}
	for got, want := range map[string]string{
		cfg.KazooAPIURL.String(): "http://kazoo:8000", cfg.KazooUsername: "ann", cfg.KazooPassword.Reveal(): `"pass"`, cfg.KazooAccountName: "it's",
		cfg.PublicURL.String(): "https://hooks.example.com", cfg.HookSecret.Reveal(): "0123456789abcdef", cfg.HookName: `"`,
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	warnings := strings.Join(cfg.Warnings, "\n")
	for _, want := range []string{"KAZOO_API_URL: the quotes around", "KAZOO_PASSWORD: begins and ends with a quote", "HOOK_SECRET: the quotes around"} {
		if !strings.Contains(warnings, want) {
			t.Errorf("no warning %q in\n%s", want, warnings)
		}
	}
	if strings.Contains(warnings, "pass\"") || strings.Contains(warnings, "0123456789abcdef") {
		t.Errorf("a secret is named:\n%s", warnings)
	}
	// Names of files have quotes as often, and a secret's file is the same file whoever names it.
	secret := write(t, "\"0123456789abcdef\"\n", 0o600)
	yaml := write(t, "hook_secret_file: "+secret+"\n", 0o600)
	for _, more := range []string{"HOOK_SECRET_FILE='" + secret + "'", FileVariable + `="` + yaml + `"`} {
		cfg, err := Load(Options{Need: All, Environ: whole("KAZOO_PASSWORD=b", more)})
		if err != nil || cfg.HookSecret.Reveal() != "0123456789abcdef" {
			t.Errorf("%s: %v", more, err)
		} else if name, _, _ := strings.Cut(more, "="); !slices.ContainsFunc(cfg.Warnings, func(w string) bool { return strings.HasPrefix(w, name+": the quotes around") }) {
			t.Errorf("%s: %q", more, cfg.Warnings)
		}
	}
	// In a flag and a YAML file quotes are part of the value.
	cfg, err = Load(Options{Need: All, Environ: whole("KAZOO_PASSWORD=b"), Flags: map[string]string{"HOOK_NAME": `"x"`}})
	if err != nil || cfg.HookName != `"x"` {
		t.Errorf("%v", err)
	}
}

// TestEdgesOfTexts: blanks and typographic quotes around a value that may be any text
// are kept. A warning names them without the value.
func TestEdgesOfTexts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		setting string
		want    []string // begins of warnings
	}{
		"trailing blank":     {"KAZOO_USERNAME=ann ", []string{"KAZOO_USERNAME: ends with a blank"}},
		"blanks":             {"KAZOO_ACCOUNT_NAME=\tacme\u00a0", []string{"KAZOO_ACCOUNT_NAME: begins with a blank", "KAZOO_ACCOUNT_NAME: ends with a blank"}},
		"curly quotes":       {"KAZOO_USERNAME=“ann”", []string{"KAZOO_USERNAME: begins with a typographic quote", "KAZOO_USERNAME: ends with a typographic quote"}},
		"invisible":          {"KAZOO_ACCOUNT_NAME=acme\u200b", []string{"KAZOO_ACCOUNT_NAME: ends with a blank"}},
		"secret in a file":   {"KAZOO_PASSWORD_FILE=" + write(t, "hunter2 \n", 0o600), []string{"KAZOO_PASSWORD: ends with a blank"}},
		"in the middle":      {"KAZOO_ACCOUNT_NAME=acme “east” inc", nil},
		"no text":            {"RECONCILE_INTERVAL=30s", nil},
		"quotes of env file": {"KAZOO_USERNAME='ann '", []string{"KAZOO_USERNAME: the quotes around", "KAZOO_USERNAME: ends with a blank"}},
	} {
		environ := whole("KAZOO_PASSWORD=b", c.setting)
		if strings.HasPrefix(c.setting, "KAZOO_PASSWORD_FILE") {
			environ = whole(c.setting)
		}
		cfg, err := Load(Options{Need: Kazoo, Environ: environ})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := slices.DeleteFunc(cfg.Warnings, func(w string) bool { return !strings.Contains(w, "with a") && !strings.Contains(w, "quotes around") })
		if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if strings.Contains(strings.Join(got, ""), "hunter2") {
			t.Errorf("%s: a secret is named: %q", name, got)
		}
	}
}

// TestHostNames: a name that isn't ASCII is registered in its form for DNS.
func TestHostNames(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://bücher.example":            "https://xn--bcher-kva.example",
		"https://BÜCHER.example:8443/kazoo": "https://xn--bcher-kva.example:8443/kazoo",
		"https://b%C3%BCcher.example":       "https://xn--bcher-kva.example",
		"https://straße.example":            "https://xn--strae-oqa.example",
		"https://例え.テスト":                    "https://xn--r8jz45g.xn--zckzah",
		"https://hooks_1.example.com":       "https://hooks_1.example.com",
		"https://[2001:db8::1]":             "https://[2001:db8::1]",
	} {
		c := Default()
		for _, v := range Variables() {
			if v.Name != "KAZOO_API_URL" {
				continue
			}
			if err := v.set(c, in); err != nil || c.KazooAPIURL.String() != want {
				t.Errorf("%s: %v %v, want %s", in, c.KazooAPIURL, err, want)
			}
			if err := v.set(c, "https://-ü-.exa mple"); err == nil {
				t.Error("an impossible name was taken")
			}
		}
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "1d": 24 * time.Hour, "30d": 720 * time.Hour, "1d12h": 36 * time.Hour, "0d5m": 5 * time.Minute, "-1s": -time.Second,
	} {
		if got, err := parseDuration(in); err != nil || got != want {
			t.Errorf("%s: %s %v", in, got, err)
		}
	}
	for _, in := range []string{"", "d", "1d-1h", "-1d", "1.5d", "1d1d", "soon", "99999d", "12h1d"} {
		if got, err := parseDuration(in); err == nil {
			t.Errorf("%s: %s", in, got)
		}
	}
}

// TestFilesOpenToOthers: a warning names files that other users can read.
func TestFilesOpenToOthers(t *testing.T) {
	t.Parallel()
	for mode, warned := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true} {
		cfg, err := Load(Options{Need: All, Environ: whole("KAZOO_PASSWORD_FILE=" + write(t, "b", mode))})
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.ContainsFunc(cfg.Warnings, func(w string) bool {
			return strings.HasPrefix(w, "KAZOO_PASSWORD_FILE: ") && strings.Contains(w, "can be read by every user")
		}); got != warned {
			t.Errorf("%o: %v", mode, cfg.Warnings)
		}
	}
	cfg := Default()
	cfg.DataDir = filepath.Join(t.TempDir(), "data")
	if open := cfg.OpenToOthers(); open != "" {
		t.Error(open)
	}
	if err := cfg.EnsureHookSecret(); err != nil {
		t.Fatal(err)
	}
	if open := cfg.OpenToOthers(); open != "" {
		t.Error(open)
	}
	secret := filepath.Join(cfg.DataDir, SecretFile)
	if err := os.Chmod(secret, 0o644); err != nil { //nolint:gosec // what is tested
		t.Fatal(err)
	}
	if open := cfg.OpenToOthers(); !strings.Contains(open, secret) {
		t.Error(open)
	}
	if err := os.Chmod(secret, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(cfg.DataDir, 0o755); err != nil { //nolint:gosec // what is tested
		t.Fatal(err)
	}
	if open := cfg.OpenToOthers(); !strings.Contains(open, cfg.DataDir) {
		t.Error(open)
	}
}
