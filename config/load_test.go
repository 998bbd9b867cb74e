package config

import (
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestPrecedence gives one variable in every combination of places.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(file, []byte("reconcile_interval: 1m\nhook_name: from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file, env, flag string
		want            time.Duration
		origin          string
	}{
		"none":                      {"", "", "", 30 * time.Second, FromDefault},
		"file":                      {file, "", "", time.Minute, FromFile},
		"env":                       {"", "2m", "", 2 * time.Minute, FromEnv},
		"env over file":             {file, "2m", "", 2 * time.Minute, FromEnv},
		"flag":                      {"", "", "3m", 3 * time.Minute, FromFlag},
		"flag over all":             {file, "2m", "3m", 3 * time.Minute, FromFlag},
		"flag equal to the default": {file, "2m", "30s", 30 * time.Second, FromFlag},
		"env equal to the default":  {file, "30s", "", 30 * time.Second, FromEnv},
		"a weaker wrong one":        {file, "soon", "3m", 3 * time.Minute, FromFlag},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flags := map[string]string{}
			if c.flag != "" {
				flags["RECONCILE_INTERVAL"] = c.flag
			}
			got, err := Load(Options{File: c.file, Environ: []string{"RECONCILE_INTERVAL=" + c.env}, Flags: flags, Need: Engine})
			if err != nil {
				t.Fatal(err)
			}
			if got.ReconcileInterval != c.want {
				t.Errorf("got %s, want %s", got.ReconcileInterval, c.want)
			}
			if origin := setting(got, "RECONCILE_INTERVAL").Origin; origin != c.origin {
				t.Errorf("origin %s, want %s", origin, c.origin)
			}
		})
	}
	t.Run("file by variable", func(t *testing.T) {
		t.Parallel()
		got, err := Load(Options{Environ: []string{"KAZOOHOOK_CONFIG=" + file}, Need: HookSet})
		if err != nil || got.HookName != "from-file" {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("an empty flag empties a list", func(t *testing.T) {
		t.Parallel()
		got, err := Load(Options{Environ: []string{"ALLOW_CIDRS=10.0.0.0/8"}, Flags: map[string]string{"ALLOW_CIDRS": ""}, Need: Listen})
		if err != nil || len(got.AllowCIDRs) != 0 {
			t.Errorf("got %v, %v", got.AllowCIDRs, err)
		}
	})
	t.Run("secret file over weaker value", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte("the-token-of-the-flag\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Load(Options{
			Environ: []string{"ADMIN_TOKEN=the-token-of-the-env"},
			Flags:   map[string]string{"ADMIN_TOKEN_FILE": path}, Need: Listen,
		})
		if err != nil || got.AdminToken.Reveal() != "the-token-of-the-flag" {
			t.Errorf("got %v, %v", got, err)
		}
	})
}

func setting(c *Config, variable string) Setting {
	s := c.Settings()
	return s[slices.IndexFunc(s, func(s Setting) bool { return s.Name == variable })]
}

