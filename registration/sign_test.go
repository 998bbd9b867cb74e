package registration

import (
	"net/http"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/journal/journaltest"
)

// TestFailuresAreNoChange: a failed attempt of a hook that nobody has changed is no sign
// of a change, whatever the hook is. Kazoo records the names of channel hooks in upper
// case.
func TestFailuresAreNoChange(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{Speed: 50})
	j := openJournal(t, journaltest.MemoryDir(t), nil)
	r := newReceiver(t, j)
	r.status.Store(http.StatusNotFound)
	users, err := c.SeedUsers("acme", 1)
	if err != nil {
		t.Fatal(err)
	}
	specs := []Spec{{"object", "user", "doc_deleted"}, {Hook: "sms"}, {Hook: "parking"},
		{Hook: "channel_create"}, {Hook: "channel_answer"}, {Hook: "channel_bridge"}, {Hook: "channel_destroy"}}
	logged := &logBuffer{}
	reg := reconcilerOptions(r.url, specs...)
	reg.Interval, reg.Log = 40*time.Millisecond, zerolog.New(logged)
	e := NewEngine(c.api, j, reg, RecoverOptions{Log: reg.Log}, ResyncOptions{Specs: deletedUsers, Log: reg.Log},
		EngineOptions{ResyncInterval: time.Hour, Settle: 20 * time.Millisecond, Log: reg.Log})
	e.proofs.interval = time.Hour // a pass that a busy machine delays makes no outage
	stop := run(t, e)
	defer stop()
	provenAfter := func(at time.Time) func() bool {
		return func() bool {
			for _, s := range specs {
				if !e.proofs.known("kazoohook " + s.String()).Proven.After(at) {
					return false
				}
			}
			return true
		}
	}
	eventually(t, "the hooks are proven", provenAfter(time.Time{}))
	_, callErr := c.PlaceCall(fakekazoo.Call{})
	for _, err := range []error{callErr, c.DeleteUser(users[0].ID), c.SendText("acme", "hello"), c.ParkCall("acme", true)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "a failure of each hook", func() bool {
		failed := map[string]bool{}
		for _, g := range e.RecentFailures() {
			failed[g.Hook] = true
		}
		for _, s := range specs {
			if !failed[s.Hook] {
				return false
			}
		}
		return true
	})
	eventually(t, "the hooks are proven again", provenAfter(time.Now()))
	stop()
	if n := e.Outages(); n != 0 {
		t.Errorf("%d outages:\n%s", n, logged)
	}
}
