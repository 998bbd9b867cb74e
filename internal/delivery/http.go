package delivery

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// Limits for reading an answer.
const (
	maxExcerpt    = 1 << 10        // bytes that are kept
	maxDrain      = 64 << 10       // bytes that are read so that the connection can be used again
	maxDrainTime  = time.Second    // for which these bytes are awaited
	maxRetryAfter = 24 * time.Hour // longer waits are reduced to it
)

// httpSender posts events to a URL.
type httpSender struct {
	d         *Destination
	url       *url.URL
	common    http.Header
	post      *http.Request // what all requests have in common
	dialer    *net.Dialer
	tls       *tls.Config
	proxied   proxied
	transport *http.Transport
	mask      mask // of secrets that an answer may repeat
	drainFor  time.Duration
	refusal   time.Duration
}

func newHTTPSender(d *Destination, o SenderOptions) (*httpSender, error) {
	to, err := url.Parse(d.HTTP.URL)
	if err != nil {
		return nil, errors.New("the URL can't be read") // its text may hold a secret
	}
	config, err := d.HTTP.tls()
	if err != nil {
		return nil, err
	}
	s := &httpSender{d: d, url: to, dialer: newDialer(), tls: config, mask: maskOf(d.HTTP, to), drainFor: maxDrainTime, refusal: maxRefusal}
	s.common = s.header(o.Version)
	s.post = &http.Request{
		Method: http.MethodPost, URL: to, Host: strings.TrimSuffix(to.Host, ":"), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	s.proxied.dialer = s.dialer
	s.proxied.proxy = httpproxy.FromEnvironment().ProxyFunc()
	s.transport = &http.Transport{
		Proxy:                  func(r *http.Request) (*url.URL, error) { return s.proxied.choose(r.Context(), r.URL) },
		DialContext:            s.dialer.DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    d.Concurrency,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
		// A connection that no longer answers is given up.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
	return s, nil
}

// Send posts the event once.
func (s *httpSender) Send(ctx context.Context, m *Message) Result {
	ctx, cancel := context.WithTimeout(ctx, s.d.Timeout)
	defer cancel()
	response, err := s.transport.RoundTrip(s.request(ctx, m)) // read closes its body
	if err != nil {
		return Result{Err: s.failure(ctx, err)}
	}
	excerpt := s.read(response, cancel)
	r := Result{Status: status(response), Excerpt: excerpt}
	code := response.StatusCode
	if code >= 200 && code < 300 {
		return r
	}
	r.Answered = code != http.StatusBadGateway && code != http.StatusServiceUnavailable && code != http.StatusGatewayTimeout
	r.RetryAfter = retryAfter(response.Header.Get("Retry-After"), time.Now())
	r.Pause = code == http.StatusGone
	switch {
	case r.Pause:
		r.Err = fmt.Errorf("%s answered %s: it wants no more events", s.name(), r.Status)
	case code >= 300 && code < 400:
		r.Err = fmt.Errorf("%s answered %s: redirects are not followed, set the URL to where it leads", s.name(), r.Status)
	default:
		r.Err = fmt.Errorf("%s answered %s", s.name(), r.Status)
	}
	return r
}

// header returns the headers that every request has.
func (s *httpSender) header(version string) http.Header {
	agent := "kazoohook"
	if version != "" {
		agent += "/" + version
	}
	h := http.Header{"User-Agent": {agent}}
	for name, value := range s.d.HTTP.Headers {
		h.Set(name, value)
	}
	if login := s.url.User; login != nil && h.Get("Authorization") == "" {
		password, _ := login.Password()
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(login.Username()+":"+password)))
	}
	return h
}

// request makes the request of an attempt.
func (s *httpSender) request(ctx context.Context, m *Message) *http.Request {
	at := m.At
	if at.IsZero() {
		at = time.Now()
	}
	h := make(http.Header, len(s.common)+6)
	set := func(name, value string) { h[name] = []string{value} } // names are canonical
	set("Content-Type", m.ContentType)
	maps.Copy(h, s.common)
	set("Webhook-Id", m.EventID)
	set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
	if keys := s.d.HTTP.Keys; len(keys) > 0 {
		set("Webhook-Signature", sign(keys, m.EventID, at, m.Body))
	}
	if m.Redelivered {
		set("Webhook-Redelivered", "true")
	}
	if m.Traceparent != "" {
		set("Traceparent", m.Traceparent)
	}
	body := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m.Body)), nil }
	r := s.post.WithContext(ctx)
	r.Header, r.GetBody, r.ContentLength = h, body, int64(len(m.Body))
	r.Body, _ = body()
	if len(m.Body) == 0 {
		r.Body = http.NoBody
	}
	return r
}

// status is the answer's code with its standard text: the server's own text may be
// anything.
func status(r *http.Response) string {
	if text := http.StatusText(r.StatusCode); text != "" {
		return strconv.Itoa(r.StatusCode) + " " + text
	}
	return strconv.Itoa(r.StatusCode)
}

// read returns the beginning of an answer's body. It reads the rest within limits, so
// that the connection can be used again, and closes the body.
func (s *httpSender) read(r *http.Response, stop context.CancelFunc) string {
	body := r.Body
	if r.ContentLength == 0 {
		_ = body.Close()
		return ""
	}
	timer := time.AfterFunc(s.drainFor, func() {
		stop()
		_ = body.Close() // over HTTP/2, stop alone does nothing while the server doesn't read our request
	})
	defer timer.Stop()
	var start []byte
	var err error
	if n := r.ContentLength; n > 0 && n < 2*maxExcerpt { // the size is known
		start = make([]byte, n)
		var got int
		got, err = io.ReadFull(body, start)
		start = start[:got]
	} else {
		start, err = io.ReadAll(io.LimitReader(body, 2*maxExcerpt))
	}
	if err == nil {
		_, _ = io.CopyN(io.Discard, body, maxDrain) // an error doesn't matter: the status is known
	}
	_ = body.Close()
	return s.mask.excerpt(start, err != nil || len(start) == 2*maxExcerpt)
}

// retryAfter reads the header: seconds or a date; 0 if it is missing or invalid.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil || seconds > int64(maxRetryAfter/time.Second) { // too many digits for int64
		return maxRetryAfter
	}
	return time.Duration(seconds) * time.Second
}

// name is the destination's name in errors. The path or query may hold a secret.
func (s *httpSender) name() string { return s.url.Scheme + "://" + s.url.Host }

// Close ends the idle connections.
func (s *httpSender) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}
