package crossbar

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Account is an account of Kazoo.
type Account struct {
	ID, Name, Realm string
}

// A refused login is tried again with growing pauses: the password is probably
// still wrong, and each try costs a third of our share of Kazoo's bucket.
const (
	firstPause = 15 * time.Second
	maxPause   = 5 * time.Minute
)

// session holds the token that all requests share.
type session struct {
	turn chan struct{} // held during a login: concurrent callers make one login

	mu      sync.Mutex
	path    string // resource of the login; empty: no login configured
	body    any
	token   string
	account Account
	renewAt time.Time // from here on a new token is fetched
	until   time.Time // the token expires here
	refusal *Error    // Kazoo's last refusal of our credentials
	pause   time.Duration
	retryAt time.Time // after a refusal: no login before this

	// forced bounds the logins after a 401: a resource that always answers 401 must
	// not cause a login for each request.
	forced *rate.Limiter
}

func newSession() *session {
	return &session{turn: make(chan struct{}, 1), forced: rate.NewLimiter(rate.Every(30*time.Second), 3)}
}

// Login logs in unless there is a valid token, and returns the token's account.
// After a refusal the next try waits for a growing time; until then Login returns
// the same error.
func (c *Client) Login(ctx context.Context) (Account, error) {
	if _, err := c.token(ctx); err != nil {
		return Account{}, err
	}
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	return c.session.account, nil
}

// token returns a token that is valid for some time. It logs in if necessary.
func (c *Client) token(ctx context.Context) (string, error) {
	s := c.session
	path, _ := s.credentials()
	if path == "" {
		return "", &Error{Op: opLogin, Message: "no credentials are configured"}
	}
	if t, ok := s.current(c.now()); ok {
		return t, nil
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return "", &Error{Op: opLogin, URL: c.shown(path), Err: context.Cause(ctx)}
	}
	now := c.now()
	if t, ok := s.current(now); ok {
		return t, nil
	}
	var t string
	err := s.refused(now)
	if err == nil {
		if t, err = c.login(ctx); err == nil {
			return t, nil
		}
	}
	if old, ok := s.usable(c.now()); ok {
		// Renewal failed, but the old token is still valid.
		return old, nil
	}
	return "", err
}

// Mask adds secrets to mask in errors and logs.
func (c *Client) Mask(secrets ...string) { c.secrets.keep(secrets...) }

// CheckAuth reports whether SetAuth would accept a login.
func CheckAuth(a Auth, accountName, accountRealm string) error {
	return a.check(accountName, accountRealm)
}

// SetAuth changes the login, for example to a new password. accountName and
// accountRealm name the account, as in Options. It waits for a running login.
func (c *Client) SetAuth(ctx context.Context, a Auth, accountName, accountRealm string) error {
	if err := a.check(accountName, accountRealm); err != nil {
		return err
	}
	c.secrets.keep(a.secrets()...)
	s := c.session
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.path, s.body = a.request(accountName, accountRealm)
	s.token, s.refusal, s.pause = "", nil, 0
	return nil
}

func (s *session) credentials() (path string, body any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.path, s.body
}

func (s *session) current(now time.Time) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token, s.token != "" && now.Before(s.renewAt)
}

func (s *session) usable(now time.Time) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token, s.token != "" && now.Before(s.until)
}

func (s *session) refused(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusal == nil || !now.Before(s.retryAt) {
		return nil
	}
	e := *s.refusal
	e.NextTry = s.retryAt
	return &e
}

// drop forgets a token that Kazoo no longer accepts. It reports whether that allows
// another login.
func (s *session) drop(token string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token != token {
		return true // another call has renewed it
	}
	if !s.forced.AllowN(now, 1) {
		return false
	}
	s.token = ""
	return true
}

// login fetches a token. The caller holds the turn.
func (c *Client) login(ctx context.Context) (string, error) {
	s := c.session
	var data struct {
		AccountID   string `json:"account_id"`
		AccountName string `json:"account_name"`
	}
	path, body := s.credentials()
	env, err := c.call(ctx, request{op: opLogin, method: http.MethodPut, path: path, body: body, cost: loginCost})
	if err != nil {
		var e *Error
		if errors.As(err, &e) && e.answered() && definite(e.Status) {
			s.refuse(e, c.now())
		}
		return "", err
	}
	if err := json.Unmarshal(env.Data, &data); err != nil || env.AuthToken == "" || data.AccountID == "" {
		return "", c.malformed(opLogin, http.MethodPut, path, env, "the login's answer lacks the token or the account")
	}
	c.secrets.add(env.AuthToken)
	c.onToken(env.AuthToken)
	now := c.now()
	life := tokenLife(env.AuthToken, c.kazooTime(now))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token, s.account = env.AuthToken, Account{ID: data.AccountID, Name: data.AccountName}
	s.until = now.Add(life)
	s.renewAt = s.until.Add(-min(life/10, time.Minute))
	s.refusal, s.pause = nil, 0
	return s.token, nil
}

// definite reports whether the status of Kazoo's answer to a login means wrong
// credentials.
func definite(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return true
	}
	return false
}

func (s *session) refuse(e *Error, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pause = min(max(2*s.pause, firstPause), maxPause)
	s.refusal, s.retryAt = e, now.Add(s.pause)
}
