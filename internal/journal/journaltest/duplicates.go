package journaltest

import (
	"testing"
	"time"

	"kazoohook/internal/event"
)

func testLifecycle(t *testing.T, open Opener) {
	dir := MemoryDir(t)
	l := open(t, dir)
	c := store(t, l, lifecycle(1, event.Created))
	repeats(t, l, lifecycle(1, event.Created), c)
	d := store(t, l, lifecycle(1, event.Deleted))
	c = store(t, l, lifecycle(1, event.Created))
	repeats(t, l, lifecycle(1, event.Created), c)
	// The creation overtook it, or no look-up has yet shown that the object is back.
	repeats(t, l, lifecycle(1, event.Deleted), d)
	store(t, l, lifecycle(2, event.Deleted))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir)
	t.Cleanup(func() { _ = l.Close() })
	repeats(t, l, lifecycle(1, event.Deleted), d)
	store(t, l, lifecycle(3, event.Deleted))
}

func testContent(t *testing.T, open Opener) {
	dir := MemoryDir(t)
	l := open(t, dir)
	a := store(t, l, call(1))
	store(t, l, call(2))
	repeats(t, l, call(1), a)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir)
	t.Cleanup(func() { _ = l.Close() })
	repeats(t, l, call(1), a)
	store(t, l, call(3))
}

func testUnacknowledged(t *testing.T, open Opener) {
	dir := MemoryDir(t)
	l := open(t, dir)
	store(t, l, edit(1))
	store(t, l, edit(1)) // acknowledged: a real second edit
	a := appendTo(t, l, edit(2))
	if b := appendTo(t, l, edit(2)); b.Duplicate {
		t.Errorf("identical edit while the first is being answered: %+v", b)
	} else {
		l.Acknowledged(edit(2), b, true)
	}
	l.Acknowledged(edit(2), a, false)
	again := repeats(t, l, edit(2), a)
	l.Acknowledged(edit(2), again, true)
	store(t, l, edit(2))

	lost := appendTo(t, l, edit(3))
	l.Acknowledged(edit(3), lost, false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir)
	t.Cleanup(func() { _ = l.Close() })
	store(t, l, edit(1))
	repeats(t, l, edit(3), lost)
}

func testRecovered(t *testing.T, open Opener) {
	l := start(t, open)
	at := time.Now().UTC()
	firing := func(n int, id string, ago time.Duration) event.Record {
		r := edit(n)
		r.Source, r.ReceivedAt = event.SourceRecovered, at.Add(-ago)
		r.Firing = event.Firing{ID: id, First: r.ReceivedAt.Add(-2 * time.Second), Last: r.ReceivedAt}
		return r
	}
	failed := appendTo(t, l, edit(1))
	l.Acknowledged(edit(1), failed, false)
	repeats(t, l, firing(1, "f1", 0), failed) // its answer was lost
	other := appendTo(t, l, firing(1, "f2", 0))
	if other.Duplicate {
		t.Fatalf("a second firing was suppressed: %+v", other)
	}
	repeats(t, l, firing(1, "f1", 0), failed) // read again
	repeats(t, l, firing(1, "f2", 0), other)
	store(t, l, edit(1)) // a recovered firing absorbs no further request

	store(t, l, edit(2))
	if a := appendTo(t, l, firing(2, "f3", time.Hour)); a.Duplicate {
		t.Fatalf("a firing that never arrived was suppressed: %+v", a)
	}
	d := store(t, l, lifecycle(3, event.Deleted))
	again := firing(3, "f4", 0)
	again.Event, again.Action, again.Dedupe = "user.deleted", event.Deleted, lifecycle(3, event.Deleted).Dedupe
	repeats(t, l, again, d)
}

// testHidden: a hidden record gets neither a number nor an id.
func testHidden(t *testing.T, open Opener) {
	l := start(t, open)
	hidden := lifecycle(1, event.Created)
	hidden.Hidden = true
	if a := appendTo(t, l, hidden); a.Seq != 0 || a.ID != "" {
		t.Errorf("a hidden record was appended as %+v", a)
	}
	if n, err := l.Last(t.Context()); n != 0 || err != nil {
		t.Errorf("the newest event is %d, %v", n, err)
	}
	if a := store(t, l, lifecycle(1, event.Deleted)); a.Seq != 1 {
		t.Errorf("the first event has number %d", a.Seq)
	}
}

// testWrongSignatures: a request whose signature is wrong makes no other request a
// duplicate, before or after a restart, and is recognised itself.
func testWrongSignatures(t *testing.T, open Opener) {
	dir := MemoryDir(t)
	l := open(t, dir)
	wrong := func(r event.Record) event.Record {
		r.Signature = event.SignedWrong
		return r
	}
	c := store(t, l, lifecycle(1, event.Created))
	forged := store(t, l, wrong(lifecycle(1, event.Deleted)))
	repeats(t, l, wrong(lifecycle(1, event.Deleted)), forged)
	store(t, l, wrong(lifecycle(2, event.Created)))
	made := store(t, l, lifecycle(2, event.Created))
	store(t, l, wrong(call(3)))
	talk := store(t, l, call(3))
	lost := appendTo(t, l, wrong(edit(4)))
	l.Acknowledged(wrong(edit(4)), lost, false)
	store(t, l, edit(4))
	repeats(t, l, wrong(edit(4)), lost)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir)
	t.Cleanup(func() { _ = l.Close() })
	repeats(t, l, wrong(lifecycle(1, event.Deleted)), forged)
	repeats(t, l, lifecycle(1, event.Created), c)
	repeats(t, l, lifecycle(2, event.Created), made)
	repeats(t, l, call(3), talk)
	d := store(t, l, lifecycle(1, event.Deleted))
	repeats(t, l, lifecycle(1, event.Deleted), d)
}
