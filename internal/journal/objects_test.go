package journal

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kazoohook/internal/event"
)

func user(i int) event.SnapshotObject {
	at := time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC)
	return event.SnapshotObject{
		Type: "user", ID: fmt.Sprintf("u%05d", i), AccountID: fmt.Sprintf("a%d", i%3), Name: fmt.Sprintf("User %d", i),
		Fields: map[string]string{"username": "u", "email": "u@example.com"}, FirstSeen: at, LastSeen: at, Pass: 1,
	}
}

func TestObjects(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{})
	ctx := t.Context()
	const n = 2*objectPage + 300
	var all []event.SnapshotObject
	for i := range n {
		all = append(all, user(i))
	}
	all = append(all, event.SnapshotObject{Type: "device", ID: "d", AccountID: "a1", LastSeen: user(9).LastSeen})
	if err := j.UpsertObjects(ctx, all); err != nil {
		t.Fatal(err)
	}
	seen := 0
	last := [2]string{}
	for o, err := range j.Objects(ctx, "user", "") {
		if err != nil {
			t.Fatal(err)
		}
		if k := [2]string{o.AccountID, o.ID}; k[0] < last[0] || (k[0] == last[0] && k[1] <= last[1]) {
			t.Fatalf("%v after %v", k, last)
		} else {
			last = k
		}
		seen++
	}
	if seen != n {
		t.Errorf("streamed %d of %d", seen, n)
	}
	for _, err := range j.Objects(ctx, "user", "a1") { // may end early
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	count := func(typ, account string, want int) {
		t.Helper()
		if got, err := j.CountObjects(ctx, typ, account); err != nil || got != want {
			t.Errorf("%d objects of %s in %q, %v, want %d", got, typ, account, err, want)
		}
	}
	count("user", "", n)
	count("user", "a2", n/3)
	count("device", "", 1)

	again := user(7)
	again.Name, again.FirstSeen, again.LastSeen, again.Pass = "New Name", again.FirstSeen.Add(time.Hour), again.LastSeen.Add(time.Hour), 2
	if err := j.UpsertObjects(ctx, []event.SnapshotObject{again}); err != nil {
		t.Fatal(err)
	}
	want := again
	want.FirstSeen = user(7).FirstSeen
	check := func(want event.SnapshotObject) {
		t.Helper()
		got, ok, err := j.Object(ctx, want.Type, want.ID)
		if diff := cmp.Diff(want, got); !ok || err != nil || diff != "" {
			t.Errorf("%v %v\n%s", ok, err, diff)
		}
	}
	check(want)
	if d, ok, err := j.Object(ctx, "device", "d"); !ok || err != nil || !d.FirstSeen.Equal(user(9).LastSeen) {
		t.Errorf("%+v %v %v", d, ok, err)
	}
	seen = 0
	for _, err := range j.ObjectsNotSeen(ctx, "user", "", 2) {
		if err != nil {
			t.Fatal(err)
		}
		seen++
	}
	if seen != n-1 {
		t.Errorf("%d not seen", seen)
	}

	at := user(100).LastSeen
	for range 2 {
		if err := j.MarkGone(ctx, "user", want.ID, at); err != nil {
			t.Fatal(err)
		}
	}
	want.GoneAt = at
	check(want)
	count("user", "", n-1)
	if err := j.UpsertObjects(ctx, []event.SnapshotObject{again}); err != nil {
		t.Fatal(err)
	}
	want.GoneAt = time.Time{}
	check(want)
	if _, ok, err := j.Object(ctx, "user", "nobody"); ok || err != nil {
		t.Errorf("unknown object: %v, %v", ok, err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for _, err := range j.Objects(cancelled, "user", "") {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}

func TestAppendObserved(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{})
	ctx := t.Context()
	o := user(1)
	o.ID = sample(1, event.Created).ObjectID
	created, deleted := sample(1, event.Created), sample(1, event.Deleted)
	created.Source, deleted.Source = event.SourceResync, event.SourceResync
	a, err := j.AppendObserved(ctx, created, o)
	if err != nil || a.Duplicate {
		t.Fatalf("%+v, %v", a, err)
	}
	o.GoneAt = o.LastSeen.Add(time.Hour)
	for i := range 2 {
		a, err = j.AppendObserved(ctx, deleted, o)
		if err != nil || a.Duplicate != (i == 1) || a.Seq != 2 {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	got, ok, err := j.Object(ctx, "user", o.ID)
	if diff := cmp.Diff(o, got); !ok || err != nil || diff != "" {
		t.Errorf("%v %v\n%s", ok, err, diff)
	}
	if n, err := j.CountObjects(ctx, "user", ""); n != 0 || err != nil {
		t.Errorf("%d living, %v", n, err)
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{})
	for _, v := range []string{"", "one", "two", ""} {
		if err := j.SetState(t.Context(), "k", v); err != nil {
			t.Fatal(err)
		}
		if got, err := j.State(t.Context(), "k"); got != v || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, v)
		}
	}
	if err := j.MoveCursor(t.Context(), "", 0, 1); err == nil {
		t.Error("moved a cursor without a name")
	}
}

func TestObserve(t *testing.T) {
	t.Parallel()
	appends, events := make(chan time.Duration, 1), make(chan int, 1)
	j := openTest(t, Options{Observe: Observe{
		Append: func(d time.Duration) { appends <- d },
		Commit: func(_ time.Duration, n int) { events <- n },
	}})
	mustAppend(t, j, sample(1, event.Edited))
	if d, n := <-appends, <-events; d <= 0 || n != 1 {
		t.Errorf("%v, %d events", d, n)
	}
}
