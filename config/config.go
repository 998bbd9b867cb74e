// Package config reads the settings of kazoohook: defaults, then a YAML file,
// then the environment, then the flags that were really given. It reports
// every problem at once, in words for the person who has to mend it.
package config

import (
	"net/netip"
	"net/url"
	"time"
)

// Config is the effective configuration. Each field carries the name of its
// environment variable; the YAML key is that name in lower case and the flag
// the same with dashes. The comment of a field is its documentation everywhere:
// help text, README and docs/configuration.md are made from it.
type Config struct {
	// Base URL of Kazoo's API (Crossbar), with or without `/v2`.
	//
	// Default: required
	//
	// Reason: no cluster can be guessed.
	KazooAPIURL *url.URL `env:"KAZOO_API_URL" group:"kazoo"`

	// Name of the user to log in as; needs `KAZOO_PASSWORD` and the account's
	// name or realm.
	//
	// Default: none
	//
	// Reason: one of user name and password, credentials or API key has to be given.
	KazooUsername string `env:"KAZOO_USERNAME" group:"kazoo"`

	// Password of that user. It is hashed here into Kazoo's credentials and
	// never sent.
	//
	// Default: none
	//
	// Reason: see `KAZOO_USERNAME`.
	KazooPassword Secret `env:"KAZOO_PASSWORD" group:"kazoo"`

	// How name and password are hashed, and of which kind `KAZOO_CREDENTIALS`
	// are: `md5` or `sha1`.
	//
	// Default: `md5`
	//
	// Reason: it is what Kazoo assumes when a login doesn't say.
	KazooHash Hash `env:"KAZOO_HASH" group:"kazoo"`

	// Lower-case hex digest of `username:password`, instead of name and password.
	//
	// Default: none
	//
	// Reason: see `KAZOO_USERNAME`.
	KazooCredentials Secret `env:"KAZOO_CREDENTIALS" group:"kazoo"`

	// Name of the account to log in to; this or `KAZOO_ACCOUNT_REALM` is needed
	// with a user name or credentials.
	//
	// Default: none
	//
	// Reason: a user name is unique only within an account.
	KazooAccountName string `env:"KAZOO_ACCOUNT_NAME" group:"kazoo"`

	// Realm (SIP domain) of the account to log in to, instead of its name.
	//
	// Default: none
	//
	// Reason: see `KAZOO_ACCOUNT_NAME`.
	KazooAccountRealm string `env:"KAZOO_ACCOUNT_REALM" group:"kazoo"`

	// API key of an account (64 characters), instead of a user's credentials.
	//
	// Default: none
	//
	// Reason: see `KAZOO_USERNAME`.
	KazooAPIKey Secret `env:"KAZOO_API_KEY" group:"kazoo"`

	// Id of the account to register hooks on (32 lower-case hexadecimal digits).
	//
	// Default: the account of the login
	//
	// Reason: it is the only account known to be allowed.
	KazooAccountID string `env:"KAZOO_ACCOUNT_ID" group:"kazoo"`

	// Requests a second that we send to Kazoo's API at most.
	//
	// Default: `5`
	//
	// Reason: Kazoo refills its bucket with 10 a second for all clients of an
	// address together; half of that leaves room for others.
	KazooAPIRate float64 `env:"KAZOO_API_RATE" group:"kazoo" accept:"more than 0 and at most 10, e.g. 5 or 0.5"`

	// File of PEM certificates to verify Kazoo's TLS certificate with, beside
	// the system's.
	//
	// Default: none
	//
	// Reason: the system's certificates do for a public certificate.
	KazooCAFile string `env:"KAZOO_CA_FILE" group:"kazoo"`

	// Don't verify Kazoo's TLS certificate. Warns at every start.
	//
	// Default: `false`
	//
	// Reason: without verification anyone on the way can take the login.
	KazooInsecureTLS bool `env:"KAZOO_INSECURE_TLS" group:"kazoo"`

	// Base URL under which Kazoo reaches this service; the hook's path is added
	// to it.
	//
	// Default: required
	//
	// Reason: behind proxies and address translation it can't be known from inside.
	PublicURL *url.URL `env:"PUBLIC_URL" group:"delivery"`

	// Secret path segment of the hook's URL: whoever knows it can post events.
	// At least 16 characters of `A-Z a-z 0-9 . _ ~ -`.
	//
	// Default: generated once, kept in `DATA_DIR`
	//
	// Reason: Kazoo signs nothing, so the secret must be there, and must not
	// change at a restart.
	HookSecret Secret `env:"HOOK_SECRET" group:"delivery"`

	// Former `HOOK_SECRET`, still accepted while the hooks move to the new one.
	//
	// Default: none
	//
	// Reason: only needed while rotating.
	HookSecretPrevious Secret `env:"HOOK_SECRET_PREVIOUS" group:"delivery"`

	// Fetch a nonce from ourselves through `PUBLIC_URL` now and then and say so
	// when it doesn't arrive: `on` or `off`.
	//
	// Default: `off`
	//
	// Reason: many networks don't let a service reach its own public address.
	SelfCheck Switch `env:"SELF_CHECK" group:"delivery"`

	// What to hear of, separated by commas: `hook[:type[:action]]`, e.g.
	// `object:user:doc_deleted`, `object:device` (all actions),
	// `notifications:new_user`, `channel_create`.
	//
	// Default: `object:user:doc_deleted`
	//
	// Reason: deleted users are what the service was made for; every further
	// hook costs Kazoo work.
	Hooks Hooks `env:"HOOKS" group:"hooks"`

	// Owner mark: the first word of our hooks' names in Kazoo. Hooks without it
	// are never touched, so two deployments on one account need two marks.
	//
	// Default: `kazoohook`
	//
	// Reason: one deployment on an account is the usual case.
	HookName string `env:"HOOK_NAME" group:"hooks"`

	// Tries that Kazoo makes when the connection fails (0 to 4).
	//
	// Default: `3`
	//
	// Reason: two seconds lie between tries and each counts as a failure of six
	// that switch the hook off: three bridge a restart and leave a margin.
	HookRetries int `env:"HOOK_RETRIES" group:"hooks" accept:"0 to 4"`

	// Also hear of what happens in the account's sub-accounts.
	//
	// Default: `false`
	//
	// Reason: a reseller may have thousands of them.
	IncludeSubaccounts bool `env:"INCLUDE_SUBACCOUNTS" group:"hooks"`

	// Time between two checks that our hooks are registered, unchanged and
	// enabled; some jitter is added.
	//
	// Default: `30s`
	//
	// Reason: Kazoo needs at least 15 seconds to switch a failing hook off, and
	// while it is off nothing is recorded.
	ReconcileInterval time.Duration `env:"RECONCILE_INTERVAL" group:"engine"`

	// Time between two comparisons of Kazoo's objects with our snapshot; one
	// more follows every gap.
	//
	// Default: `6h`
	//
	// Reason: it only finds what nothing else noticed, and lists every object.
	ResyncInterval time.Duration `env:"RESYNC_INTERVAL" group:"engine"`

	// Deletions that a resync may report by itself; more at once wait for
	// `kazoohook resync --confirm`. A number, or `auto`: the larger of 20 and
	// 10 % of the known objects.
	//
	// Default: `auto`
	//
	// Reason: a broken listing looks like a mass deletion.
	ResyncMaxDeletions MaxDeletions `env:"RESYNC_MAX_DELETIONS" group:"engine"`

	// Address of the public listener, which Kazoo posts to.
	//
	// Default: `:8080`
	//
	// Reason: needs no privilege, and is what proxies and platforms expect.
	ListenAddr Addr `env:"LISTEN_ADDR" group:"listen"`

	// Address of the admin listener (page, metrics, API), or `off`.
	//
	// Default: `127.0.0.1:9090`
	//
	// Reason: events are personal data; only this machine may read them unless
	// an `ADMIN_TOKEN` is set.
	AdminAddr Addr `env:"ADMIN_ADDR" group:"listen"`

	// Token that the admin listener asks for, 16 characters or more; required
	// where its address is not loopback.
	//
	// Default: none
	//
	// Reason: on loopback the machine's own users are trusted.
	AdminToken Secret `env:"ADMIN_TOKEN" group:"listen"`

	// Networks of proxies whose `X-Forwarded-For` is believed, as CIDR or
	// single addresses.
	//
	// Default: none
	//
	// Reason: anyone can send the header.
	TrustedProxies []netip.Prefix `env:"TRUSTED_PROXIES" group:"listen"`

	// Networks that may post events, as CIDR or single addresses: Kazoo's.
	//
	// Default: none, which allows all
	//
	// Reason: a cluster's addresses are seldom known and change; the secret
	// protects meanwhile.
	AllowCIDRs []netip.Prefix `env:"ALLOW_CIDRS" group:"listen"`

	// Time that a stop waits for running requests.
	//
	// Default: `10s`
	//
	// Reason: what container platforms grant before they kill.
	ShutdownTimeout time.Duration `env:"SHUTDOWN_TIMEOUT" group:"listen"`

	// Directory of the journal and the generated secret.
	//
	// Default: `./data`
	//
	// Reason: works without privilege; the container image sets `/data`.
	DataDir string `env:"DATA_DIR" group:"journal"`

	// Age from which events are removed from the journal. With less than 10m, one
	// whose answer to Kazoo was lost may be told twice.
	//
	// Default: `720h`
	//
	// Reason: about as long as Kazoo keeps its own record of failed attempts.
	JournalRetention time.Duration `env:"JOURNAL_RETENTION" group:"journal"`

	// Size from which the oldest events are removed from the journal, e.g.
	// `2GiB`, or `off`.
	//
	// Default: `off`
	//
	// Reason: removing history for room is the operator's decision.
	JournalMaxBytes Size `env:"JOURNAL_MAX_BYTES" group:"journal"`

	// Least severe level that is logged: `trace`, `debug`, `info`, `warn` or
	// `error`. Events are logged at any level.
	//
	// Default: `info`
	//
	// Reason: starts, changes and problems, and nothing per request.
	LogLevel LogLevel `env:"LOG_LEVEL" group:"log"`

	// Form of the log: `json`, or `console` for people.
	//
	// Default: `json`
	//
	// Reason: the lines are meant for machines.
	LogFormat LogFormat `env:"LOG_FORMAT" group:"log"`

	// Warnings says what is allowed but probably not meant, one sentence each.
	Warnings []string

	origins map[string]string
}

// Default returns the configuration before anything was read.
func Default() *Config {
	return &Config{
		KazooHash:          MD5,
		KazooAPIRate:       5,
		Hooks:              Hooks{{Hook: "object", Type: "user", Action: "doc_deleted"}},
		HookName:           "kazoohook",
		HookRetries:        3,
		ReconcileInterval:  30 * time.Second,
		ResyncInterval:     6 * time.Hour,
		ResyncMaxDeletions: AutoDeletions,
		ListenAddr:         ":8080",
		AdminAddr:          "127.0.0.1:9090",
		ShutdownTimeout:    10 * time.Second,
		DataDir:            "./data",
		JournalRetention:   720 * time.Hour,
		LogLevel:           LogInfo,
		LogFormat:          LogJSON,
	}
}
