package journal

import (
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
)

// edit is a request about an edit, without unique content, from a trusted proxy.
func edit(at time.Time, requestID string) event.Record {
	return event.Route(event.Request{
		Source: event.SourceWebhook, ReceivedAt: at, Hook: "object", HookID: "h", Method: "POST", ContentType: "application/x-www-form-urlencoded",
		Body: []byte("id=5f1e2d3c4b5a69788796a5b4c3d2e1f0&account_id=0123456789abcdef0123456789abcdef&action=doc_edited&type=user"), RequestID: requestID,
	})
}

// TestProxyTriesAgain: the tries of a trusted proxy are one event, also after a restart
// and although the first try was answered. They are remembered for a limited time.
func TestProxyTriesAgain(t *testing.T) {
	t.Parallel()
	c := newClock()
	o := Options{Dir: memoryDir(t), Now: c.now, Retention: 240 * time.Hour, MaintainEvery: 1000 * time.Hour}
	j := openTest(t, o)
	request := func(id string) event.Appended {
		t.Helper()
		r := edit(c.now(), id)
		a := mustAppend(t, j, r)
		j.Acknowledged(r, a, true)
		return a
	}
	first := request("one")
	if again := request("one"); !again.Duplicate || again.Seq != first.Seq || again.ID != first.ID {
		t.Errorf("the same proxy's next try became %+v, not %+v", again, first)
	}
	if other := request("two"); other.Duplicate {
		t.Errorf("another request became %+v", other)
	}
	if none := request(""); none.Duplicate {
		t.Errorf("a request that no proxy names became %+v", none)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openTest(t, o)
	if again := request("one"); !again.Duplicate || again.Seq != first.Seq {
		t.Errorf("after a restart it became %+v", again)
	}
	remembered := func() (n int64) {
		t.Helper()
		err := j.read(t.Context(), func(c *conn) error {
			return c.Rows(t.Context(), "SELECT count(*) FROM tries", nil, func(v database.Row) error { n = v.Int(0); return nil })
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := remembered(); n != 2 {
		t.Errorf("%d tries are remembered, want 2", n)
	}
	if _, err := j.do(t.Context(), &swept{}); err != nil {
		t.Fatal(err)
	}
	if n := remembered(); n != 2 {
		t.Errorf("%d tries are remembered within the hour, want 2", n)
	}
	c.add(2 * time.Hour)
	if _, err := j.do(t.Context(), &swept{}); err != nil {
		t.Fatal(err)
	}
	if n := remembered(); n != 0 {
		t.Errorf("%d tries are remembered after two hours", n)
	}
}

// TestProxyTriesAtOtherNodes: an edit that a proxy tried at several nodes is one event.
// The outcome of a late try makes no later edit a duplicate.
func TestProxyTriesAtOtherNodes(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	take := func(node int, id string, written bool) event.Appended {
		t.Helper()
		r := edit(c.c.now(), id)
		a, err := c.nodes[node].Append(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		c.nodes[node].Acknowledged(r, a, written)
		c.nodes[node].proposer.flushOutcomes(t.Context()) // the test's clock stands still
		c.settle()
		return a
	}
	take(0, "one", false)
	take(1, "one", true)
	take(2, "one", false) // a late try
	c.tick(0, 3*time.Second)
	take(1, "two", true)
	if _, err := c.nodes[0].Append(t.Context(), edit(c.c.now(), "")); err != nil { // the node dies before the outcome
		t.Fatal(err)
	}
	c.tick(0, 3*time.Second)
	take(1, "three", true)
	c.settle()
	c.alike()
	if last, err := c.nodes[2].Last(t.Context()); err != nil || last != 4 {
		t.Errorf("4 edits became %d events, %v", last, err)
	}
}
