// Package journaltest tests that an implementation of Log keeps the promises of Log,
// whatever it stores the events in.
package journaltest

import (
	"fmt"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/snapshot"
)

// Opener opens the log that is kept in dir, creating it the first time. The
// suite closes it, and opens it again to see what has survived.
type Opener func(t *testing.T, dir string) Log

// Run runs the whole suite.
func Run(t *testing.T, open Opener) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Opener)
	}{
		{"order", testOrder},
		{"round trip", testRoundTrip},
		{"durability", testDurability},
		{"concurrent appends", testConcurrentAppends},
		{"bounds", testBounds},
		{"wait", testWait},
		{"wait ends with the context", testWaitContext},
		{"cursors", testCursors},
		{"competing cursor moves", testCompetingMoves},
		{"lifecycle duplicates", testLifecycle},
		{"content duplicates", testContent},
		{"unacknowledged duplicates", testUnacknowledged},
		{"recovered duplicates", testRecovered},
		{"wrong signatures", testWrongSignatures},
		{"hidden records", testHidden},
		{"query", testQuery},
		{"close", testClose},
		{"close finishes what is queued", testCloseFinishes},
		{"cancelled append", testCancelled},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open)
		})
	}
}

func start(t *testing.T, open Opener) Log {
	t.Helper()
	l := open(t, MemoryDir(t))
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// edit returns an edit of the n-th object; the same n gives identical requests.
func edit(n int) event.Record {
	id := fmt.Sprintf("object-%d", n)
	r := event.Record{
		Request: event.Request{
			Source: event.SourceWebhook, ReceivedAt: time.Now().UTC(), Hook: "object", HookID: "hook",
			HookAccountID: "account-a", Method: "POST", ContentType: "application/x-www-form-urlencoded",
			RemoteAddr: "192.0.2.1:5000", Body: fmt.Appendf(nil, "id=%s&action=doc_edited&type=user", id),
		},
		Event: "user.edited", AccountID: fmt.Sprintf("account-%c", 'a'+n%3), ObjectType: "user", ObjectID: id,
		Action: event.Edited, Dedupe: event.Dedupe{Rule: event.RuleUnacknowledged},
	}
	copy(r.Dedupe.Key[:], id)
	return r
}

func lifecycle(n int, a event.Action) event.Record {
	r := edit(n)
	r.Action, r.Event = a, map[event.Action]string{event.Created: "user.created", event.Deleted: "user.deleted"}[a]
	r.Dedupe = event.Dedupe{Rule: event.RuleLifecycle, Key: snapshot.Key("user", r.AccountID, r.ObjectID)}
	return r
}

func call(n int) event.Record {
	r := edit(n)
	r.Event, r.ObjectType, r.Action, r.Dedupe.Rule = "channel.create", "", "", event.RuleContent
	return r
}

// store appends a new request and reports its answer as written.
func store(t *testing.T, l Log, r event.Record) event.Appended {
	t.Helper()
	a := appendTo(t, l, r)
	if a.Duplicate {
		t.Fatalf("%s of %s was suppressed as %+v", r.Event, r.ObjectID, a)
	}
	l.Acknowledged(r, a, true)
	return a
}

func appendTo(t *testing.T, l Log, r event.Record) event.Appended {
	t.Helper()
	a, err := l.Append(t.Context(), r)
	if err != nil {
		t.Fatalf("append %s: %v", r.Event, err)
	}
	return a
}

// repeats appends a duplicate of want.
func repeats(t *testing.T, l Log, r event.Record, want event.Appended) event.Appended {
	t.Helper()
	a := appendTo(t, l, r)
	if !a.Duplicate || a.Seq != want.Seq || a.ID != want.ID {
		t.Fatalf("%s of %s: got %+v, want a duplicate of %+v", r.Event, r.ObjectID, a, want)
	}
	return a
}

func readAll(t *testing.T, l Log) []event.Record {
	t.Helper()
	var all []event.Record
	for after := int64(0); ; after = all[len(all)-1].Seq {
		page, err := l.Read(t.Context(), after, 97)
		if err != nil {
			t.Fatalf("read after %d: %v", after, err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
	}
}
