package handlers

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kazoohook/internal/event"
)

// Common is what the handlers of both listeners depend on. A nil or zero field is
// absent or has the stated default.
type Common struct {
	// TrustedProxies are the proxies whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// Draining reports whether the service is stopping. Called for each request.
	Draining func() bool
	// Ready runs the checks of /readyz. It must be cheap: anyone may ask.
	Ready func(context.Context) []Check

	Metrics *Metrics // default: an unregistered set
	Log     zerolog.Logger
	Now     func() time.Time // default time.Now
}

// PublicDeps is what the public handlers depend on. Journal and Secret are
// required.
type PublicDeps struct {
	Common
	Journal Journal

	// Secret is the secret path segment of our hook URIs; without it no request is
	// taken. PreviousSecret, if any, is accepted too while hooks move.
	Secret, PreviousSecret string
	// PublicURL's path, if any, may precede every public path: a proxy may remove
	// it or not. May be nil.
	PublicURL *url.URL
	// MaxBody limits a request's body, in bytes; default 1 MiB.
	MaxBody int64
	// AppendTimeout bounds the wait for the journal. After that Kazoo is asked to
	// resend. Default 10 s.
	AppendTimeout time.Duration
	// AllowFrom, if not empty, lists who may send events (ALLOW_CIDRS).
	AllowFrom []netip.Prefix
	// Instance, if set, is the nonce of the self-check. The public /healthz sends
	// it in the header Kazoohook-Instance.
	Instance string
	// Refused is called with the hook id of each request that had the right secret
	// and was answered with neither 200 nor 503: Kazoo counts those as failures and
	// may switch the hook off. May be nil.
	Refused func(hookID string)
	// Keys returns the keys that may sign a hook's requests, several during a change;
	// whether the hook is known to have one; and since when it has. If it is not known
	// to have one, since is when the first hook got one; zero: none has, or the time is
	// not known. It must be cheap. May be nil.
	Keys func(hookID string) (keys [][]byte, since time.Time, signed bool)
	// Requests, if set, gets each request after it was answered 200.
	Requests Requests
	// Trace, if set, is called for each request that came with the secret; proxied
	// says that a trusted proxy sent it. It must be cheap.
	Trace func(r *http.Request, hook string, begun time.Time, proxied bool) Trace
	// PreviousUsed, if set, is called for each request that came with
	// PreviousSecret. It must be cheap.
	PreviousUsed func()
	// OtherSecrets are the secrets of other nodes of the cluster, also accepted.
	OtherSecrets []string
	// Waiting says that the secret is not known yet, because the node has not
	// joined its cluster, or because the disk fails or doesn't answer. Every
	// request to a hook's path is then answered 503, so that Kazoo resends it.
	Waiting bool
}

// Trace follows one request. Answered is called last, and once.
type Trace interface {
	// Appending is called before the journal is asked, and Appended after it.
	// Appended gets the event's name and account instead of the record, because a
	// pointer to the record would cost an allocation in every request without a
	// trace.
	Appending()
	Appended(name, account string, done event.Appended, err error)
	// Answered gets the status of the answer; 0: none.
	Answered(status int)
}

// AdminDeps is what the admin handlers depend on. History is required. The route of
// a nil function answers 404.
type AdminDeps struct {
	Common
	History History

	// Token, if set, is the bearer token of every admin route but health.
	Token string
	// Hosts are names for the admin listener besides localhost and the loopback
	// addresses. They are checked only if there is no Token.
	Hosts []string
	// Gatherer is what /metrics exposes; nil: no /metrics.
	Gatherer prometheus.Gatherer
	// Hooks returns the desired and actual state of our hooks.
	Hooks func() Overview
	// Consumers returns the positions of the journal's consumers.
	Consumers func(context.Context) ([]Consumer, error)
	// Attempts returns what Kazoo could not deliver lately, and why.
	Attempts func() []FailureGroup
	// Replay moves a consumer back; see ReplayRequest.
	Replay func(context.Context, ReplayRequest) (ReplayResult, error)
	// Resync compares Kazoo's objects with the snapshot now. It may take minutes;
	// progress may be called from other goroutines until it returns.
	Resync func(ctx context.Context, q ResyncRequest, progress func(ResyncProgress)) (ResyncResult, error)
	// Held returns the deletions that the last comparison held back.
	Held func() HeldDeletions
	// Exchanges returns the kept requests of an event; may be nil.
	Exchanges Exchanges
	// PublicURL is the receiver's URL without its secret. A proxy may offer the
	// admin listener below its path, too. May be nil.
	PublicURL *url.URL
	// About returns version, start, and room for the journal.
	About func(context.Context) (About, error)
	// Onward holds the functions for destinations.
	Onward Onward
	// Cluster holds the functions for the cluster.
	Cluster Cluster
	// Enrich completes an event before it is shown (object_name); may be nil.
	Enrich func(*event.Event)
	// Page serves every path without an admin route; nil: 404. It needs no token,
	// because a browser gets the token from the page. So it must hold no data.
	Page http.Handler

	// Heartbeat is the interval between signs of life of a silent stream; default
	// 15 s.
	Heartbeat time.Duration
	// WriteTimeout is how long the reader of an admin answer may stall before it is
	// cut off; default 30 s. In a stream it applies to each write.
	WriteTimeout time.Duration
	// MaxStreams limits concurrent streams; default 256.
	MaxStreams int
}

// Journal is the receiver's view of the journal.
//
// Append returns when the record, or the one that it is a duplicate of, is on disk.
// After any error it is not, and Kazoo should resend. Acknowledged is called once
// after each Append that succeeded and says whether the 200 was written. Refused is
// called after each that failed, before the 503 is written. Both get what Append
// returned. All are safe for concurrent use. The caller doesn't modify the record's
// body afterwards.
type Journal interface {
	Append(ctx context.Context, r event.Record) (event.Appended, error)
	Acknowledged(r event.Record, a event.Appended, written bool)
	Refused(r event.Record, a event.Appended)
}

// History is the readers' view of the journal.
//
// Query returns events in order of seq: descending, or ascending with
// OldestFirst; it may stop before Limit, and next is the Before (or After) to go
// on with, 0 at the end. Read returns events with seq > after, ascending; Wait returns
// once there is one on disk, or with the error of ctx. Last is the newest seq, 0
// if there is none.
type History interface {
	Query(ctx context.Context, q event.Query) (records []event.Record, next int64, err error)
	Read(ctx context.Context, after int64, max int) ([]event.Record, error)
	Wait(ctx context.Context, after int64) error
	Last(ctx context.Context) (int64, error)
}

func (d PublicDeps) withDefaults() PublicDeps {
	d.Common = d.Common.withDefaults()
	if d.MaxBody <= 0 {
		d.MaxBody = 1 << 20
	}
	if d.AppendTimeout <= 0 {
		d.AppendTimeout = 10 * time.Second
	}
	return d
}

func (d AdminDeps) withDefaults() AdminDeps {
	d.Common = d.Common.withDefaults()
	if d.Heartbeat <= 0 {
		d.Heartbeat = 15 * time.Second
	}
	if d.WriteTimeout <= 0 {
		d.WriteTimeout = 30 * time.Second
	}
	if d.MaxStreams <= 0 {
		d.MaxStreams = 256
	}
	return d
}

func (d Common) withDefaults() Common {
	if d.Draining == nil {
		d.Draining = func() bool { return false }
	}
	if d.Ready == nil {
		d.Ready = func(context.Context) []Check { return nil }
	}
	if d.Metrics == nil {
		d.Metrics = NewMetrics(nil)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	return d
}
