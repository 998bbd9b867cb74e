package config

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestChanged: exactly the settings that differ are named, secrets too.
func TestChanged(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("the-password\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := []string{"KAZOO_API_URL=http://kazoo:8000", "KAZOO_USERNAME=a", "KAZOO_PASSWORD_FILE=" + secret, "KAZOO_ACCOUNT_NAME=c", "PUBLIC_URL=http://hooks.example.com"}
	load := func(more ...string) *Config {
		t.Helper()
		c, err := Load(Options{Need: All, Environ: append(slices.Clip(base), more...)})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	one := load()
	if got := one.SecretFiles(); !slices.Equal(got, []string{secret}) {
		t.Errorf("files %q", got)
	}
	for name, c := range map[string]struct {
		more []string
		want []string
	}{
		"nothing":        {nil, nil},
		"the same again": {[]string{"HOOK_RETRIES=3", "PUBLIC_URL=http://hooks.example.com"}, nil},
		"a URL":          {[]string{"PUBLIC_URL=http://hooks.example.org"}, []string{"PUBLIC_URL"}},
		"hooks":          {[]string{"HOOKS=object:device"}, []string{"HOOKS"}},
		"a token":        {[]string{"ADMIN_TOKEN=0123456789abcdef"}, []string{"ADMIN_TOKEN"}},
		"networks":       {[]string{"ALLOW_CIDRS=10.0.0.0/8"}, []string{"ALLOW_CIDRS"}},
		"a hook secret":  {[]string{"HOOK_SECRET=0123456789abcdef"}, []string{"HOOK_SECRET"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := one.Changed(load(c.more...)); !slices.Equal(got, c.want) {
				t.Errorf("%q", got)
			}
		})
	}
	given := load("HOOK_SECRET=0123456789abcdef")
	if got := given.Changed(one); got != nil {
		t.Errorf("without a hook secret: %q", got)
	}
	if !given.DropsHookSecret(one) || given.DropsHookSecret(given) || one.DropsHookSecret(given) || one.DropsHookSecret(one) {
		t.Error("a hook secret that is given no more is not noticed")
	}
	other := *one
	other.KazooPassword = NewSecret("another")
	if got := one.Changed(&other); !slices.Equal(got, []string{"KAZOO_PASSWORD"}) {
		t.Errorf("%q", got)
	}
}

// TestWith: only the named settings and the destinations are taken, with their origins,
// and a hook secret only where there is one.
func TestWith(t *testing.T) {
	t.Parallel()
	load := func(more ...string) *Config {
		t.Helper()
		c, err := Load(Options{Need: All, Environ: with(clustered(more...)...)})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	claim := func(c *Config) map[string]string { return c.ClusterSettings(func(text string) string { return text }) }
	names := []string{"HOOK_SECRET", "FORWARD_URL", "ADMIN_TOKEN"}
	one := load("HOOK_RETRIES=3")
	before := claim(one)
	two := one.With(load("HOOK_RETRIES=4", "HOOK_SECRET=0123456789abcdef", "FORWARD_URL=https://billing.example.com/", "ADMIN_TOKEN=0123456789abcdef"), names)
	if want := load("HOOK_RETRIES=3", "HOOK_SECRET=0123456789abcdef", "FORWARD_URL=https://billing.example.com/"); !maps.Equal(claim(two), claim(want)) {
		t.Errorf("%q", claim(two))
	}
	if two.AdminToken.Empty() || !maps.Equal(claim(one), before) {
		t.Errorf("the token is taken: %v; the former settings: %q", !two.AdminToken.Empty(), claim(one))
	}
	three := two.With(one, names)
	if want := load("HOOK_SECRET=0123456789abcdef"); !maps.Equal(claim(three), claim(want)) || !three.AdminToken.Empty() {
		t.Errorf("%q", claim(three))
	}
}
