package registration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kazoohook/internal/event"
)

// TestTakeOverIsNoOutage: another node leads ten seconds after the leader has ended,
// and other nodes take requests meanwhile. The hooks are judged as if one process had
// observed them. Only time in which the whole cluster takes no requests is an outage
// by itself.
func TestTakeOverIsNoOutage(t *testing.T) {
	t.Parallel()
	own := func(b *bubble, n int, ago time.Duration) {
		for i := range n {
			a := failed(fmt.Sprintf("f%d-%s", i, ago), "u1", event.Edited, time.Now().Add(-ago), true)
			a.URI = testURL + "/kazoo/" + testSecret + "/object"
			b.kazoo.list = append(b.kazoo.list, a)
		}
	}
	off := func(b *bubble) {
		b.kazoo.hooks[0].Enabled, b.kazoo.hooks[0].DisableReason = false, "too many failed attempts"
	}
	for name, tc := range map[string]struct {
		before func(*bubble) // ten seconds before the leader stops
		later  time.Duration // how long it continues; 0: ten seconds; negative: until a repair
		during func(*bubble) // while no node leads
		span   string        // of the next leader; "": the same
		away   time.Duration // how long no node leads; 0: ten seconds
		want   string        // the reason; "" no outage
	}{
		"nothing happens":         {},
		"the cluster was silent":  {span: "e1/1", want: "the receiver was not running"},
		"another log":             {span: "e2/", want: "the receiver was not running"},
		"nobody led for minutes":  {away: 5 * time.Minute, want: "the hooks could not be checked for"},
		"switched off meanwhile":  {during: off, want: "switched off (too many failed attempts)"},
		"removed meanwhile":       {during: func(b *bubble) { b.kazoo.hooks = nil }, want: "missing in Kazoo"},
		"changed meanwhile":       {during: func(b *bubble) { b.kazoo.hooks[0].URI = "http://elsewhere.example.com/" }, want: "uri was changed"},
		"off and on meanwhile":    {during: func(b *bubble) { own(b, failureLimit, 0) }, want: "enough failures to switch the hook off"},
		"six failures around it":  {before: func(b *bubble) { own(b, 3, 0) }, later: 31 * time.Second, during: func(b *bubble) { own(b, 3, 0) }, want: "enough failures to switch the hook off"},
		"five failures around it": {before: func(b *bubble) { own(b, 3, 0) }, later: 31 * time.Second, during: func(b *bubble) { own(b, 2, 0) }},
		"repaired and not yet proven": {before: func(b *bubble) {
			b.kazoo.away = errors.New("refused")
			off(b)
			go func() {
				<-time.After(time.Minute)
				b.kazoo.set(func() { b.kazoo.away = nil })
			}()
		}, later: -1, want: "switched off (too many failed attempts)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				span := "e1/"
				b := newBubble(t, 30*time.Second)
				defer func() {
					if err := b.j.Close(); err != nil {
						t.Error(err)
					}
				}()
				lead := func() (stop func()) {
					b.renew(30 * time.Second)
					said := span
					b.opts.Listening = func(context.Context) (string, error) { return said, nil }
					b.proofs.listening = b.opts.Listening
					return run(t, b.Engine)
				}
				stop := lead()
				<-time.After(5 * time.Minute)
				if tc.before != nil {
					b.kazoo.set(func() { tc.before(b) })
				}
				switch {
				case tc.later < 0: // until the hook is repaired, but no longer
					for enabled := 0; enabled == 0; {
						<-time.After(10 * time.Millisecond)
						b.kazoo.set(func() { enabled = b.kazoo.enabled + b.kazoo.replaced })
					}
				default:
					<-time.After(max(tc.later, 10*time.Second))
				}
				stop()
				if tc.during != nil {
					b.kazoo.set(func() { tc.during(b) })
				}
				<-time.After(max(tc.away, 10*time.Second))
				first := b.Outages()
				if tc.span != "" {
					span = tc.span
				}
				stop = lead()
				<-time.After(20 * time.Minute)
				stop()
				want := 0
				if tc.want != "" {
					want = 1
				}
				if got := strings.Count(b.logged.String(), "outage: events may have been missed"); first != 0 || got != want || !strings.Contains(b.logged.String(), tc.want) {
					t.Errorf("%d outages, %d of the first leader; want %d (%s):\n%s", got, first, want, tc.want, b.logged)
				}
				if got := b.kazoo.listings(); got != 1+want {
					t.Errorf("compared %d times, want %d", got, 1+want)
				}
				if proven := b.proofs.known("kazoohook object user doc_deleted").Proven; time.Since(proven) > 40*time.Second {
					t.Errorf("proven until %s, it is %s", proven, time.Now())
				}
			})
		})
	}
}

