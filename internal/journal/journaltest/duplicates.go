package journaltest

import (
	"testing"
	"time"

	"kazoohook/internal/event"
)

func testLifecycle(t *testing.T, open Opener) {
	dir := t.TempDir()
	l := open(t, dir)
	c := store(t, l, lifecycle(1, event.Created))
	repeats(t, l, lifecycle(1, event.Created), c)
	store(t, l, lifecycle(1, event.Deleted))
	c = store(t, l, lifecycle(1, event.Created))
	repeats(t, l, lifecycle(1, event.Created), c)
	d := store(t, l, lifecycle(1, event.Deleted))
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
	dir := t.TempDir()
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
	dir := t.TempDir()
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
	repeats(t, l, edit(2), a)
	l.Acknowledged(edit(2), a, true)
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
	held := store(t, l, edit(1))
	at := time.Now().UTC()
	again := edit(1)
	again.Source = event.SourceRecovered
	again.Firing = event.Firing{ID: "f1", First: at.Add(-2 * time.Second), Last: at}
	repeats(t, l, again, held)

	lost := again
	lost.ReceivedAt = at.Add(-time.Hour)
	lost.Firing = event.Firing{ID: "f2", First: lost.ReceivedAt, Last: lost.ReceivedAt}
	a := appendTo(t, l, lost)
	if a.Duplicate {
		t.Fatalf("a firing that never arrived was suppressed: %+v", a)
	}
	repeats(t, l, lost, a)
	repeats(t, l, edit(1), a) // arrives after all
	store(t, l, edit(4))
}
