package registration

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
)

// TestPaceOfPasses: while something can't be read, hooks are checked about as often as
// always, a few in each pass. Checks go before everything else that Kazoo is asked.
func TestPaceOfPasses(t *testing.T) {
	t.Parallel()
	const interval, long = 30 * time.Second, 10 * time.Minute
	for name, tc := range map[string]struct {
		happens func(*bubble)
		ends    func(*bubble)
	}{
		"the record": {
			func(b *bubble) { b.kazoo.fail = func(time.Time, time.Time) error { return errBroken } },
			func(b *bubble) { b.kazoo.fail = nil },
		},
		"the hooks": {
			func(b *bubble) {
				b.kazoo.away, b.kazoo.fail = errBroken, func(time.Time, time.Time) error { return errBroken }
			},
			func(b *bubble) { b.kazoo.away, b.kazoo.fail = nil, nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, interval)
				defer func() {
					if err := b.j.Close(); err != nil {
						t.Error(err)
					}
				}()
				const hooks = 30
				b.desire = func(o *Options) {
					o.Specs = nil
					for i := range hooks {
						o.Specs = append(o.Specs, Spec{"object", fmt.Sprint("type", i), "doc_deleted"})
					}
				}
				b.renew(interval)
				stop := run(t, b.Engine)
				defer stop()
				<-time.After(time.Second) // the hooks were seen once
				passes, details := 0, 0
				b.kazoo.set(func() { tc.happens(b); passes, details = b.Reconciler.Status().Runs, b.kazoo.details })
				<-time.After(long)
				b.kazoo.set(func() { passes, details = b.Reconciler.Status().Runs-passes, b.kazoo.details-details })
				if passes > 2*int(long/interval) || details > 10*passes+hooks {
					t.Errorf("%d passes in %s read %d hooks", passes, long, details)
				}
				if s := b.Recoverer.Stats(); s.Failures == 0 || s.FailingSince.IsZero() == (name == "the record") {
					t.Errorf("the record: %+v", s)
				}
				b.kazoo.set(func() { tc.ends(b) })
				<-time.After(2 * interval)
				if !b.proofs.proven() {
					t.Errorf("the hooks are not proven %s after the end", 2*interval)
				}
			})
		})
	}
}

// TestRepairWhileTheRecordFails: while the record can't be read, a hook that Kazoo has
// switched off is enabled at once when that is known.
func TestRepairWhileTheRecordFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, time.Hour)
		defer func() {
			if err := b.j.Close(); err != nil {
				t.Error(err)
			}
		}()
		api := struct {
			stuckRecord
			ObjectAPI
		}{stuckRecord{b.kazoo, errHangs}, b.kazoo}
		opts := reconcilerOptions(testURL)
		b.Engine = NewEngine(api, b.j, opts, RecoverOptions{}, ResyncOptions{Specs: deletedUsers}, EngineOptions{ResyncInterval: time.Hour})
		stop := run(t, b.Engine)
		defer stop()
		for range 3 {
			<-time.After(20 * time.Minute)
			b.kazoo.set(func() { b.kazoo.hooks[0].Enabled = false })
			b.ReconcileNow()
			<-time.After(lookTimeout + 2*time.Second) // a pass begins within a second
			b.kazoo.set(func() {
				if !b.kazoo.hooks[0].Enabled {
					t.Error("the hook stays off")
				}
			})
		}
	})
}

// TestComparisonWithoutProof: an outage is compared even if its end can't be proven,
// because Kazoo's record or the settings of a hook can't be read.
func TestComparisonWithoutProof(t *testing.T) {
	t.Parallel()
	for name, unread := range map[string]func(*bubble){
		"the record": func(b *bubble) { b.kazoo.fail = func(time.Time, time.Time) error { return errBroken } },
		"a hook":     func(b *bubble) { b.kazoo.stuck = map[string]error{b.kazoo.hooks[0].ID: errBroken} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, 30*time.Second)
				defer func() {
					if err := b.j.Close(); err != nil {
						t.Error(err)
					}
				}()
				stop := run(t, b.Engine)
				defer stop()
				<-time.After(20 * time.Minute)
				before, outages := b.kazoo.listings(), b.Outages()
				b.kazoo.set(func() {
					unread(b)
					b.kazoo.hooks[0].Enabled = false
				})
				<-time.After(15 * time.Minute)
				b.kazoo.set(func() {
					if !b.kazoo.hooks[0].Enabled || b.Outages() != outages {
						t.Errorf("enabled %v, %d outages", b.kazoo.hooks[0].Enabled, b.Outages())
					}
				})
				if s := b.Recoverer.Stats(); s.FailingSince.IsZero() == (b.kazoo.fail != nil) || (s.Error == "") == (b.kazoo.fail != nil) {
					t.Errorf("the record: %+v", s)
				}
				<-time.After(time.Hour)
				if n := b.kazoo.listings(); n != before+1 {
					t.Errorf("compared %d times after the outage, want once", n-before)
				}
			})
		})
	}
}

// TestLongRecordIsReadInOneGo: if one run doesn't read all of the record, the next
// follows at once. None waits for a pass.
func TestLongRecordIsReadInOneGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, time.Hour)
		defer func() {
			if err := b.j.Close(); err != nil {
				t.Error(err)
			}
		}()
		const pages = 12
		for i := range pages * pageSize {
			b.kazoo.list = append(b.kazoo.list, failed(fmt.Sprint("f", i), fmt.Sprint("u", i), event.Deleted, time.Now().Add(time.Duration(i-pages*pageSize)*time.Second), true))
		}
		h := desired(Spec{"object", "user", "doc_deleted"})[0]
		h.ID, h.URI, h.Retries = "h1", testURL+"/kazoo/"+testSecret+"/object", 3
		b.kazoo.hooks, b.kazoo.created = []crossbar.Hook{h}, 1
		b.Recoverer.reading.most = 4
		stop := run(t, b.Engine)
		<-time.After(time.Minute)
		stop()
		if n := len(tally(t, b.j)); n != pages*pageSize {
			t.Errorf("%d of %d events were recovered within a minute", n, pages*pageSize)
		}
	})
}
