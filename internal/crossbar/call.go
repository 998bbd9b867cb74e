package crossbar

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/rs/zerolog"
)

// The names of operations, as Observe and Error.Op give them.
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
	// maxRetryAfter is the longest wait that an answer can ask of us.
	maxRetryAfter = 5 * time.Minute

	firstBackoff = 500 * time.Millisecond
	maxBackoff   = 15 * time.Second
)

// request is one call of the API.
type request struct {
	op, method, path string
	query            url.Values
	body             any  // becomes the envelope's data
	auth             bool // send the token
	cost             int  // of Kazoo's token bucket; 0: an ordinary request
	list             bool // the answer's data is an array, decoded item by item
	once             bool // repeating it after it may have been processed does harm
}

// tellAt is the attempt whose failure is told: one alone is not worth a line, and
// one line is enough until the call ends.
const tellAt = 2

// call sends a request and repeats it as far as that is safe and the deadline
// allows. Its error is always an *Error.
func (c *Client) call(ctx context.Context, r request) (*envelope, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
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
		if !e.retry || ctx.Err() != nil {
			return nil, e
		}
		wait := max(pause.NextBackOff(), e.RetryAfter)
		if time.Now().Add(wait).After(deadline) {
			return nil, e
		}
		level := zerolog.DebugLevel
		if n == tellAt {
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
	fail := &Error{Op: r.op, Method: r.method, URL: c.shown(r.path)}
	if err := c.budget.wait(ctx, max(r.cost, requestCost)); err != nil {
		return nil, fail.because(c.secrets, err)
	}
	reqCtx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	// A request that never had a connection cannot have been processed.
	var connected atomic.Bool
	reqCtx = httptrace.WithClientTrace(reqCtx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	req, err := c.build(reqCtx, r, token)
	if err != nil {
		return nil, fail.because(c.secrets, err)
	}
	start, began := time.Now(), c.now()
	resp, err := c.http.Do(req)
	if err != nil {
		c.observe(r.op, 0, time.Since(start))
		return nil, c.broken(ctx, reqCtx, r, fail, err, connected.Load())
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end or given up
	env, err := decodeEnvelope(resp.Body, r.list, c.maxBody)
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

// broken classifies a request that ended without a whole answer.
func (c *Client) broken(ctx, reqCtx context.Context, r request, fail *Error, err error, sent bool) *Error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err // without the URL, which Error shows in its own way
	}
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case reqCtx.Err() != nil:
		err = fmt.Errorf("%w: nothing within %s", ErrTimeout, c.timeout)
	case strings.HasPrefix(err.Error(), "failed to parse Location header"):
		// net/http repeats the address, in which whatever is secret may be mangled.
		err = errors.New("the answer redirects to something that is no URL")
	}
	fail = fail.because(c.secrets, err)
	fail.ambiguous = r.once && sent
	fail.retry = !fail.ambiguous && !isTLSProblem(err)
	return fail
}

// judge turns an answer into the envelope of a success or an error.
func (c *Client) judge(ctx, reqCtx context.Context, r request, fail *Error, resp *http.Response, env *envelope, err error) (*envelope, *Error) {
	fail.Status = resp.StatusCode
	fail.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), c.now())
	fail.RequestID = c.secrets.line(env.RequestID, 64)
	if fail.RequestID == "" {
		fail.RequestID = c.secrets.line(resp.Header.Get("X-Request-Id"), 64)
	}
	if resp.StatusCode/100 == 3 {
		fail.Code = CodeRedirect
		fail.Message = redirectMessage(resp, c.secrets)
		return nil, fail
	}
	good := resp.StatusCode/100 == 2
	switch {
	case err == nil && good && env.Status == "success":
		return env, nil
	case good && errors.Is(err, errEmptyBody) && r.method == http.MethodDelete:
		return env, nil
	case errors.Is(err, errNotJSON), errors.Is(err, errEmptyBody), errors.Is(err, errNotEnvelope):
		fail.Code = CodeNotJSON
		fail.Message = notJSONMessage(resp.Header.Get("Content-Type"), env.text, err, c.secrets)
		fail.retry = retryStatus(resp.StatusCode)
	case errors.Is(err, errTooLarge):
		fail.Code = CodeTooLarge
		fail = fail.because(c.secrets, err)
	case err != nil:
		fail = c.broken(ctx, reqCtx, r, fail, err, true)
	default:
		c.refused(fail, env)
	}
	// Kazoo may have created something even though its answer says otherwise
	// or was lost on the way; a plain refusal (4xx) is one.
	if r.once && (good && fail.Status/100 != 4 || fail.Status/100 == 5) {
		fail.ambiguous, fail.retry = true, false
	}
	return nil, fail
}

// refused fills in Kazoo's own words.
func (c *Client) refused(fail *Error, env *envelope) {
	fail.Code = c.secrets.line(env.Code, 64)
	fail.Message = c.secrets.line(env.Message, maxWords)
	fail.Detail = c.secrets.detail(env.Data)
	// Crossbar can answer 200 and mean an error; its code then says which.
	if code, err := strconv.Atoi(fail.Code); err == nil && fail.Status < 400 && code >= 400 && code < 600 {
		fail.Status = code
	}
	fail.retry = retryStatus(fail.Status) && fail.Message != missingView
}

// missingView is Kazoo's 503 for a database that does not exist (a month
// without calls, an archived one): asking again does not help
// (kazoo 4.3 applications/crossbar/src/crossbar_util.erl).
const missingView = "datastore missing view"

func retryStatus(status int) bool {
	return status == http.StatusTooManyRequests || status >= 500
}

// retryAfter reads the header's seconds or date.
func retryAfter(h string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.Atoi(h); err == nil {
		d = time.Duration(min(n, 1<<20)) * time.Second
	} else if t, err := http.ParseTime(h); err == nil {
		d = t.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

// shown is a resource's URL as people may see it: no query, no user info.
func (c *Client) shown(path string) string {
	return c.base.Scheme + "://" + c.base.Host + c.base.EscapedPath() + clip(path, maxWords)
}

// malformed is the error of an answer that is a success but lacks its content.
func (c *Client) malformed(op, method, path string, env *envelope, what string) *Error {
	return &Error{
		Op: op, Method: method, URL: c.shown(path), Status: http.StatusOK, Code: CodeMalformed,
		Message: what, RequestID: c.secrets.line(env.RequestID, 64), Attempts: 1,
	}
}