// TestEveryVariable sets each variable and reads its typed value.
func TestEveryVariable(t *testing.T) {
	t.Parallel()
	env := []string{
		"KAZOO_API_URL=http://kazoo:8000/v2/", "KAZOO_CREDENTIALS=00112233445566778899aabbccddeeff00112233", "KAZOO_HASH=sha1",
		"KAZOO_ACCOUNT_REALM=sip.example.com", "KAZOO_ACCOUNT_ID=00112233445566778899aabbccddeeff", "KAZOO_API_RATE=0.5",
		"KAZOO_INSECURE_TLS=yes", "PUBLIC_URL=https://example.com/hooks//", "HOOK_SECRET=0123456789abcdef",
		"HOOK_SECRET_PREVIOUS=fedcba9876543210", "SELF_CHECK=on", "HOOKS=object,notifications:new_user,stream,all", "HOOK_NAME=mine",
		"HOOK_RETRIES=0", "HOOK_FORMAT=form-data", "HOOK_INTERNAL_LEGS=false", "KAZOO_HMAC=off", "INCLUDE_SUBACCOUNTS=true",
		"RECONCILE_INTERVAL=1m", "RESYNC_INTERVAL=1h30m", "ACCOUNTS_INTERVAL=5m", "RESYNC_MAX_DELETIONS=50",
		"LISTEN_ADDR=0.0.0.0:80", "ADMIN_ADDR=off", "ADMIN_TOKEN=0123456789abcdef", "TRUSTED_PROXIES=10.0.0.0/8,::1",
		"ALLOW_CIDRS=192.0.2.7", "ACME_DOMAINS=example.com,www.example.com", "ACME_EMAIL=ops@example.com", "ACME_CA=https://ca.example.com/dir", "ACME_HTTP_ADDR=127.0.0.1:8081", "SHUTDOWN_TIMEOUT=20s", "DATA_DIR=/data", "JOURNAL_RETENTION=24h", "JOURNAL_MAX_BYTES=1.5 gib",
		"LOG_LEVEL=WARN", "LOG_FORMAT=console", "LOG_LINE_MAX=64KiB",
		"FORWARD_URL=https://billing.example.com/kazoo?token=MARKED", "FORWARD_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "FORWARD_EVENTS=user.*, account.deleted", "BACKLOG_MAX=1GiB",
		"CLUSTER_LISTEN=10.0.0.1:6223", "CLUSTER_NODE=one",
	}
	got, err := Load(Options{Environ: env, Need: All})
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		KazooAPIURL:        &url.URL{Scheme: "http", Host: "kazoo:8000", Path: "/v2"},
		KazooCredentials:   NewSecret("00112233445566778899aabbccddeeff00112233"),
		KazooHash:          SHA1,
		KazooAccountRealm:  "sip.example.com",
		KazooAccountID:     "00112233445566778899aabbccddeeff",
		KazooAPIRate:       0.5,
		KazooHMAC:          HMACOff,
		KazooInsecureTLS:   true,
		PublicURL:          &url.URL{Scheme: "https", Host: "example.com", Path: "/hooks"},
		HookSecret:         NewSecret("0123456789abcdef"),
		HookSecretPrevious: NewSecret("fedcba9876543210"),
		SelfCheck:          true,
		Hooks:              Hooks{{"object", "all", "all"}, {"notifications", "new_user", ""}, {"stream", "all", ""}, {"all", "", ""}},
		HookName:           "mine",
		IncludeSubaccounts: true,
		HookFormat:         FormatForm,
		ReconcileInterval:  time.Minute,
		ResyncInterval:     90 * time.Minute,
		AccountsInterval:   Interval(5 * time.Minute),
		ResyncMaxDeletions: 50,
		ListenAddr:         "0.0.0.0:80",
		AcmeDomains:        Domains{"example.com", "www.example.com"},
		AcmeEmail:          "ops@example.com",
		AcmeCA:             &url.URL{Scheme: "https", Host: "ca.example.com", Path: "/dir"},
		AcmeHTTPAddr:       "127.0.0.1:8081",
		AdminToken:         NewSecret("0123456789abcdef"),
		TrustedProxies:     []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		AllowCIDRs:         []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")},
		ShutdownTimeout:    20 * time.Second,
		DataDir:            "/data",
		JournalRetention:   24 * time.Hour,
		JournalMaxBytes:    3 << 29,
		LogLevel:           LogWarn,
		LogFormat:          LogConsole,
		LogLineMax:         64 << 10,
		ForwardURL:         NewAddress("https://billing.example.com/kazoo?token=MARKED"),
		ForwardSecret:      NewSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
		ForwardEvents:      Patterns{"user.*", "account.deleted"},
		BacklogMax:         Backlog{Bytes: 1 << 30},
		ClusterListen:      "10.0.0.1:6223",
		ClusterNode:        "one",
		Destinations: []Destination{{
			Name: "forward", Type: "http", Format: "json", TypePrefix: "kazoohook.", Order: "object", Timeout: 15 * time.Second, Concurrency: 8,
			Events: []string{"user.*", "account.deleted"}, Retry: newDestination("").Retry, RoutingKey: "{{.event}}", Subject: "kazoo.{{.event}}", Table: "kazoo_events",
			URL: NewAddress("https://billing.example.com/kazoo?token=MARKED"), Secret: NewSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
		}},
		Warnings: []string{
			"KAZOO_INSECURE_TLS: Kazoo's certificate is not verified; anyone between us and Kazoo can take the login. Use KAZOO_CA_FILE",
			"CLUSTER_NODE: has no effect without CLUSTER_PEERS",
			`HOOKS: "all" covers the other hooks too; their events come twice`,
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Config{}, Destination{}), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if err := got.Validate(All); err != nil {
		t.Error(err)
	}
	// The values of Settings can be given again, except secrets.
	for _, s := range got.Settings() {
		if s.Secret || s.Value == "" {
			continue
		}
		again := Default()
		if err := s.set(again, s.Value); err != nil {
			t.Errorf("%s=%s: %v", s.Name, s.Value, err)
		} else if v := s.format(again); v != s.Value {
			t.Errorf("%s: %s became %s", s.Name, s.Value, v)
		}
	}
}

