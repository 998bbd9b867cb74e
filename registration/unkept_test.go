package registration

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/journal/journaltest"
)

// meddled is a HookAPI with which somebody else acts right after a hook was written.
type meddled struct {
	HookAPI
	then func() // once; nil: nobody
}

func (a *meddled) meddle(err error) {
	if then := a.then; then != nil && err == nil {
		a.then = nil
		then()
	}
}

func (a *meddled) CreateHook(ctx context.Context, account string, h crossbar.Hook) (crossbar.Hook, error) {
	made, err := a.HookAPI.CreateHook(ctx, account, h)
	a.meddle(err)
	return made, err
}

func (a *meddled) ReplaceHook(ctx context.Context, account string, h crossbar.Hook) (crossbar.Hook, error) {
	stored, err := a.HookAPI.ReplaceHook(ctx, account, h)
	a.meddle(err)
	return stored, err
}

func (a *meddled) EnableHook(ctx context.Context, account, id string) (crossbar.Hook, error) {
	stored, err := a.HookAPI.EnableHook(ctx, account, id)
	a.meddle(err)
	return stored, err
}

// TestForeignWriteAfterOurs: somebody changes a hook between our write and our reading
// of it. That is not how Kazoo stores the hook: it is a change, and the next pass
// repairs it.
func TestForeignWriteAfterOurs(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(*cluster, string) error{
		"created":  func(c *cluster, id string) error { return c.DeleteHook(id) },
		"repaired": func(c *cluster, id string) error { return c.ChangeHook(id, map[string]any{"retries": 0}) },
		"enabled":  func(c *cluster, id string) error { return c.DisableHook(id, fakekazoo.ReasonTooManyFailures) },
	} {
		for field, change := range map[string]map[string]any{
			"retries":             {"retries": 1},
			"security_settings":   {"security_settings": map[string]any{"sha256_key": "the-key-of-another-receiver"}},
			"include_subaccounts": {"include_subaccounts": true},
		} {
			t.Run(name+", "+field, func(t *testing.T) {
				t.Parallel()
				c := newCluster(t, fakekazoo.Options{Version: "5"})
				var logged bytes.Buffer
				opts := reconcilerOptions("http://127.0.0.1:1")
				opts.Keys, opts.Log = testKeys(t, t.TempDir()), zerolog.New(&logged)
				watch := newProofs(openJournal(t, journaltest.MemoryDir(t), nil), time.Hour, time.Now)
				opts.Watch = &sightings{proofs: watch}
				api := &meddled{HookAPI: c.api}
				r := NewReconciler(api, opts)
				run := func() {
					t.Helper()
					if err := r.RunOnce(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				run()
				if err := before(c, c.hooks(t)[0].ID); err != nil {
					t.Fatal(err)
				}
				api.then = func() {
					if err := c.ChangeHook(c.hooks(t)[0].ID, change); err != nil {
						t.Error(err)
					}
				}
				run()
				if api.then != nil {
					t.Fatal("nothing was written")
				}
				run()
				h := c.hooks(t)[0]
				if !h.Enabled || h.Retries != opts.Retries || h.SecurityKey != opts.Keys.Newest() || h.IncludeSubaccounts {
					t.Errorf("not repaired: %+v", h)
				}
				if broken := strings.Join(watch.hooks[h.Name].broken, "; "); !strings.Contains(broken, "its setting "+field+" was changed in Kazoo") {
					t.Errorf("no outage because of %s: %s", field, broken)
				}
				if strings.Contains(logged.String(), "doesn't store a setting") {
					t.Errorf("log:\n%s", &logged)
				}
			})
		}
	}
}

// sightings is a Watcher that keeps what passes see.
type sightings struct{ *proofs }

func (s *sightings) Prepare(ctx context.Context, account string, _ bool) error {
	return s.prepare(ctx, account, time.Now())
}
func (s *sightings) Names() []string                                   { return s.names() }
func (s *sightings) Known(name string) HookState                       { return s.known(name) }
func (s *sightings) Saw(_ context.Context, pass int, hooks []Sighting) { s.saw(pass, hooks) }

// TestAnotherWantedValueIsWritten: Kazoo doesn't store a setting as asked. If another
// value is wanted, it is asked for, also after a restart.
func TestAnotherWantedValueIsWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, 30*time.Second)
		defer func() {
			if err := b.j.Close(); err != nil {
				t.Error(err)
			}
		}()
		b.kazoo.keeps = func(h *crossbar.Hook) { h.Retries = min(h.Retries, 2) }
		for _, retries := range []int{2, 4, 3, 1, 4} {
			written := b.kazoo.replaced
			b.desire = func(o *Options) { o.Retries = retries }
			b.renew(30 * time.Second)
			stop := run(t, b.Engine)
			<-time.After(10 * time.Minute)
			stop()
			if got, want := b.kazoo.hooks[0].Retries, min(retries, 2); got != want || b.kazoo.replaced > written+1 {
				t.Errorf("%d retries are wanted: %d are registered, want %d; written %d times", retries, got, want, b.kazoo.replaced-written)
			}
			if b.Outages() > 1 {
				t.Errorf("%d retries are wanted: %d outages, want that of the restart:\n%s", retries, b.Outages(), b.logged)
			}
		}
	})
}
