package crossbar

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// The defaults of Options.
const (
	DefaultRate    = 5.0
	DefaultTimeout = 15 * time.Second
)

// maxRate is effectively no limit.
const maxRate = 1e6

// GregorianEpoch is the Unix epoch in Kazoo's gregorian seconds: a gregorian
// timestamp is Unix time plus GregorianEpoch.
const GregorianEpoch = 62167219200

// Options are the settings of a Client.
type Options struct {
	// BaseURL is Crossbar's address, with or without the trailing /v2. A path
	// prefix of a reverse proxy is kept.
	BaseURL string
	// Auth is a Password, Credentials or an APIKey. It may be nil for a client
	// that only calls Offered and Samples, which need no login.
	Auth Auth
	// AccountName or AccountRealm is the account to log in to. One of them is
	// required with Password and Credentials; an APIKey implies its account.
	AccountName, AccountRealm string
	// Rate is the most requests a second. Default DefaultRate: half the refill of
	// Kazoo's token bucket.
	Rate float64
	// Timeout bounds one request from dialling to the last byte. Default
	// DefaultTimeout.
	Timeout time.Duration
	// CAFile is a PEM file of certificates trusted besides the system's.
	CAFile string
	// InsecureTLS switches certificate verification off; New warns about it.
	InsecureTLS bool
	// Secrets are further values that must never be printed even if Kazoo echoes
	// them, such as the hook secret. The Client knows its own.
	Secrets []string
	// OnToken, if set, is called with each login token before its first use, so
	// that others can mask it.
	OnToken   func(token string)
	Log       zerolog.Logger
	UserAgent string
	// Now is the clock of token expiry and clock offset. Default time.Now.
	Now func() time.Time
	// Observe, if set, is called after every HTTP request with the operation's name
	// ("hooks.create"), the status (0: no answer) and the duration.
	Observe func(op string, status int, d time.Duration)
	// Fence, if set, is called right before each request, and again once it has a
	// connection. An error means that no request may be sent now, and ends the
	// call.
	Fence func() error
}

// Client talks to one Crossbar. It is safe for concurrent use.
type Client struct {
	base      *url.URL
	userAgent string
	timeout   time.Duration
	limits    limits
	http      *http.Client
	budget    *budget
	log       zerolog.Logger
	now       func() time.Time
	observe   func(op string, status int, d time.Duration)
	onToken   func(token string)
	fence     func() error
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
		userAgent: cmp.Or(o.UserAgent, "kazoohook"),
		timeout:   cmp.Or(max(o.Timeout, 0), DefaultTimeout),
		limits:    defaultLimits(),
		budget:    newBudget(min(cmp.Or(max(o.Rate, 0), DefaultRate), maxRate)),
		log:       o.Log,
		now:       o.Now,
		observe:   o.Observe,
		onToken:   o.OnToken,
		fence:     o.Fence,
		secrets:   newSecrets(o.Secrets...),
		http: &http.Client{
			Transport: transport,
			// Never follow a redirect: a PUT or POST would become a GET elsewhere,
			// with the token.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.observe == nil {
		c.observe = func(string, int, time.Duration) {}
	}
	if c.onToken == nil {
		c.onToken = func(string) {}
	}
	if c.fence == nil {
		c.fence = func() error { return nil }
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

// parseBase returns the base URL of all resources; its path ends in /v2.
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

// resource returns the path of a resource below the base URL, with each part
// escaped.
func resource(parts ...string) (string, error) {
	var b strings.Builder
	for _, p := range parts {
		// An empty or dot part would name another resource: the collection instead
		// of a member.
		if p == "" || p == "." || p == ".." {
			return "", fmt.Errorf("crossbar: %q is not an id", p)
		}
		b.WriteByte('/')
		b.WriteString(url.PathEscape(p))
	}
	return b.String(), nil
}
