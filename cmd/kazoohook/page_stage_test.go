//go:build real

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kazoohook/handlers"
	"kazoohook/handlers/ui"
	"kazoohook/internal/event"
	"kazoohook/internal/requests"
)

// stage is the real admin side over a state that a test sets. It shows at once what a
// real Kazoo needs hours for.
type stage struct {
	url      string
	server   *httptest.Server
	requests *requests.Recent

	mu sync.Mutex
	s  stageState
}

// stageState is the state that the admin side shows.
type stageState struct {
	overview  handlers.Overview
	checks    []handlers.Check
	consumers []handlers.Consumer
	attempts  []handlers.FailureGroup
	about     handlers.About
	held      handlers.HeldDeletions

	destinations []handlers.Destination
	deliveries   []handlers.Delivery // of every event
	redelivered  []handlers.RedeliverRequest

	leaderless bool     // the cluster has no leader
	silent     []string // nodes that can't be asked for requests

	token   string // of the admin side
	fail    error  // of every read of events
	down    bool   // the receiver doesn't answer
	records []event.Record

	confirmed []handlers.ResyncRequest // what a person asked for
	progress  chan struct{}            // a resync waits for each of its values
}

func newStage(t *testing.T) *stage {
	t.Helper()
	st := &stage{requests: requests.New(requests.Options{})}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if st.get().down {
			panic(http.ErrAbortHandler)
		}
		token := st.get().token
		handlers.Admin(handlers.AdminDeps{
			Common:  handlers.Common{Ready: func(context.Context) []handlers.Check { return st.get().checks }},
			History: st, Token: token, Page: ui.New(), Exchanges: st.requests, PublicURL: &url.URL{Scheme: "https", Host: "hooks.example.com"},
			Cluster: handlers.Cluster{
				Leads: func() bool { return !st.get().leaderless },
				Ask: func(context.Context, handlers.LeaderRequest, func(handlers.LeaderAnswer)) (handlers.LeaderAnswer, error) {
					return handlers.LeaderAnswer{}, handlers.ErrNoLeader
				},
				Requests: func(context.Context, int64) ([]requests.Request, []string) { return nil, st.get().silent },
			},
			Hooks:     func() handlers.Overview { return st.get().overview },
			Consumers: func(context.Context) ([]handlers.Consumer, error) { return st.get().consumers, nil },
			Attempts:  func() []handlers.FailureGroup { return st.get().attempts },
			About:     func(context.Context) (handlers.About, error) { return st.get().about, nil },
			Held:      func() handlers.HeldDeletions { return st.get().held },
			Resync:    st.resync,
			Onward: handlers.Onward{
				Destinations: func(context.Context) ([]handlers.Destination, error) { return st.get().destinations, nil },
				Deliveries:   func(context.Context, int64) ([]handlers.Delivery, error) { return st.get().deliveries, nil },
				Dead: func(_ context.Context, q handlers.DeadQuery) (list []handlers.DeadLetter, _ error) {
					for i := range 3 {
						list = append(list, handlers.DeadLetter{Destination: q.Destination, EventID: longID, Seq: int64(i + 1), Event: "mailbox_message.deleted", Attempts: 12, LastError: longName + longName, At: time.Now(), NoBody: i == 1})
					}
					return list, nil
				},
				Redeliver: st.redeliver,
			},
			Replay: func(_ context.Context, q handlers.ReplayRequest) (handlers.ReplayResult, error) {
				return handlers.ReplayResult{Consumer: q.Consumer, From: 1, Cursor: 9, Events: 9, DryRun: q.DryRun}, nil
			},
		}).ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	st.url, st.server = srv.URL+"/", srv
	return st
}

func (st *stage) get() stageState {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.s
}

func (st *stage) set(change func(*stageState)) {
	st.mu.Lock()
	defer st.mu.Unlock()
	change(&st.s)
}

func (st *stage) resync(ctx context.Context, q handlers.ResyncRequest, progress func(handlers.ResyncProgress)) (handlers.ResyncResult, error) {
	s := st.get()
	st.set(func(s *stageState) { s.confirmed = append(s.confirmed, q) })
	if q.Held != s.held.ID {
		return handlers.ResyncResult{}, errors.New("the deletions that are held back have changed: look at them again, then confirm")
	}
	if s.progress != nil {
		progress(handlers.ResyncProgress{Type: "user", Listed: 12, Expected: 40})
		select {
		case <-s.progress:
		case <-ctx.Done():
			return handlers.ResyncResult{}, ctx.Err()
		}
	}
	st.set(func(s *stageState) { s.held, s.overview.Resync.AwaitingConfirm = handlers.HeldDeletions{}, 0 })
	return handlers.ResyncResult{Deleted: s.held.Objects, Created: []handlers.ResyncObject{}}, nil
}

