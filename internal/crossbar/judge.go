package crossbar

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// broken classifies a request that ended without a whole answer.
func (c *Client) broken(ctx, reqCtx context.Context, r request, fail *Error, err error, sent bool) *Error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err // without the URL, which Error shows itself
	}
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case reqCtx.Err() != nil:
		err = fmt.Errorf("%w: nothing within %s", ErrTimeout, c.timeout)
	case strings.HasPrefix(err.Error(), "failed to parse Location header"):
		// net/http repeats the address, and may mangle secrets in it.
		err = errors.New("the answer redirects to something that is not a URL")
	}
	fail = fail.because(c.secrets, err)
	fail.ambiguous = r.once && sent
	fail.retry = !fail.ambiguous && !isTLSProblem(err)
	return fail
}

// judge turns an answer into an envelope or an error.
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
	// Kazoo may have created something even if its answer reports an error or was
	// lost. Only a refusal (4xx) is certain.
	if r.once && (good && fail.Status/100 != 4 || fail.Status/100 == 5) {
		fail.ambiguous, fail.retry = true, false
	}
	return nil, fail
}

// refused fills in Kazoo's code and message.
func (c *Client) refused(fail *Error, env *envelope) {
	fail.Code = c.secrets.line(env.Code, 64)
	fail.Message = c.secrets.line(env.Message, maxWords)
	fail.Detail = c.secrets.detail(env.Data)
	// Crossbar can answer 200 for an error; the code is then the status.
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

// malformed returns the error for a success without its content.
func (c *Client) malformed(op, method, path string, env *envelope, what string) *Error {
	return &Error{
		Op: op, Method: method, URL: c.shown(path), Status: http.StatusOK, Code: CodeMalformed,
		Message: what, RequestID: c.secrets.line(env.RequestID, 64), Attempts: 1,
	}
}
