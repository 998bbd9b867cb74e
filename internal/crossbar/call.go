package crossbar

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/rs/zerolog"
)

// The names of operations, for Observe and Error.Op.
const (
	opLogin       = "login"
	opOffered     = "offered"
	opSamples     = "samples"
	opHooksList   = "hooks.list"
	opHooksGet    = "hooks.get"
	opHooksCreate = "hooks.create"
	opHooksSet    = "hooks.replace"
	opHooksEnable = "hooks.enable"
	opHooksDelete = "hooks.delete"
	opAttempts    = "attempts"
	opObjectsList = "objects.list"
	opObjectsGet  = "objects.get"
	opDescendants = "descendants"
)

// Operations lists every name that Observe and Error.Op may give.
func Operations() []string {
	return []string{
		opLogin, opOffered, opSamples, opHooksList, opHooksGet, opHooksCreate, opHooksSet,
		opHooksEnable, opHooksDelete, opAttempts, opObjectsList, opObjectsGet, opDescendants,
	}
}

const (
	// maxElapsed bounds the retries of a call whose context has no deadline.
	maxElapsed = time.Minute
	// maxRetryAfter is the longest wait that an answer can ask for.
	maxRetryAfter = 5 * time.Minute

	firstBackoff = 500 * time.Millisecond
	maxBackoff   = 15 * time.Second
)

// request is one call of the API.
type request struct {
	op, method, path string
	query            url.Values
	body             any   // becomes the envelope's data
	auth             bool  // send the token
	known            bool  // send the token if there is a valid one; Kazoo says more then
	cost             int   // of Kazoo's token bucket; 0: an ordinary request
	list             bool  // the answer's data is an array, decoded item by item
	limit            int64 // largest answer in bytes; 0: limits.answer
	hasty            bool  // give up after maxElapsed, whatever the context's deadline
	once             bool  // repeating it after it may have been processed does harm
}

// warnAt is the attempt whose failure is logged as a warning: a single failure
// needs none, and one warning per call is enough.
const warnAt = 2

// call sends a request, and repeats it while that is safe and the deadline allows.
// Its error is always an *Error.
func (c *Client) call(ctx context.Context, r request) (*envelope, error) {
	deadline, ok := ctx.Deadline()
	if !ok || r.hasty {
		deadline = time.Now().Add(maxElapsed)
	}
	pause := &backoff.ExponentialBackOff{
		InitialInterval: firstBackoff, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: maxBackoff,
	}
	relogged := false
	for n := 1; ; n++ {
		token := ""
		if r.auth {
			var err error
			if token, err = c.token(ctx); err != nil {
				return nil, err
			}
		} else if r.known {
			token, _ = c.session.usable(c.now())
		}
		env, e := c.try(ctx, r, token)
		if e == nil {
			return env, nil
		}
		e.Attempts = n
		if e.Status == http.StatusUnauthorized && r.auth && !relogged && c.session.drop(token, c.now()) {
			relogged = true
			continue
		}
		if e.Status == http.StatusUnauthorized && !r.auth && e.tokenSent {
			r.known = false // it needs no token
			continue
		}
		if !e.retry || ctx.Err() != nil {
			return nil, e
		}
		wait := max(pause.NextBackOff(), e.RetryAfter)
		if time.Now().Add(wait).After(deadline) {
			return nil, e
		}
		level := zerolog.DebugLevel
		if n == warnAt {
			level = zerolog.WarnLevel
		}
		c.log.WithLevel(level).Str("op", r.op).Int("attempt", n).Int64("wait_ms", wait.Milliseconds()).Str("error", e.Error()).Msg("Kazoo's API failed, trying again")
		if err := sleep(ctx, wait); err != nil {
			return nil, e
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// try sends a request once.
func (c *Client) try(ctx context.Context, r request, token string) (*envelope, *Error) {
	fail := &Error{Op: r.op, Method: r.method, URL: c.shown(r.path), tokenSent: token != ""}
	if err := c.budget.wait(ctx, priorityOf(r.op), max(r.cost, requestCost)); err != nil {
		return nil, fail.because(c.secrets, err)
	}
	if err := c.fence(); err != nil {
		return nil, fail.because(c.secrets, err)
	}
	reqCtx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var refused atomic.Pointer[error]
	// Without a connection the request can't have been processed.
	var connected atomic.Bool
	reqCtx = httptrace.WithClientTrace(reqCtx, &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) {
			if err := c.fence(); err != nil { // connecting may have taken long
				refused.Store(&err)
				cancel()
				// Canceled alone, the transport may still write the request. Over
				// HTTP/2 this also ends the other calls that use the connection.
				got.Conn.Close() //nolint:errcheck // its end is all that matters
				return
			}
			connected.Store(true)
		},
	})
	req, err := c.build(reqCtx, r, token)
	if err != nil {
		return nil, fail.because(c.secrets, err)
	}
	start, began := time.Now(), c.now()
	resp, err := c.http.Do(req)
	if err != nil {
		c.observe(r.op, 0, time.Since(start))
		if why := refused.Load(); why != nil {
			return nil, fail.because(c.secrets, *why)
		}
		return nil, c.broken(ctx, reqCtx, r, fail, err, connected.Load())
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end or given up
	env, err := decodeEnvelope(resp.Body, r.list, cmp.Or(r.limit, c.limits.answer), c.limits.item)
	c.observe(r.op, resp.StatusCode, time.Since(start))
	c.clock.note(env, resp.Header.Get("Date"), began, c.now())
	return c.judge(ctx, reqCtx, r, fail, resp, env, err)
}

func (c *Client) build(ctx context.Context, r request, token string) (*http.Request, error) {
	u := *c.base
	ref, err := url.Parse(c.base.EscapedPath() + r.path)
	if err != nil {
		return nil, errors.New("the resource's path is not valid")
	}
	u.Path, u.RawPath, u.RawQuery = ref.Path, ref.RawPath, r.query.Encode()
	var body []byte
	if r.body != nil {
		if body, err = json.Marshal(map[string]any{"data": r.body}); err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the request cannot be made")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	if token != "" {
		req.Header.Set("X-Auth-Token", token)
	}
	return req, nil
}

// shown returns a resource's URL for display: no query, no user info.
func (c *Client) shown(path string) string {
	return c.base.Scheme + "://" + c.base.Host + c.base.EscapedPath() + clip(path, maxWords)
}
