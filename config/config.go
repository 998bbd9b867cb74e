package config

import (
	"net/netip"
	"net/url"
	"time"
)

// Config is the effective configuration. Each field carries the name of its
// environment variable; the YAML key is that name in lower case and the flag
// the same with dashes. The comment of a field is its documentation everywhere:
// help text and docs/configuration.md are made from it.
type Config struct {
	// Base URL of Kazoo's API (Crossbar), with or without `/v2`.
	//
	// Default: required
	//
	// Reason: there is no sensible guess.
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

	// Hash of name and password, and of `KAZOO_CREDENTIALS`: `md5` or `sha1`.
	//
	// Default: `md5`
	//
	// Reason: Kazoo assumes it when a login names none.
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
	// Reason: it is the only account that the login is known to allow.
	KazooAccountID string `env:"KAZOO_ACCOUNT_ID" group:"kazoo"`

	// Most requests a second to Kazoo's API.
	//
	// Default: `5`
	//
	// Reason: Kazoo grants 10 a second to all clients of one address together; half
	// of that leaves room for others.
	KazooAPIRate float64 `env:"KAZOO_API_RATE" group:"kazoo" accept:"more than 0 and at most 10, e.g. 5 or 0.5"`

	// Signed requests: `auto` or `off`. Where the cluster offers version 2 hooks
	// (Kazoo 5), `auto` registers them with a generated key, kept in DATA_DIR, and
	// verifies each request.
	//
	// Default: `auto`
	//
	// Reason: the secret in the URL shows in proxies' logs; a key is never sent.
	KazooHMAC HMAC `env:"KAZOO_HMAC" group:"kazoo"`

	// File of PEM certificates to verify Kazoo's TLS certificate with, beside
	// the system's.
	//
	// Default: none
	//
	// Reason: the system's certificates are enough for a public certificate.
	KazooCAFile string `env:"KAZOO_CA_FILE" group:"kazoo"`

	// Don't verify Kazoo's TLS certificate. Warns at every start.
	//
	// Default: `false`
	//
	// Reason: without verification anyone on the network path can steal the login.
	KazooInsecureTLS bool `env:"KAZOO_INSECURE_TLS" group:"kazoo"`

	// Base URL under which Kazoo reaches this service; the hook's path is added
	// to it.
	//
	// Default: required, or the first of `ACME_DOMAINS`
	//
	// Reason: behind proxies and address translation it can't be known from inside.
	PublicURL *url.URL `env:"PUBLIC_URL" group:"delivery"`

	// Secret path segment of the hook's URL. Anyone who knows it can post events.
	// At least 16 characters of `A-Z a-z 0-9 . _ ~ -`.
	//
	// Default: generated once, kept in `DATA_DIR`
	//
	// Reason: Kazoo 4 signs nothing, so a secret is needed, and it must not change
	// at a restart.
	HookSecret Secret `env:"HOOK_SECRET" group:"delivery"`

	// Former `HOOK_SECRET`, still accepted while the hooks move to the new one.
	//
	// Default: none
	//
	// Reason: only needed while rotating.
	HookSecretPrevious Secret `env:"HOOK_SECRET_PREVIOUS" group:"delivery"`

	// Fetch a nonce from this service through `PUBLIC_URL` now and then, and log a
	// warning if that fails: `on` or `off`.
	//
	// Default: `off`
	//
	// Reason: many networks don't let a service reach its own public address.
	SelfCheck Switch `env:"SELF_CHECK" group:"delivery"`

	// Events to receive, comma-separated: `hook[:type[:action]]`, e.g.
	// `object:user:doc_deleted`, `object:device` (all actions),
	// `notifications:new_user`, `channel_create`.
	//
	// Default: `object:user:doc_deleted`
	//
	// Reason: the service was made for deleted users, and every further hook costs
	// Kazoo work.
	Hooks Hooks `env:"HOOKS" group:"hooks"`

	// First word of our hooks' names in Kazoo. Hooks without it are never touched,
	// so two deployments on one account need two names.
	//
	// Default: `kazoohook`
	//
	// Reason: one deployment on an account is the usual case.
	HookName string `env:"HOOK_NAME" group:"hooks"`

	// Tries that Kazoo makes when the connection fails (0 to 4).
	//
	// Default: `3`
	//
	// Reason: tries are two seconds apart, and six failures switch the hook off.
	// Three tries bridge a restart and leave a margin.
	HookRetries int `env:"HOOK_RETRIES" group:"hooks" accept:"0 to 4"`

	// Also receive the events of the account's sub-accounts.
	//
	// Default: `false`
	//
	// Reason: a reseller may have thousands of them.
	IncludeSubaccounts bool `env:"INCLUDE_SUBACCOUNTS" group:"hooks"`

	// Format in which Kazoo sends: `auto`, `form-data` or `json`. `auto` is `json`
	// for version 2 hooks, for notifications that a form can't carry (of type `all`,
	// bill_reminder, service_added, topup, transaction), for the hook `all` and for
	// hooks of other applications, else `form-data`. `form-data` switches signatures
	// off.
	//
	// Default: `auto`
	//
	// Reason: Kazoo's forms can't carry lists of objects, and only JSON can be
	// verified.
	HookFormat HookFormat `env:"HOOK_FORMAT" group:"hooks"`

	// Whether channel hooks also fire for call legs that stay within Kazoo. Sent as
	// `include_internal_legs` where Kazoo knows it.
	//
	// Default: `true`
	//
	// Reason: it is Kazoo's own default.
	HookInternalLegs bool `env:"HOOK_INTERNAL_LEGS" group:"hooks"`

	// Time between two checks that our hooks are registered, unchanged and
	// enabled; some jitter is added.
	//
	// Default: `30s`
	//
	// Reason: Kazoo needs at least 15 seconds to switch a failing hook off, and
	// while it is off nothing is recorded.
	ReconcileInterval time.Duration `env:"RECONCILE_INTERVAL" group:"engine"`

	// Time between two comparisons of Kazoo's objects with our snapshot; one
	// more follows every outage.
	//
	// Default: `6h`
	//
	// Reason: it lists every object, and finds only what no event and no record of Kazoo's showed.
	ResyncInterval time.Duration `env:"RESYNC_INTERVAL" group:"engine"`

	// Time between two comparisons of the account's sub-accounts with our
	// snapshot, or `off`. It is used with `INCLUDE_SUBACCOUNTS` only.
	//
	// Default: `10m`
	//
	// Reason: Kazoo's HEAD sends no event when a sub-account is deleted; the
	// comparison costs one request for each page of accounts.
	AccountsInterval Interval `env:"ACCOUNTS_INTERVAL" group:"engine"`

	// Most deletions that a resync reports by itself; more at once wait for
	// `kazoohook resync --confirm`. A number, or `auto`: the larger of 20 and 10 %
	// of the known objects.
	//
	// Default: `auto`
	//
	// Reason: a broken listing looks like a mass deletion.
	ResyncMaxDeletions MaxDeletions `env:"RESYNC_MAX_DELETIONS" group:"engine"`

	// Address of the public listener, to which Kazoo posts.
	//
	// Default: `:8080`
	//
	// Reason: needs no privilege, and proxies and platforms expect it. With
	// `ACME_DOMAINS` it is `:443`, where the CA and Kazoo connect.
	ListenAddr Addr `env:"LISTEN_ADDR" group:"listen"`

	// File of the public listener's certificate with its intermediates, as PEM;
	// switches TLS on. Read again when it changes.
	//
	// Default: none
	//
	// Reason: usually a proxy in front ends TLS.
	TLSCertFile string `env:"TLS_CERT_FILE" group:"listen"`

	// File of that certificate's private key, as PEM.
	//
	// Default: none
	//
	// Reason: see `TLS_CERT_FILE`.
	TLSKeyFile string `env:"TLS_KEY_FILE" group:"listen"`

	// Names to get TLS certificates for from a CA by ACME, comma-separated;
	// switches TLS on. `LISTEN_ADDR` then defaults to `:443`, and `PUBLIC_URL` to
	// the first name.
	//
	// Default: none
	//
	// Reason: usually a proxy in front ends TLS.
	AcmeDomains Domains `env:"ACME_DOMAINS" group:"listen"`

	// Email address that the CA may write to.
	//
	// Default: none
	//
	// Reason: Let's Encrypt no longer writes; other CAs may ask for it.
	AcmeEmail string `env:"ACME_EMAIL" group:"listen"`

	// URL of the CA's ACME directory.
	//
	// Default: Let's Encrypt's
	//
	// Reason: it is free, and every Kazoo 5 trusts it.
	AcmeCA *url.URL `env:"ACME_CA" group:"listen"`

	// File of PEM certificates to verify the CA's own server with, instead of the
	// system's.
	//
	// Default: none
	//
	// Reason: only a private CA needs it.
	AcmeCAFile string `env:"ACME_CA_FILE" group:"listen"`

	// Address that answers the CA's HTTP-01 checks and nothing else, or `off`. The
	// CA connects to port 80.
	//
	// Default: `:80`
	//
	// Reason: the CA needs one of two checks, this one or TLS-ALPN-01 at the public
	// listener.
	AcmeHTTPAddr Addr `env:"ACME_HTTP_ADDR" group:"listen"`

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

	// Networks of proxies whose `X-Forwarded-For` and `X-Request-Id` are believed, as
	// CIDR or single addresses.
	//
	// Default: none
	//
	// Reason: anyone can send these headers.
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
	// Reason: container platforms wait that long before they kill a process.
	ShutdownTimeout time.Duration `env:"SHUTDOWN_TIMEOUT" group:"listen"`

	// Directory of the journal and the generated secret.
	//
	// Default: `./data`
	//
	// Reason: works without privilege; the container image sets `/data`.
	DataDir string `env:"DATA_DIR" group:"journal"`

	// Age from which events are removed from the journal. With less than 10m, an
	// event whose answer to Kazoo was lost may become two events.
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

	// Lowest level that is logged: `trace`, `debug`, `info`, `warn` or `error`.
	// Events are logged at any level.
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

	// Longest line of an event, newline included, or `off`. Long values are cut;
	// `truncated` says so, and `seq` finds the whole event in the history.
	//
	// Default: `16KiB`
	//
	// Reason: Docker cuts longer lines, and a piece of a line is not JSON.
	LogLineMax Size `env:"LOG_LINE_MAX" group:"log"`

	// Address that every event is delivered to by HTTP: it makes the destination
	// `forward`, without a file. Further destinations are described in the YAML
	// file under `destinations`.
	//
	// Default: none
	//
	// Reason: only the operator knows where events should go.
	ForwardURL Address `env:"FORWARD_URL" group:"destinations"`

	// Keys that sign what is delivered to `FORWARD_URL`, as `whsec_...` (Standard
	// Webhooks); several, one a line: all sign, the first is the newest.
	//
	// Default: none
	//
	// Reason: without a key nothing is signed.
	ForwardSecret Secret `env:"FORWARD_SECRET" group:"destinations" lines:"true"`

	// Events that are delivered to `FORWARD_URL`, comma-separated, with `*` and
	// `?` as wildcards.
	//
	// Default: all but `kazoohook.*`
	//
	// Reason: HOOKS already chooses what is received.
	ForwardEvents Patterns `env:"FORWARD_EVENTS" group:"destinations"`

	// How much is kept for destinations that are down, beyond `JOURNAL_RETENTION`
	// and `JOURNAL_MAX_BYTES`: size, age, or both. Beyond it the oldest events
	// become dead letters without a body.
	//
	// Default: `10GiB,90d`
	//
	// Reason: a destination may be down for weeks, and a disk is finite.
	BacklogMax Backlog `env:"BACKLOG_MAX" group:"destinations"`

	// Nodes of a cluster of three or five receivers that keep one replicated
	// journal: `host:port` of every node, comma-separated, or one name that resolves
	// to all of them.
	//
	// Default: none
	//
	// Reason: one node is simplest; several survive the loss of a machine.
	ClusterPeers Peers `env:"CLUSTER_PEERS" group:"cluster"`

	// Number of nodes, 3 or 5; required where `CLUSTER_PEERS` is one name.
	//
	// Default: the number of `CLUSTER_PEERS`
	//
	// Reason: a name may not resolve to every node yet, and a cluster that begins
	// with too few nodes could begin twice.
	ClusterSize NodeCount `env:"CLUSTER_SIZE" group:"cluster"`

	// Address at which the other nodes reach this one, always over TLS.
	//
	// Default: `:6222`
	//
	// Reason: it is the port that NATS servers use among themselves.
	ClusterListen Addr `env:"CLUSTER_LISTEN" group:"cluster"`

	// Name of this node, different on each: 1 to 63 of `A-Z a-z 0-9 . _ -`. It is
	// kept in `DATA_DIR`; the directory of another node is refused.
	//
	// Default: the host name
	//
	// Reason: machines and pods of a cluster have different names already.
	ClusterNode string `env:"CLUSTER_NODE" group:"cluster"`

	// Secret that all nodes share, 16 characters or more: their connections and
	// what they share are encrypted with it.
	//
	// Default: required with `CLUSTER_PEERS`
	//
	// Reason: anyone who knows it can join.
	ClusterSecret Secret `env:"CLUSTER_SECRET" group:"cluster"`

	// Former `CLUSTER_SECRET`, still accepted while the nodes get the new one, one
	// after the other.
	//
	// Default: none
	//
	// Reason: only needed while rotating.
	ClusterSecretPrevious Secret `env:"CLUSTER_SECRET_PREVIOUS" group:"cluster"`

	// Destinations are those under `destinations:` in the file, and the one from
	// FORWARD_URL.
	Destinations []Destination

	// Warnings are sentences about what is allowed but probably not meant.
	Warnings []string

	origins map[string]string

	secretFiles []string
	otel        values // OpenTelemetry's variables
}

// Default returns the configuration before anything was read.
func Default() *Config {
	return &Config{
		KazooHash:          MD5,
		KazooAPIRate:       5,
		Hooks:              Hooks{{Hook: "object", Type: "user", Action: "doc_deleted"}},
		HookName:           "kazoohook",
		HookRetries:        3,
		HookFormat:         FormatAuto,
		HookInternalLegs:   true,
		KazooHMAC:          HMACAuto,
		ReconcileInterval:  30 * time.Second,
		ResyncInterval:     6 * time.Hour,
		AccountsInterval:   Interval(10 * time.Minute),
		ResyncMaxDeletions: AutoDeletions,
		ListenAddr:         ":8080",
		AcmeHTTPAddr:       ":80",
		AdminAddr:          "127.0.0.1:9090",
		ShutdownTimeout:    10 * time.Second,
		DataDir:            "./data",
		JournalRetention:   720 * time.Hour,
		LogLevel:           LogInfo,
		LogFormat:          LogJSON,
		LogLineMax:         16 << 10,
		BacklogMax:         Backlog{Bytes: 10 << 30, Age: 90 * 24 * time.Hour},
		ClusterListen:      ":6222",
	}
}
