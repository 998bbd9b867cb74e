package journal

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/snapshot"
)

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

// Objects are listed page by page, by type and account; also only those that no
// listing has shown.
func TestObjects(t *testing.T) {
	t.Parallel()
	ctx, j := t.Context(), openTest(t, Options{Dir: memoryDir(t)})
	const n = MaxPage + 20
	for account, many := range map[string]int{"a": n, "b": 3} {
		var page []snapshot.Listed
		for i := range many {
			page = append(page, snapshot.Listed{ID: fmt.Sprintf("%s%04d", account, i), Name: "N"})
		}
		for part := range slices.Chunk(page, MaxPage) {
			if _, err := j.Listed(ctx, snapshot.Page{Type: "user", Account: account, Pass: int64(1 + len(account+account)), AsOf: j.Applied(), Baseline: true, Objects: part}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := j.Listed(ctx, snapshot.Page{Type: "user", Account: "b", Pass: 9, AsOf: j.Applied(), Objects: []snapshot.Listed{{ID: "b0001"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Listed(ctx, snapshot.Page{Objects: make([]snapshot.Listed, MaxPage+1)}); err == nil {
		t.Error("took too large a page")
	}
	for name, c := range map[string]struct {
		list iter.Seq2[snapshot.Object, error]
		want int
	}{
		"all":             {j.Objects(ctx, "user", ""), n + 3},
		"of an account":   {j.Objects(ctx, "user", "a"), n},
		"of another type": {j.Objects(ctx, "device", ""), 0},
		"not seen":        {j.ObjectsNotSeen(ctx, "user", "b", 9), 2},
	} {
		got, last := 0, snapshot.Object{}
		for o, err := range c.list {
			if err != nil || o.AccountID < last.AccountID || o.AccountID == last.AccountID && o.ID <= last.ID {
				t.Fatalf("%s: %+v after %+v, %v", name, o, last, err)
			}
			got, last = got+1, o
		}
		if got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	for o, err := range j.Objects(ctx, "user", "") { // ends when the reader stops
		if err != nil || o.ID == "" {
			t.Errorf("the first is %+v, %v", o, err)
		}
		break
	}
	if pass, err := j.NewestPass(ctx); err != nil || pass != 9 {
		t.Errorf("newest pass %d, %v", pass, err)
	}
	if holders, err := j.Holders(ctx); err != nil || !slices.Equal(holders, []string{"a", "b"}) {
		t.Errorf("holders %v, %v", holders, err)
	}
	for account, want := range map[string]int{"": n + 3, "b": 3} {
		if got, err := j.CountObjects(ctx, "user", account); err != nil || got != want {
			t.Errorf("%d of %q, %v", got, account, err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for _, err := range j.Objects(ctx, "user", "") {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	}
}

// A request that is refused and not stored lets those that it may have repeated
// wait longer.
func TestRefusedWaitsLonger(t *testing.T) {
	t.Parallel()
	c := newClock()
	j := openTest(t, Options{Dir: memoryDir(t), Now: c.now})
	r := sample(1, event.Edited)
	first := mustAppend(t, j, r)
	j.Acknowledged(r, first, false)
	c.add(50 * time.Second)
	j.Refused(r, event.Appended{Command: first.Command + 1000}) // refused because of overload, for example
	mustAppend(t, j, content(2))
	c.add(50 * time.Second)
	if a := mustAppend(t, j, r); !a.Duplicate || a.Seq != first.Seq {
		t.Errorf("the next try is new: %+v", a)
	}
}
