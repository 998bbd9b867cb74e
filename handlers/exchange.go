package handlers

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/requests"
)

// Requests keeps the newest requests for people to read. Note must not block.
type Requests interface {
	Note(r requests.Request)
}

// Exchanges returns the kept requests of an event, with their answers, oldest
// first.
type Exchanges interface {
	Of(seq int64) []requests.Request
	// Duplicated returns the events whose duplicates are kept, ascending.
	Duplicated() []int64
}

// Bounds of the headers that are kept of one request.
const (
	maxHeaders     = 40
	maxHeaderName  = 64
	maxHeaderValue = 512
	maxHeaderBytes = 4 << 10
)

// note keeps the details of a request that was answered 200. It runs after the
// answer, so Kazoo doesn't wait for it.
func (h *receiver) note(a *answer, rec event.Record, done event.Appended, written bool, took time.Duration) {
	if h.requests == nil || done.Seq == 0 { // hidden, or its event is no longer kept
		return
	}
	q := requests.Request{
		Seq: done.Seq, Duplicate: done.Duplicate, At: rec.ReceivedAt, Method: rec.Method, From: rec.RemoteAddr,
		Status: http.StatusOK, Written: written, Took: took,
	}
	q.Headers, q.Omitted = h.headersOf(a.r)
	h.requests.Note(q)
}

// headersOf returns the request's headers sorted by name, up to the bounds, without
// secrets. Texts are copied, because a substring would keep the whole text in
// memory.
func (h *receiver) headersOf(r *http.Request) (kept []requests.Header, omitted int) {
	names := make([]string, 0, len(r.Header)+1)
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	kept = make([]requests.Header, 0, min(len(names)+1, maxHeaders))
	bytes := 0
	add := func(name, value string) {
		if secretHeader(name) {
			value = event.Masked
		} else {
			value = clipText(h.secrets.mask(value), maxHeaderValue)
		}
		name = clip(name, maxHeaderName)
		if bytes += len(name) + len(value); len(kept) == maxHeaders || bytes > maxHeaderBytes {
			omitted++
			return
		}
		kept = append(kept, requests.Header{Name: name, Value: value})
	}
	if r.Host != "" {
		add("Host", r.Host)
	}
	for _, name := range names {
		for _, value := range r.Header[name] {
			add(name, value)
		}
	}
	return copied(kept, bytes), omitted
}

// copied copies all header texts into one allocation.
func copied(list []requests.Header, size int) []requests.Header {
	var b strings.Builder
	b.Grow(size)
	for i := range list {
		b.WriteString(list[i].Name)
		b.WriteString(list[i].Value)
	}
	rest := b.String()
	for i := range list {
		h := &list[i]
		h.Name, rest = rest[:len(h.Name)], rest[len(h.Name):]
		h.Value, rest = rest[:len(h.Value)], rest[len(h.Value):]
	}
	return list
}

// secretHeader reports whether a header's name says that its value is secret: a
// proxy or the hook's custom_request_headers may add such headers.
func secretHeader(name string) bool {
	switch name {
	case "Host", "Content-Type", "Content-Length", "Te", "Connection", "User-Agent", "Accept", "Accept-Encoding", "X-Hook-Id", "X-Account-Id",
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "X-Request-Id", "Via", "Traceparent":
		return false // the usual headers
	}
	name = strings.ToLower(name)
	for _, part := range []string{"auth", "cookie", "token", "secret", "passw", "key", "credential", "signature", "hmac", "session", "jwt", "cert"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// clipText cuts a text of at most n bytes without cutting a character.
func clipText(s string, n int) string {
	if len(s) <= n {
		return strings.ToValidUTF8(s, "\ufffd")
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// exchange is a kept request in the API's form.
type exchange struct {
	ReceivedAt time.Time         `json:"received_at"`
	Duplicate  bool              `json:"duplicate"`
	Method     string            `json:"method"`
	RemoteAddr string            `json:"remote_addr,omitempty"`
	Headers    []requests.Header `json:"headers"`
	Omitted    int               `json:"headers_omitted,omitempty"`
	Answer     answered          `json:"answer"`
}

type answered struct {
	Status       int     `json:"status"`
	Written      bool    `json:"written"`
	Milliseconds float64 `json:"took_ms"`
}

// exchangesOf returns the kept requests of an event, also those of a cluster's other
// nodes. silent are the nodes that didn't answer.
func exchangesOf(ctx context.Context, d AdminDeps, seq int64) (list []exchange, silent []string) {
	var kept []requests.Request
	if d.Exchanges != nil {
		kept = d.Exchanges.Of(seq)
	}
	if d.Cluster.Requests != nil {
		var others []requests.Request
		others, silent = d.Cluster.Requests(ctx, seq)
		kept = slices.Concat(kept, others)
		slices.SortStableFunc(kept, func(a, b requests.Request) int { return a.At.Compare(b.At) })
	}
	list = []exchange{}
	for _, q := range kept {
		list = append(list, exchange{
			ReceivedAt: q.At, Duplicate: q.Duplicate, Method: q.Method, RemoteAddr: q.From, Headers: append([]requests.Header{}, q.Headers...), Omitted: q.Omitted,
			Answer: answered{q.Status, q.Written, float64(q.Took.Microseconds()) / 1000},
		})
	}
	return list, silent
}