// TestGroups proves that settings that a command doesn't need are not read.
func TestGroups(t *testing.T) {
	t.Parallel()
	got, err := Load(Options{Environ: []string{"KAZOO_API_URL=nonsense", "HOOK_RETRIES=x", "DATA_DIR=/data"}, Need: Journal | Listen})
	if err != nil {
		t.Fatal(err)
	}
	if got.DataDir != "/data" || got.HookRetries != 3 {
		t.Errorf("got %+v", got)
	}
}

// TestValidateBuiltInCode checks values that parsing would refuse.
func TestValidateBuiltInCode(t *testing.T) {
	t.Parallel()
	c := Default()
	c.Hooks, c.DataDir, c.AccountsInterval, c.ResyncMaxDeletions = nil, "", 1, -2
	want := []string{
		"HOOKS: names no hook; use hook[:type[:action]], e.g. object:user:doc_deleted",
		`ACCOUNTS_INTERVAL: "1ns" is too short; use 1s or more`,
		`RESYNC_MAX_DELETIONS: "-2" is out of range; use a whole number from 1, or auto`,
		"DATA_DIR: is missing; give a directory that can be written to",
	}
	if diff := cmp.Diff(want, messages(t, c.Validate(HookSet|Engine|Journal))); diff != "" {
		t.Error(diff)
	}
}

// TestWarnings has a case for each warning.
func TestWarnings(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for name, c := range map[string]struct {
		env  []string
		want []string
	}{
		"none": {[]string{"KAZOO_SERVICE_HOST=10.0.0.1", "KAZOO_PORT_8000_TCP=x", "HOOKED=1", "PUBLIC_ULR=x"}, nil},
		"typos": {[]string{"KAZOO_API_ULR=x", "HOOK_SECRETS=x", "KAZOO_PASSWORD_FIEL=x"}, []string{
			"HOOK_SECRETS: is not a setting and has no effect; did you mean HOOK_SECRET?",
			"KAZOO_API_ULR: is not a setting and has no effect; did you mean KAZOO_API_URL?",
			"KAZOO_PASSWORD_FIEL: is not a setting and has no effect; did you mean KAZOO_PASSWORD_FILE?",
		}},
		"account name with key": {[]string{"KAZOO_USERNAME=", "KAZOO_PASSWORD=", "KAZOO_API_KEY=" + key}, []string{
			"KAZOO_ACCOUNT_NAME, KAZOO_ACCOUNT_REALM: have no effect with KAZOO_API_KEY; use KAZOO_ACCOUNT_ID to choose an account",
		}},
		"short memory": {[]string{"JOURNAL_RETENTION=2m"}, []string{
			"JOURNAL_RETENTION: 2m is less than 10m; an event whose answer to Kazoo was lost may then become two events",
		}},
		"unsigned": {[]string{"HOOK_FORMAT=form-data"}, []string{"HOOK_FORMAT: with form-data requests are not signed, because a form can't be verified"}},
		"object type": {[]string{"HOOKS=object:group:doc_edited"}, []string{
			`HOOKS: "object:group:doc_edited" has a type that is not known here; known are all, account, call_recording, callflow, device, fax, faxbox, mailbox_message, media, user, vmbox`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Load(Options{Environ: with(c.env...), Need: All})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got.Warnings); diff != "" {
				t.Error(diff)
			}
		})
	}
}
