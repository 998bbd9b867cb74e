// Package crossbar is a client of Crossbar, Kazoo's HTTP API: it logs in, keeps
// the token, stays below Kazoo's rate limits, retries what may be retried, and
// turns Kazoo's answers into Go types and typed errors. No secret ever appears
// in an error or a log line of this package.
package crossbar

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"
)

// The defaults of Options.
const (
	DefaultRate    = 5.0
	DefaultTimeout = 15 * time.Second
)

// maxRate is as good as no limit.
const maxRate = 1e6

// GregorianEpoch is the Unix epoch in Kazoo's gregorian seconds: a gregorian
// timestamp is Unix time plus this.
const GregorianEpoch = 62167219200

// Options are the settings of a Client.
type Options struct {
	// BaseURL is Crossbar's address, with or without the trailing /v2. A path
	// prefix of a reverse proxy is kept.
	BaseURL string
	// Auth is a Password, Credentials or an APIKey. It may be nil for a client
	// that only calls Offered and Samples, which need no login.
	Auth Auth
	// AccountName or AccountRealm says which account to log in to. One of them
	// is required with Password and Credentials; an APIKey implies its account.
	AccountName, AccountRealm string
	// Rate is how many requests a second are sent at most. Default DefaultRate:
	// half of what Kazoo's token bucket refills.
	Rate float64
	// Timeout bounds one request from dialling to the last byte. Default
	// DefaultTimeout.
	Timeout time.Duration
	// CAFile is a PEM file of certificates trusted besides the system's.
	CAFile string
	// InsecureTLS switches certificate verification off; New warns about it.
	InsecureTLS bool
	// Secrets are further values that must never be printed even if Kazoo
	// echoes them, the hook secret for one. Client's own are known to it.
	Secrets   []string
	Log       zerolog.Logger
	UserAgent string
	// Now is the clock of token expiry and clock offset. Default time.Now.
	Now func() time.Time
	// Observe, if set, is called after every HTTP request with a name out of a
	// small fixed set ("hooks.create"), its status (0: no answer) and duration.
	Observe func(op string, status int, d time.Duration)
}

// Client talks to one Crossbar. It is safe for concurrent use.
type Client struct {
	base      *url.URL
	auth      Auth
	userAgent string
	timeout   time.Duration
	maxBody   int64
	http      *http.Client
	budget    *budget
	log       zerolog.Logger
	now       func() time.Time
	observe   func(op string, status int, d time.Duration)
	session   *session
	secrets   *secrets
	clock     clock
}

// New makes a client. It sends nothing; an error names the option that is wrong.
func New(o Options) (*Client, error) {
	base, err := parseBase(o.BaseURL)
	if err != nil {
		return nil, err
	}
	transport, err := newTransport(o.CAFile, o.InsecureTLS)
	if err != nil {
		return nil, err
	}
	if o.InsecureTLS {
		o.Log.Warn().Str("api", base.Host).Msg("Kazoo's TLS certificate is not verified (KAZOO_INSECURE_TLS): anyone in between can read our credentials")
	}
	c := &Client{
		base:      base,
		auth:      o.Auth,
		userAgent: cmp.Or(o.UserAgent, "kazoohook"),
		timeout:   cmp.Or(max(o.Timeout, 0), DefaultTimeout),
		maxBody:   maxBody,
		budget:    newBudget(min(cmp.Or(max(o.Rate, 0), DefaultRate), maxRate)),
		log:       o.Log,
		now:       o.Now,
		observe:   o.Observe,
		secrets:   newSecrets(o.Secrets...),
		http: &http.Client{
			Transport: transport,
			// A redirected PUT or POST would become a GET elsewhere, and the
			// token would travel along: never follow.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.observe == nil {
		c.observe = func(string, int, time.Duration) {}
	}
	if p, ok := base.User.Password(); ok {
		c.secrets.keep(p)
	}
	c.session = newSession()
	if o.Auth == nil {
		return c, nil
	}
	if err := o.Auth.check(o.AccountName, o.AccountRealm); err != nil {
		return nil, err
	}
	c.secrets.keep(o.Auth.secrets()...)
	c.session.path, c.session.body = o.Auth.request(o.AccountName, o.AccountRealm)
	return c, nil
}

// Close drops the idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// parseBase gives the URL below which the resources are, ending in /v2.
func parseBase(s string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil {
		// url.Parse's error repeats the input, which may hold a password.
		return nil, errors.New("crossbar: the base URL cannot be parsed")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, errors.New("crossbar: the base URL must be an absolute http or https URL, such as https://kazoo.example.com:8443/v2")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("crossbar: the base URL must have no query and no fragment")
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	if path != "/v2" && !strings.HasSuffix(path, "/v2") {
		path += "/v2"
	}
	unescaped, err := url.PathUnescape(path)
	if err != nil {
		return nil, errors.New("crossbar: the base URL's path is not valid")
	}
	u.Path, u.RawPath = unescaped, path
	return u, nil
}

// resource gives the path of a resource below the base URL, each part escaped.
func resource(parts ...string) (string, error) {
	var b strings.Builder
	for _, p := range parts {
		// An empty or dot part would name another resource than was meant: the
		// collection instead of one of its members.
		if p == "" || p == "." || p == ".." {
			return "", fmt.Errorf("crossbar: %q is not an id", p)
		}
		b.WriteByte('/')
		b.WriteString(url.PathEscape(p))
	}
	return b.String(), nil
}

// Kazoo's token bucket and what requests cost of it (protocol defaults,
// kazoo 4.3 core/kazoo_token_buckets and applications/crossbar/src/crossbar.hrl).
const (
	requestCost  = 1
	loginCost    = 35
	bucketRefill = 10
	// bucketDepth is what we use of Kazoo's 100 tokens: others share the bucket.
	bucketDepth = 80
)

// budget keeps us below our own rate and within Kazoo's token bucket.
type budget struct {
	pace *rate.Limiter // requests, at Options.Rate
	cost *rate.Limiter // a model of Kazoo's bucket: a login costs it 35 requests
}

func newBudget(perSecond float64) *budget {
	return &budget{
		pace: rate.NewLimiter(rate.Limit(perSecond), max(1, int(math.Ceil(perSecond)))),
		cost: rate.NewLimiter(rate.Limit(max(bucketRefill, perSecond)), max(bucketDepth, int(math.Ceil(perSecond)))),
	}
}

// wait blocks until a request of that cost may be sent. It fails at once if
// that would be after ctx's deadline.
func (b *budget) wait(ctx context.Context, cost int) error {
	err := b.cost.WaitN(ctx, cost)
	if err == nil {
		err = b.pace.Wait(ctx)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return fmt.Errorf("waiting for KAZOO_API_RATE would take longer than the deadline: %w", context.DeadlineExceeded)
}
