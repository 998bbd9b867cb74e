package crossbartest

import (
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

// Options says what kind of Kazoo to be. The zero value is a strict Kazoo 4.3
// with the default tree of accounts, in real time.
type Options struct {
	// Version is "4.3" (default) or "5".
	Version string

	// Speed divides every duration of Kazoo's own: at 100 the 2 s before a retry
	// are 20 ms, the 60 s window of failures 600 ms, its check every 15 s one
	// every 150 ms, a Retry-After of 5 one of 50 ms, and the token bucket refills
	// a hundred times as fast. Timestamps and TokenTTL stay as they are. Default 1.
	Speed float64

	// Now is the clock that timestamps are read from. Default time.Now. MoveClock
	// adds to it.
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
	// refilled at 10 a second, and a login costs 35 of them.
	BucketsOff bool
	// RefuseLoopback makes a hook on localhost, 127.0.0.1 or 0.0.0.0 an invalid
	// client URL, as the real one does. Off, because tests and the demo run there.
	RefuseLoopback bool
	// MaxUnpaged is how many rows paginate=false may return before it is 416.
	// Default 100,000.
	MaxUnpaged int
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
	// OnFiring is told of every firing when it is over, from the goroutine that
	// did it.
	OnFiring func(Firing)
	// Log gets one line for each request and firing at debug level.
	Log zerolog.Logger
}

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

// version is the behaviour to imitate.
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
