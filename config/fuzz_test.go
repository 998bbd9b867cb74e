package config

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzSetting gives one variable any text. Either it is accepted, and its shown value
// means the same when it is given again, or it is refused with a message about that
// variable. No secret is repeated.
func FuzzSetting(f *testing.F) {
	seeds := map[string][]string{
		"KAZOO_API_URL":        {"http://u:MARKED@x", "//x", "http://[::1", "https://x:99999", "http://x/?a#b", "http://x/%zz", "HTTP://X:8000/v2/"},
		"PUBLIC_URL":           {"http://localhost", "http://127.0.0.1:1", "https://h.example/base/", "http://0x7f.1", "http://user@h"},
		"RECONCILE_INTERVAL":   {"1s", "0", "-5m", "1e9h", "9223372036854775807ns", "1.5h30m"},
		"JOURNAL_MAX_BYTES":    {"500MiB", "1.5 GB", "1e400", "NaN", "Inf", "0x10", "-1", "off", "9223372036854775807"},
		"KAZOO_API_RATE":       {"5", "0", "NaN", "+Inf", "1e-9", "0x1p-2"},
		"TRUSTED_PROXIES":      {"10.0.0.0/8,::1", "10.0.0.1/8", "fe80::1%eth0", "0.0.0.0/0", ",", "1.2.3.4/33", "::ffff:10.0.0.1/104"},
		"ALLOW_CIDRS":          {"198.51.100.7", "2001:db8::/32, 192.0.2.0/24", "x"},
		"LISTEN_ADDR":          {":8080", "off", "[::1]:1", "a b:1", ":http", ":65536", ":08"},
		"ADMIN_ADDR":           {"0.0.0.0:1", "localhost:1", "127.0.0.1:9090"},
		"HOOK_SECRET":          {"short-MARKED", "MARKED-with spaces in it", "MARKED/slash/slash/slash", "MARKED-long-enough-0123"},
		"ADMIN_TOKEN":          {"MARKED\x00-0123456789abcdef", "MARKED-äöü-0123456789abcdef", "MARKED-0123456789abcdef"},
		"KAZOO_PASSWORD":       {"MARKED", "MARKED\nMARKED"},
		"KAZOO_CREDENTIALS":    {"MARKED", strings.Repeat("a", 32)},
		"KAZOO_API_KEY":        {"MARKED", strings.Repeat("k", 64)},
		"HOOKS":                {"object:user", "all", "object::", "notifications:new_user,sms"},
		"HOOK_NAME":            {"mine", "a b", "", strings.Repeat("x", 300)},
		"RESYNC_MAX_DELETIONS": {"auto", "0", "5", "99999999999999999999"},
		"KAZOO_ACCOUNT_ID":     {strings.Repeat("a", 32), "../x", "A"},
		"LOG_LEVEL":            {"TRACE", "none"},
		"SELF_CHECK":           {"on", "maybe"},
		"FORWARD_URL":          {"https://u:MARKED@h", "https://h/MARKED-0123456789abc/x?token=MARKED&a=b", "h", "ftp://h", "https://h/#", "https://@h:0", "http://h?a=b,nats://u:p@h"},
		"FORWARD_SECRET":       {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MARKED", "MARKED"},
		"FORWARD_EVENTS":       {"user.deleted, channel.*", "*", "a b", "\"x\""},
		"BACKLOG_MAX":          {"10GiB,90d", "1GiB", "7d", "1d,2d", "0", "1d12h,1.5GB"},
	}
	variables := Variables()
	for i, v := range variables {
		for _, s := range append(seeds[v.Name], "", "x", "\xff", "\x00") {
			f.Add(uint8(i), s)
		}
	}
	dir := f.TempDir()
	load := func(name, text string) (*Config, error) {
		environ := []string{
			"KAZOO_API_URL=http://kazoo:8000", "KAZOO_USERNAME=a", "KAZOO_PASSWORD=b", "KAZOO_ACCOUNT_NAME=c",
			"PUBLIC_URL=http://hooks.example.com", "DATA_DIR=" + filepath.Join(dir, "data"), name + "=" + text,
		}
		return Load(Options{Need: All, Environ: environ})
	}
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		v := variables[int(which)%len(variables)]
		if strings.HasSuffix(v.Name, "_FILE") {
			return // any file may be named
		}
		cfg, err := load(v.Name, text)
		if err != nil {
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("%s=%q: %v", v.Name, text, err)
			}
			if v.Secret && len(text) > 5 && strings.Contains(err.Error(), text) {
				t.Fatalf("%s=%q is repeated: %v", v.Name, text, err)
			}
			for _, p := range problems {
				if p.Text == "" || strings.ContainsAny(p.Error(), "\n\r\x1b") {
					t.Fatalf("%s=%q: problem %q", v.Name, text, p.Error())
				}
			}
			return
		}
		shown := func(c *Config) string {
			for _, s := range c.Settings() {
				if s.Name == v.Name {
					return s.Value
				}
			}
			return ""
		}
		was := shown(cfg)
		if v.Secret {
			if was != masked && was != "" {
				t.Fatalf("%s is shown as %q", v.Name, was)
			}
			return
		}
		again, err := load(v.Name, was)
		if err != nil || shown(again) != was {
			t.Fatalf("%s=%q is shown as %q, which gives %v", v.Name, text, was, err)
		}
	})
}
