package registration

import (
	"context"
	"net/http"
	"testing"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/journal/journaltest"
)

// unreadableHook is Kazoo's API, which can't read the settings of one hook.
type unreadableHook struct {
	*crossbar.Client
	id string
}

func (a *unreadableHook) Hook(ctx context.Context, account, id string) (crossbar.Hook, error) {
	if id == a.id {
		return crossbar.Hook{}, &crossbar.Error{Op: "hooks.get", Status: http.StatusInternalServerError, Message: "datastore_fault"}
	}
	return a.Client.Hook(ctx, account, id)
}

// TestHookThatCanNotGetAKey: at a change to version 2 the settings of one hook can't be
// read, so it goes on without a key. That others have one says nothing about it.
func TestHookThatCanNotGetAKey(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{Version: "5"})
	j := openJournal(t, journaltest.MemoryDir(t), nil)
	opts := reconcilerOptions("http://127.0.0.1:1", Spec{"object", "user", "doc_deleted"}, Spec{"object", "device", "doc_deleted"})
	opts.Interval = 20 * time.Millisecond
	api := &unreadableHook{Client: c.client(t)}
	engine := func() *Engine {
		return NewEngine(api, j, opts, RecoverOptions{}, ResyncOptions{}, EngineOptions{Settle: time.Millisecond})
	}
	e := engine()
	stop := run(t, e)
	eventually(t, "proven", e.proofs.proven)
	stop()
	hooks := c.hooks(t)
	api.id = hooks[0].ID
	opts.Keys = testKeys(t, t.TempDir())
	for _, when := range []string{"at the upgrade", "after a restart"} {
		e = engine()
		e.Resume(t.Context())
		stop = run(t, e)
		eventually(t, "the other hook has a key", func() bool { _, since, signed := e.Keys(hooks[1].ID); return signed && !since.IsZero() })
		eventually(t, "it is stored", func() bool { _, signed := Signed(t.Context(), j).Since(hooks[1].ID); return signed })
		stop()
		if _, since, signed := e.Keys(api.id); signed || !since.IsZero() {
			t.Errorf("%s: the hook without a key has signed since %v, %v", when, since, signed)
		}
		if since, signed := Signed(t.Context(), j).Since(api.id); signed || !since.IsZero() {
			t.Errorf("%s, according to the journal: the hook without a key has signed since %v, %v", when, since, signed)
		}
		if _, since, _ := e.Keys("stranger"); since.IsZero() {
			t.Errorf("%s: a request of no hook of ours may be unsigned", when)
		}
	}
}
