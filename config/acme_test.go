package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestACMEDefaults: with ACME_DOMAINS alone the listener is public on port 443.
func TestACMEDefaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set           []string
		need          Group
		listen, where string
	}{
		"domains alone":            {[]string{"PUBLIC_URL=", "ACME_DOMAINS=Hooks.Example.com, www.example.com"}, All, ":443", "https://hooks.example.com"},
		"without the listeners":    {[]string{"PUBLIC_URL=", "ACME_DOMAINS=hooks.example.com"}, Kazoo | Delivery, ":443", "https://hooks.example.com"},
		"an address of one's own":  {[]string{"PUBLIC_URL=", "ACME_DOMAINS=hooks.example.com", "LISTEN_ADDR=:8080"}, All, ":8080", "https://hooks.example.com"},
		"a URL of one's own":       {[]string{"PUBLIC_URL=https://www.example.com/base", "ACME_DOMAINS=hooks.example.com,www.example.com"}, All, ":443", "https://www.example.com/base"},
		"a name that isn't ASCII":  {[]string{"PUBLIC_URL=", "ACME_DOMAINS=bücher.example.com"}, All, ":443", "https://xn--bcher-kva.example.com"},
		"no domains":               {nil, All, ":8080", "https://hooks.example.com"},
		"domains without anything": {[]string{"PUBLIC_URL=", "ACME_DOMAINS=,"}, Listen, ":8080", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := Load(Options{Environ: with(c.set...), Need: c.need})
			if err != nil {
				t.Fatal(err)
			}
			where := ""
			if cfg.PublicURL != nil {
				where = cfg.PublicURL.String()
			}
			if cfg.ListenAddr.String() != c.listen || where != c.where {
				t.Errorf("LISTEN_ADDR %s, PUBLIC_URL %s", cfg.ListenAddr, where)
			}
		})
	}
}

// TestACMERules has a case for each rule, with the exact message.
func TestACMERules(t *testing.T) {
	t.Parallel()
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, certificate(t), 0o600); err != nil {
		t.Fatal(err)
	}
	const domains = "ACME_DOMAINS=hooks.example.com"
	for name, c := range map[string]struct {
		set  []string
		want []string
	}{
		"all":           {[]string{domains, "ACME_EMAIL=ops@example.com", "ACME_CA=https://ca.example.com/dir", "ACME_CA_FILE=" + roots, "ACME_HTTP_ADDR=off"}, nil},
		"wildcard":      {[]string{"ACME_DOMAINS=*.example.com"}, []string{`ACME_DOMAINS: "*.example.com" is a wildcard, for which a CA asks DNS; name each host, or use TLS_CERT_FILE`}},
		"only a dot":    {[]string{"PUBLIC_URL=", "ACME_DOMAINS=hooks.example.com."}, []string{`ACME_DOMAINS: "hooks.example.com." is not a host name in DNS; use e.g. hooks.example.com`}},
		"address":       {[]string{"ACME_DOMAINS=192.0.2.1"}, []string{`ACME_DOMAINS: "192.0.2.1" is not a host name in DNS; use e.g. hooks.example.com`}},
		"one label":     {[]string{"ACME_DOMAINS=hooks.example.com,localhost"}, []string{`ACME_DOMAINS: "localhost" is not a host name in DNS; use e.g. hooks.example.com`}},
		"URL":           {[]string{"ACME_DOMAINS=https://hooks.example.com"}, []string{`ACME_DOMAINS: "https://hooks.example.com" is not a host name in DNS; use e.g. hooks.example.com`}},
		"files as well": {[]string{domains, "TLS_CERT_FILE=config.go", "TLS_KEY_FILE=config.go"}, []string{`TLS_CERT_FILE: "config.go" is not a PEM certificate for the key in TLS_KEY_FILE "config.go": failed to find any PEM data in certificate input`, `ACME_DOMAINS: "hooks.example.com" is given together with TLS_CERT_FILE; use either your own certificates or those of a CA`}},
		"email":         {[]string{domains, "ACME_EMAIL=ops"}, []string{`ACME_EMAIL: "ops" is not an email address; use e.g. ops@example.com`}},
		"CA without S":  {[]string{domains, "ACME_CA=http://ca.example.com/dir"}, []string{`ACME_CA: "http://ca.example.com/dir" is not https, without which ACME isn't possible; use the URL of the CA's directory`}},
		"CA file":       {[]string{domains, "ACME_CA_FILE=config.go"}, []string{`ACME_CA_FILE: "config.go" holds no certificate; use a file of PEM certificates`}},
		"CA file gone":  {[]string{domains, "ACME_CA_FILE=/nonexistent.pem"}, []string{`ACME_CA_FILE: "/nonexistent.pem" can't be read: no such file or directory`}},
		"same address":  {[]string{domains, "ACME_HTTP_ADDR=:443"}, []string{`ACME_HTTP_ADDR: ":443" is another listener's address too; use another, or off`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(Options{Environ: with(c.set...), Need: All})
			if got := messages(t, err); !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// TestACMEWarns: a warning names a host of PUBLIC_URL that no certificate covers, and
// settings without effect.
func TestACMEWarns(t *testing.T) {
	t.Parallel()
	for public, want := range map[string]bool{"https://hooks.example.com": false, "https://other.example.com": true, "http://hooks.example.com": true} {
		cfg, err := Load(Options{Environ: with("ACME_DOMAINS=hooks.example.com", "PUBLIC_URL="+public), Need: All})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(cfg.Warnings, "\n"), "PUBLIC_URL: "); got != want {
			t.Errorf("%s: %q", public, cfg.Warnings)
		}
	}
	for _, alone := range []string{"ACME_EMAIL=ops@example.com", "ACME_CA=https://ca.example.com/dir"} {
		cfg, err := Load(Options{Environ: with(alone), Need: All})
		if err != nil || !slices.Contains(cfg.Warnings, "ACME_CA, ACME_CA_FILE, ACME_EMAIL: have no effect without ACME_DOMAINS") {
			t.Errorf("%s: %v", alone, err)
		}
	}
}
