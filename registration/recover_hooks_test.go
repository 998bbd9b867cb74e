package registration

import (
	"slices"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/fakekazoo"
)

func TestHooksThatWereOurs(t *testing.T) {
	t.Parallel()
	r := newRecovery(t)
	ids := []string{"moved"}
	r.Recoverer.opts.OurHooks = func() ([]string, bool) { return ids, true }
	r.once(t)
	ids = []string{"new"} // "moved" was deleted in Kazoo and had another URL
	r.restart()
	r.Recoverer.opts.OurHooks = func() ([]string, bool) { return ids, true }
	for _, id := range []string{"moved", "new", "strange"} {
		a := failed("f-"+id, "u-"+id, event.Deleted, r.clock.now(), true)
		a.HookID, a.URI = id, "http://old.example.com/kazoo/x/object"
		r.add(a)
	}
	r.once(t)
	if got := tally(t, r.j); got["user.deleted u-moved"] != 1 || got["user.deleted u-new"] != 1 || len(got) != 2 {
		t.Errorf("events: %v", got)
	}
}

// TestHooksThatAreOursLater: the record is read before Kazoo has listed the hooks, as
// after a journal was replaced, by one process or by two.
func TestHooksThatAreOursLater(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]bool{"one process": false, "another one": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecovery(t)
			var ids []string
			all := false
			hooks := func() ([]string, bool) { return ids, all }
			r.Recoverer.opts.OurHooks = hooks
			for i, id := range []string{"moved", "strange"} { // at the address of another client
				a := failed("f-"+id, "u-"+id, event.Edited, r.clock.now(), true)
				a.HookID, a.URI = id, "http://old.example.com/kazoo/x/object"
				a.Time = a.Time.Add(time.Duration(i) * time.Second)
				r.add(a)
			}
			r.add(failed("f1", "u1", event.Deleted, r.clock.now(), true))
			r.once(t)
			if got := tally(t, r.j); got["user.deleted u1"] != 1 || len(got) != 1 {
				t.Errorf("before the hooks are known: %v", got)
			}
			r.clock.add(4 * time.Hour)
			if restart {
				r.restart()
				r.Recoverer.opts.OurHooks = hooks
			}
			r.once(t) // the hooks are still unknown: the attempts don't count as read
			ids, all = []string{"moved"}, true
			for range 3 {
				r.once(t)
				r.clock.add(time.Minute)
			}
			if got := tally(t, r.j); got["user.edited u-moved"] != 1 || got["user.deleted u1"] != 1 || len(got) != 2 {
				t.Errorf("events: %v", got)
			}
			r.log.yielded = 0
			r.once(t)
			if r.log.yielded > 0 {
				t.Errorf("read %d attempts again", r.log.yielded)
			}
		})
	}
}

// TestTwinsAreOurs: Kazoo also fires by other hooks of our name until they are deleted,
// so their attempts are ours, also those to another address.
func TestTwinsAreOurs(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{})
	var want []string
	for range 2 {
		h, err := c.CreateHook("acme", map[string]any{"name": "kazoohook object user doc_deleted", "uri": "http://127.0.0.1:1/elsewhere", "hook": "object",
			"custom_data": map[string]any{"type": "user", "action": "doc_deleted"}})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, h)
	}
	r := NewReconciler(c.api, reconcilerOptions("http://127.0.0.1:1", Spec{"object", "user", "doc_deleted"}, Spec{"object", "account", "doc_deleted"}))
	if ids, all := r.owned(); len(ids) > 0 || all {
		t.Errorf("before Kazoo was asked: %q, %t", ids, all)
	}
	for range 2 {
		if err := r.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range c.hooks(t) {
		if !slices.Contains(want, h.ID) {
			want = append(want, h.ID) // the reconciler created it
		}
	}
	ids, all := r.owned()
	slices.Sort(ids)
	slices.Sort(want)
	if !slices.Equal(ids, want) || len(want) != 3 || !all {
		t.Errorf("%q, %t, want %q", ids, all, want)
	}
}
