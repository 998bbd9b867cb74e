package fakekazoo

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Erlang's HTTP client as Kazoo configures it (OTP's httpc).
const (
	connectTimeout  = 10 * time.Second
	keepAlive       = 120 * time.Second
	sessionsPerHost = 2
	maxRedirects    = 10
	maxAnswer       = 1 << 20
)

// sender is Erlang's HTTP client.
type sender struct {
	clock     *clock
	strictURI bool // OTP 22.3.1 and later, so Kazoo 5
	timeout   time.Duration
	transport http.RoundTripper
	// oneShot never reuses a connection. Go silently repeats a GET whose kept
	// connection breaks, which Erlang's client does not.
	oneShot http.RoundTripper
	idle    []*http.Transport
}

func newSender(c *clock, opt Options) *sender {
	s := &sender{clock: c, strictURI: opt.Version == "5", timeout: opt.ResponseTimeout, transport: opt.Transport, oneShot: opt.Transport}
	if opt.Transport != nil {
		return s
	}
	// These are not scaled: on loopback only a busy machine is slow.
	dialer := &net.Dialer{Timeout: connectTimeout}
	kept := &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp4", addr)
		},
		MaxIdleConnsPerHost: sessionsPerHost,
		IdleConnTimeout:     keepAlive,
		TLSHandshakeTimeout: connectTimeout,
		DisableCompression:  true,
		// Kazoo 4.3 does not verify certificates.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: opt.Version != "5"}, //nolint:gosec // as the real one
	}
	once := kept.Clone()
	once.DisableKeepAlives = true
	s.transport, s.oneShot, s.idle = kept, once, []*http.Transport{kept, once}
	return s
}

func (s *sender) close() {
	for _, t := range s.idle {
		t.CloseIdleConnections()
	}
}

// request is one request of a hook's; the header is in the order of sending.
type request struct {
	method, uri, query string
	header             [][2]string
	body               []byte
}

// response is the result: an answer, or clientError in Erlang's words.
type response struct {
	status      int
	header      http.Header
	body        []byte
	clientError string
	redirected  bool // the answer came from another URL
	resends     int  // after a Retry-After
}

// send follows redirects and waits for a Retry-After; Kazoo notices neither.
func (s *sender) send(ctx context.Context, req request, faults *faultSet, hook string) response {
	resends, redirects := 0, 0
	for {
		res := s.once(ctx, req, faults, hook)
		res.resends, res.redirected = resends, redirects > 0
		if res.clientError != "" {
			return res
		}
		if wait, ok := retryAfter(res); ok {
			resends++
			if !s.clock.sleep(ctx, wait) {
				return response{clientError: "closed"}
			}
			continue
		}
		next, ok := redirect(req, res)
		if !ok {
			return res
		}
		if redirects++; redirects > maxRedirects {
			return response{clientError: "redirect_loop"}
		}
		req = next
	}
}

// retryAfter accepts only one or two digits, on a 503 only.
func retryAfter(res response) (time.Duration, bool) {
	v := res.header.Get("Retry-After")
	if res.status != http.StatusServiceUnavailable || v == "" || len(v) > 2 {
		return 0, false
	}
	n, err := strconv.Atoi(v)
	return time.Duration(n) * time.Second, err == nil && strings.Trim(v, "0123456789") == ""
}

// redirect turns a POST into a GET without its body: the event is lost.
func redirect(req request, res response) (request, bool) {
	location := res.header.Get("Location")
	follow := false
	switch res.status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther:
		follow = req.method == http.MethodGet || req.method == http.MethodPost
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		follow = req.method == http.MethodGet
	}
	base, err := url.Parse(req.uri)
	if !follow || location == "" || err != nil {
		return req, false
	}
	to, err := base.Parse(location)
	if err != nil {
		return req, false
	}
	next := request{method: http.MethodGet, uri: to.String()}
	for _, h := range req.header {
		if h[0] != "Content-Type" {
			next.header = append(next.header, h)
		}
	}
	return next, true
}

// once makes one request on the wire.
func (s *sender) once(ctx context.Context, req request, faults *faultSet, hook string) response {
	if f, ok := faults.take(FaultRefuse, hook); ok {
		if f.ClientError != "" {
			return response{clientError: f.ClientError}
		}
		return response{clientError: "failed_connect: econnrefused"}
	}
	if s.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.timeout)
		defer cancel()
	}
	if f, ok := faults.take(FaultSlowDelivery, hook); ok && !pause(ctx, f.Delay) {
		return response{clientError: "timeout"}
	}
	_, lose := faults.take(FaultLoseAnswer, hook)
	hr, err := s.build(ctx, req)
	if err != nil {
		return response{clientError: "invalid_uri"}
	}
	transport := s.transport
	if req.method == http.MethodGet {
		transport = s.oneShot
	}
	answer, err := transport.RoundTrip(hr)
	if err != nil {
		return response{clientError: erlangError(err)}
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	switch {
	case lose:
		return response{clientError: "socket_closed_remotely"}
	case err != nil:
		return response{clientError: erlangError(err)}
	}
	return response{status: answer.StatusCode, header: answer.Header, body: body}
}

// build writes the target as Kazoo does: unescaped, a `?` before the query even
// if the URI has one, nothing after a `#`. User information becomes Basic
// authentication without being decoded.
func (s *sender) build(ctx context.Context, req request) (*http.Request, error) {
	target := req.uri
	if req.query != "" {
		target += "?" + req.query
	}
	if s.strictURI && !validURI(target) {
		return nil, errors.New("invalid_uri")
	}
	target, _, _ = strings.Cut(target, "#")
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok || (scheme != "http" && scheme != "https") {
		return nil, fmt.Errorf("no scheme in %q", req.uri)
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	host, path := rest[:end], rest[end:]
	user := ""
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		user, host = host[:i], host[i+1:]
	}
	path, query, hasQuery := strings.Cut(path, "?")
	if path == "" {
		path = "/"
	}
	hr, err := http.NewRequestWithContext(ctx, req.method, scheme+"://"+host, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("hook uri: %w", err)
	}
	hr.URL.Opaque, hr.URL.RawQuery, hr.URL.ForceQuery = path, query, hasQuery
	if req.method != http.MethodGet {
		hr.Body, hr.ContentLength = io.NopCloser(bytes.NewReader(req.body)), int64(len(req.body))
	}
	for _, h := range req.header {
		hr.Header[h[0]] = []string{h[1]}
	}
	if user != "" {
		hr.Header["Authorization"] = []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(user))}
	}
	hr.Header["User-Agent"] = []string{""} // none is sent
	return hr, nil
}

// validURI is what uri_string:parse of newer OTP accepts after the scheme.
func validURI(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("[]<>\"{}|\\^`", c) >= 0 {
			return false
		}
	}
	return true
}

// erlangError words a transport error as Kazoo's record of attempts does
// (kazoo applications/webhooks/src/webhooks_util.erl fix_error_value).
func erlangError(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.As(err, &dns):
		return "failed_connect: nxdomain"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "failed_connect: econnrefused"
	case errors.As(err, &cert), errors.As(err, &record):
		return "failed_connect: tls_alert"
	case errors.As(err, &op) && op.Op == "dial" && op.Timeout():
		return "failed_connect: timeout"
	case errors.As(err, &op) && op.Op == "dial":
		return "failed_connect: ehostunreach"
	case strings.Contains(err.Error(), "malformed HTTP"):
		return "could_not_parse_as_http"
	default:
		return "socket_closed_remotely"
	}
}