// redeliver takes any event for a known destination.
func (st *stage) redeliver(_ context.Context, q handlers.RedeliverRequest) (handlers.RedeliverResult, error) {
	st.set(func(s *stageState) { s.redelivered = append(s.redelivered, q) })
	for _, d := range st.get().destinations {
		switch {
		case d.Name == q.Destination && d.State == "full":
			return handlers.RedeliverResult{Destination: q.Destination, Events: []handlers.EventIdentity{{EventID: q.EventID, Skipped: "its body is no longer kept"}}, More: 0}, nil
		case d.Name == q.Destination:
			return handlers.RedeliverResult{Destination: q.Destination, Count: 1, Events: []handlers.EventIdentity{{EventID: q.EventID}}}, nil
		}
	}
	return handlers.RedeliverResult{}, handlers.ErrNoDestination
}

// Query, Read, Wait and Last make it a handlers.History.
func (st *stage) Query(_ context.Context, q event.Query) (found []event.Record, next int64, err error) {
	s := st.get()
	if s.fail != nil {
		return nil, 0, s.fail
	}
	records := slices.Clone(s.records)
	if !q.OldestFirst {
		slices.Reverse(records)
	}
	for _, r := range records {
		if r.Seq <= q.After || q.Before > 0 && r.Seq >= q.Before || !q.Match(r) {
			continue
		}
		if found = append(found, r); len(found) == q.Limit {
			return found, r.Seq, nil
		}
	}
	return found, 0, nil
}

func (st *stage) Read(ctx context.Context, after int64, most int) ([]event.Record, error) {
	records, _, err := st.Query(ctx, event.Query{After: after, OldestFirst: true, Limit: most})
	return records, err
}

func (st *stage) Wait(ctx context.Context, after int64) error {
	for {
		if last, _ := st.Last(ctx); last > after {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (st *stage) Last(context.Context) (int64, error) {
	s := st.get()
	if len(s.records) == 0 {
		return 0, s.fail
	}
	return s.records[len(s.records)-1].Seq, s.fail
}

const (
	// longName is a name without a place to break the line.
	longName = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
	longID   = "5f1e2d3c4b5a69788796a5b4c3d2e1f05f1e2d3c4b5a69788796a5b4c3d2e1f0"
)

// happened returns an event as it was delivered.
func happened(seq int64, at time.Time, hook string, fields ...string) event.Record {
	form := url.Values{}
	for pair := range slices.Chunk(fields, 2) {
		form.Set(pair[0], pair[1])
	}
	r := event.Route(event.Request{
		Source: event.SourceWebhook, ReceivedAt: at.UTC(), Hook: hook, HookID: "4f2d", HookAccountID: "a1b2", Method: "POST",
		ContentType: "application/x-www-form-urlencoded", RemoteAddr: "203.0.113.7", Body: []byte(form.Encode()),
	})
	r.Seq, r.ID = seq, fmt.Sprintf("01J%023d", seq)
	return r
}

// everyFamily returns some events of every family, the newest last.
func everyFamily(first int64, now time.Time) (list []event.Record) {
	add := func(hook string, fields ...string) {
		n := int64(len(list))
		r := happened(first+n, now.Add(time.Duration(n-60)*20*time.Second), hook, append(fields, "account_id", "c0ffee00aa11bb22cc33dd44ee55ff66")...)
		switch n % 7 {
		case 3:
			r.Source = event.SourceRecovered
		case 5:
			r.Source = event.SourceResync
		}
		list = append(list, r)
	}
	for i, typ := range []string{"user", "vmbox", "callflow", "device", "account", "media", "fax", "faxbox", "mailbox_message", "call_recording", "user", "user", "vmbox", "callflow"} {
		add("object", "id", fmt.Sprintf("%032x", i), "type", typ, "action", []string{"doc_created", "doc_edited", "doc_deleted"}[i%3], "name", longName)
	}
	add("channel_create", "hook_event", "channel_create", "call_id", longID+"@10.0.0.7", "caller_id_name", longName, "caller_id_number", "+15551234567", "callee_id_number", "1001", "timestamp", "63907712980")
	add("parking", "event_name", "PARK_PARKED", "parking_slot", "101", "call_id", "p1", "timestamp", "63907712980")
	add("sms", "id", "s1", "type", "sms", "from", "+15551234567", "to", "+15557654321", "body", strings.Repeat("On my way. ", 40))
	add("notifications", "event_category", "notification", "event_name", "voicemail_new", "msg_id", "n1", "to_user", longName)
	add("qubicle_queue", "queue_id", longID)
	add("a_hook_of_another_application_with_a_very_long_name_of_its_own_indeed", "x", longName)
	add("object", "what", "is this")
	return list
}
