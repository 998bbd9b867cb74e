package fakekazoo

import (
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

// Options configure the fake. The zero value is a strict Kazoo 4.3 with the default
// tree of accounts, in real time.
type Options struct {
	// Version is "4.3" (default) or "5".
	Version string

	// Speed divides all of Kazoo's durations: the pause before a retry, the window
	// of failures and the interval of its check, a Retry-After, and the time in
	// which the token bucket refills. At 100 a pause of 2 s takes 20 ms.
	// Timestamps and TokenTTL stay as they are. Default 1.
	Speed float64

	// Now is the clock of timestamps. Default time.Now. MoveClock adds to it.
	Now func() time.Time

	// Seed makes ids, names, the generator of traffic and faults with a
	// probability repeatable, as far as concurrency lets them be.
	Seed uint64

	// Accounts is the tree, parents before children; the first is the master
	// account. Default: DefaultAccounts.
	Accounts []Account

	// LoginAccount is the name or id of the account that Username and APIKey
	// belong to. Default: "acme", or the first account if there is none.
	LoginAccount string
	// Username and Password log in by user_auth. Defaults DefaultUsername and
	// DefaultPassword.
	Username, Password string
	// APIKey (64 characters) logs in by api_auth. Default DefaultAPIKey.
	APIKey string

	// TokenTTL is how long a token lives; it does not slide. Default 3600 s.
	TokenTTL time.Duration
	// BucketsOff stops counting requests; by default a client has 100 tokens,
	// refilled at 10 a second, and every request costs one.
	BucketsOff bool
	// LoginCost is a login's cost in those tokens: 1 (default), or 35 where an
	// operator set Kazoo's `token_costs` to an object.
	LoginCost float64
	// RefuseLoopback makes a hook on localhost, 127.0.0.1 or 0.0.0.0 an invalid
	// client URL, as the real one does. Off, because tests and the demo run there.
	RefuseLoopback bool
	// MaxUnpaged is the most rows that paginate=false may return; with more the
	// answer is 416. Default 100,000.
	MaxUnpaged int
	// Fresh imitates a cluster whose Crossbar was not restarted since the hooks
	// first registered: an unknown hook is answered 503 instead of 400. Restart
	// ends it.
	Fresh bool
	// HookDelay is the time until the webhooks application uses a changed hook.
	// Default 0. Kazoo has no timer for this. The saved change is published on
	// RabbitMQ (kzs_publish.erl maybe_publish_doc). Some tens of milliseconds later
	// the application gets the message, reads the document and updates its table
	// (webhooks_listener.erl handle_config).
	HookDelay time.Duration
	// ViewLag is the time by which listings lag behind the documents: they show an
	// object as it was before, or lack it, while its GET is right. Default 0.
	ViewLag time.Duration
	// LaggingViews are the listings that lag by ViewLag: "users" and the other
	// kinds, "accounts" (descendants), "webhooks". Default all but webhooks.
	LaggingViews []string
	// Nodes are the nodes that run the webhooks application. Each firing happens on
	// one of them, whose clock stamps its attempts. Default: one, without an offset.
	Nodes []Node
	// Version2 says what version 5 does with a hook's version v2: Version2Kept
	// (default), Version2Dropped or Version2Refused. 4.3 always drops it.
	Version2 string
	// IntegerIolists stores the bodies of attempts with their separators and
	// brackets as integers, each standing for a byte, as some builds of Kazoo do.
	IntegerIolists bool
	// AttemptsTTL is how long failed attempts can be read. Default 365 days.
	AttemptsTTL time.Duration
	// StoreSuccess records successful attempts too (Kazoo's log_successful_attempts).
	StoreSuccess bool
	// AccountEventsTwice sends every event about an account twice: its document
	// lives in two databases.
	AccountEventsTwice bool

	// ResponseTimeout bounds the wait for a hook's answer. Kazoo has no bound (0,
	// the default).
	ResponseTimeout time.Duration
	// Transport replaces the network for deliveries.
	Transport http.RoundTripper

	// ClusterID is the cluster_id of events. Default DefaultClusterID.
	ClusterID string
	// OnFiring is called with every firing when it has ended, by the firing's
	// goroutine.
	OnFiring func(Firing)
	// Log gets one line for each request and firing at debug level.
	Log zerolog.Logger
}

// Node is one node of Kazoo's.
type Node struct {
	Name        string        `json:"name"`
	ClockOffset time.Duration `json:"-"` // of its clock, positive: ahead
}

// The values of Options.Version2.
const (
	Version2Kept    = "kept"
	Version2Dropped = "dropped" // a hook reads back without its version, as on 4.3
	Version2Refused = "refused" // 400, not in the enumeration
)

// Account is one account of the tree.
type Account struct {
	ID       string `json:"id"`     // 32 hexadecimal digits; made from the seed if empty
	Name     string `json:"name"`   // unique
	Realm    string `json:"realm"`  // default <name>.sip.example.org
	Parent   string `json:"parent"` // name or id; empty for the master account
	Reseller bool   `json:"reseller"`
}

// The defaults of Options.
const (
	DefaultUsername  = "admin"
	DefaultPassword  = "correct horse battery staple"
	DefaultAPIKey    = "5f1c0de05f1c0de05f1c0de05f1c0de05f1c0de05f1c0de05f1c0de05f1c0de0" //nolint:gosec // of no real Kazoo
	DefaultClusterID = "a1b2c3d4e5f60718293a4b5c6d7e8f90"

	// DefaultAccountID is the id of "acme", the account that logs in by default.
	DefaultAccountID = "c0ffee00aa11bb22cc33dd44ee55ff66"
)

// DefaultAccounts is a master account, a reseller, its customer acme and two
// branches of acme.
func DefaultAccounts() []Account {
	return []Account{
		{ID: "00000000000000000000000000000001", Name: "master"},
		{ID: "0123456789abcdef0123456789abcdef", Name: "resale", Parent: "master", Reseller: true},
		{ID: DefaultAccountID, Name: "acme", Parent: "resale"},
		{ID: "5ab5ab5ab5ab5ab5ab5ab5ab5ab5ab50", Name: "acme-north", Parent: "acme"},
		{ID: "5ab5ab5ab5ab5ab5ab5ab5ab5ab5ab51", Name: "acme-south", Parent: "acme"},
	}
}

// version is the version to imitate.
type version int

const (
	version43 version = iota
	version5
)

func (v version) String() string {
	if v == version5 {
		return "5.0.0"
	}
	return "4.3.142"
}

func (o Options) withDefaults() Options {
	if o.Speed <= 0 {
		o.Speed = 1
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if len(o.Accounts) == 0 {
		o.Accounts = DefaultAccounts()
	}
	setDefault(&o.LoginAccount, "acme")
	setDefault(&o.Username, DefaultUsername)
	setDefault(&o.Password, DefaultPassword)
	setDefault(&o.APIKey, DefaultAPIKey)
	setDefault(&o.ClusterID, DefaultClusterID)
	setDefault(&o.TokenTTL, time.Hour)
	setDefault(&o.LoginCost, 1)
	setDefault(&o.Version2, Version2Kept)
	if len(o.Nodes) == 0 {
		o.Nodes = []Node{{Name: "kazoo_apps@apps1.example.org"}}
	}
	if len(o.LaggingViews) == 0 {
		o.LaggingViews = []string{accountKind.path}
		for _, kd := range kinds() {
			o.LaggingViews = append(o.LaggingViews, kd.path)
		}
	}
	setDefault(&o.MaxUnpaged, 100_000)
	setDefault(&o.AttemptsTTL, 365*24*time.Hour)
	return o
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}