// TestManyTakeOvers: if the leader changes every two minutes, objects are compared no
// more often than by one leader, and no outage is lost.
func TestManyTakeOvers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, 30*time.Second)
		defer func() {
			if err := b.j.Close(); err != nil {
				t.Error(err)
			}
		}()
		for i := range 38 { // 76 minutes; a comparison is due every 30
			b.renew(30 * time.Second)
			b.opts.ResyncInterval = 30 * time.Minute
			b.proofs.listening = func(context.Context) (string, error) { return "e1/", nil }
			stop := run(t, b.Engine)
			<-time.After(115 * time.Second)
			stop()
			<-time.After(5 * time.Second)
			if i == 10 {
				b.kazoo.set(func() { b.kazoo.hooks[0].Enabled = false })
			}
		}
		if got := strings.Count(b.logged.String(), "outage: events may have been missed"); got != 1 {
			t.Errorf("%d outages, want the one when the hook was off:\n%s", got, b.logged)
		}
		if got := b.kazoo.listings(); got < 3 || got > 4 {
			t.Errorf("compared %d times, want: at first, after the outage, and every half hour", got)
		}
	})
}

// TestTakeOverAfterAnIncompleteComparison: the leader's comparison failed for some
// accounts, or held deletions back. Both are only in its memory, so the next leader
// compares again, but not before leastResync has passed.
func TestTakeOverAfterAnIncompleteComparison(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		most    int // deletions without confirmation
		fails   bool
		waiting int
		deleted int
		want    int // comparisons by the next leader
	}{
		"complete":         {most: 5, deleted: 2},
		"it failed partly": {most: 5, fails: true, deleted: 2, want: 1},
		"deletions wait":   {most: 1, waiting: 2, want: 1},
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
				lead := func() (stop func()) {
					b.renew(30 * time.Second)
					b.opts.ResyncInterval = 4 * time.Hour
					b.Resyncer.opts.MaxDeletions = tc.most
					b.proofs.listening = func(context.Context) (string, error) { return "e1/", nil }
					return run(t, b.Engine)
				}
				stop := lead()
				<-time.After(time.Hour)
				b.kazoo.set(func() {
					b.kazoo.users = nil
					if tc.fails {
						b.kazoo.usersErr = errBroken
					}
				})
				<-time.After(4 * time.Hour)
				stop()
				logged := b.logged.String()
				if part := strings.Contains(logged, "could not be compared"); part != tc.fails || part == strings.Contains(logged, "were compared") {
					t.Errorf("log:\n%s", logged)
				}
				b.kazoo.set(func() { b.kazoo.usersErr = nil })
				before := b.kazoo.listings()
				stop = lead()
				<-time.After(2 * leastResync)
				stop()
				if got := b.kazoo.listings() - before; got != tc.want {
					t.Errorf("compared %d times, want %d", got, tc.want)
				}
				s, deleted := b.Resyncer.Stats(), strings.Count(fmt.Sprint(tally(t, b.j)), "user.deleted")
				if s.AwaitingConfirm != tc.waiting || deleted != tc.deleted {
					t.Errorf("%d deletions wait, %d are reported; want %d and %d", s.AwaitingConfirm, deleted, tc.waiting, tc.deleted)
				}
			})
		})
	}
}
