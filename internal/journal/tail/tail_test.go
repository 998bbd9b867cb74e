package tail

import (
	"testing"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/tables"
)

func TestRecent(t *testing.T) {
	t.Parallel()
	tl := New(1, 0)
	for i := range int64(3 * recentMax) {
		tl.Grow([]tables.Row{{Record: event.Record{Seq: i + 1}}})
	}
	if got, _, err := tl.Read(3*recentMax-5, 3); err != nil || len(got) != 3 || got[0].Seq != 3*recentMax-4 {
		t.Errorf("%v, %v", got, err)
	}
	if got, last, err := tl.Read(1, 3); len(got) != 0 || last != 3*recentMax || err != nil {
		t.Errorf("knows what it has dropped: %d, %v", len(got), err)
	}
	if len(tl.recent) > 2*recentMax {
		t.Errorf("keeps %d", len(tl.recent))
	}
}

func TestRecentLarge(t *testing.T) {
	t.Parallel()
	tl := New(1, 0)
	for i := range int64(12) {
		r := event.Record{Seq: i + 1}
		r.Body = make([]byte, 1<<20)
		tl.Grow([]tables.Row{{Record: r}})
	}
	if tl.bytes > recentMaxBytes || len(tl.recent) == 0 {
		t.Errorf("%d bytes of %d events kept", tl.bytes, len(tl.recent))
	}
}
