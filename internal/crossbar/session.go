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

// How a refused login is paced: the password does not become right by asking
// again, and each try costs Kazoo a third of our budget.
const (
	firstPause = 15 * time.Second
	maxPause   = 5 * time.Minute
)

// session holds the token that all requests share.
type session struct {
	path string // resource of the login; empty: no login configured
	body any
	turn chan struct{} // held by whoever logs in: concurrent callers make one login

	mu      sync.Mutex
	token   string
	account Account
	renewAt time.Time // from here on a new token is fetched
	until   time.Time // the token is worthless from here on
	refusal *Error    // Kazoo's definite no to our credentials
	pause   time.Duration
	retryAt time.Time // no login before this after a refusal

	// forced bounds the logins made because a token was answered 401: a
	// resource that always says 401 must not cost a login a request.
	forced *rate.Limiter
}

func newSession() *session {
	return &session{turn: make(chan struct{}, 1), forced: rate.NewLimiter(rate.Every(30*time.Second), 3)}
}

// Login makes sure that there is a valid token, logging in if there is none,
// and gives the account that it belongs to. A login that Kazoo refused is not
// tried again for a growing while: until then the same error is returned.
func (c *Client) Login(ctx context.Context) (Account, error) {
	if _, err := c.token(ctx); err != nil {
		return Account{}, err
	}
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	return c.session.account, nil
}

// token gives a token that is valid for a while, logging in if need be.
func (c *Client) token(ctx context.Context) (string, error) {
	s := c.session
	if s.path == "" {
		return "", &Error{Op: opLogin, Message: "no credentials are configured"}
	}
	if t, ok := s.current(c.now()); ok {
		return t, nil
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return "", &Error{Op: opLogin, URL: c.shown(s.path), Err: context.Cause(ctx)}
	}
	now := c.now()
	if t, ok := s.current(now); ok {
		return t, nil
	}
	if err := s.refused(now); err != nil {
		return "", err
	}
	t, err := c.login(ctx)
	if err == nil {
		return t, nil
	}
	if old, ok := s.usable(c.now()); ok {
		// Renewal failed but the old token still has some life in it.
		return old, nil
	}
	return "", err
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

// drop forgets a token that Kazoo no longer takes. It reports whether another
// login may be made because of that.
func (s *session) drop(token string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token != token {
		return true // somebody has renewed it meanwhile
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
	env, err := c.call(ctx, request{op: opLogin, method: http.MethodPut, path: s.path, body: s.body, cost: loginCost})
	if err != nil {
		var e *Error
		if errors.As(err, &e) && definite(e.Status) {
			s.refuse(e, c.now())
		}
		return "", err
	}
	if err := json.Unmarshal(env.Data, &data); err != nil || env.AuthToken == "" || data.AccountID == "" {
		return "", c.malformed(opLogin, http.MethodPut, s.path, env, "the login's answer lacks the token or the account")
	}
	c.secrets.add(env.AuthToken)
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

// definite reports whether a login's status says that our credentials are wrong.
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
