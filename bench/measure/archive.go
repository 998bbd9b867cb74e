package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// archive is a journal of many events that is made once. It has a thousand accounts,
// as many objects as events, some names, a rare one among them, a few recovered
// events, and 25 events a second.
type archive struct {
	dir    string
	events int64
	start  time.Time
}

const (
	archiveAccounts = 1000
	archiveEvery    = 40 * time.Millisecond
	rareEvery       = 50_000
	recoveredEvery  = 3_000
)

func (m *measurer) archive(ctx context.Context, n int64) (archive, error) {
	a := archive{dir: filepath.Join(m.cache, fmt.Sprintf("events-%d", n)), events: n, start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	if _, err := os.Stat(a.dir); err == nil {
		return a, nil
	}
	m.o.progress(fmt.Sprintf("making a journal of %d events", n))
	unfinished := a.dir + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return a, err
	}
	if err := a.fill(ctx, unfinished); err != nil {
		return a, fmt.Errorf("make a journal of %d events: %w", n, err)
	}
	return a, os.Rename(unfinished, a.dir)
}

// fill appends from many goroutines, so that transactions are large. The journal's
// clock is the time of the newest event so far, as if the events had come over days:
// none is older than a minute when it is stored.
func (a archive) fill(ctx context.Context, dir string) error {
	var next atomic.Int64
	now := func() time.Time { return a.start.Add(time.Duration(next.Load()) * archiveEvery) }
	j, err := journal.Open(ctx, journal.Options{Dir: dir, QueueSize: 1 << 14, Now: now})
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	for range 1024 {
		g.Go(func() error {
			for n := next.Add(1); n <= a.events; n = next.Add(1) {
				if _, err := j.Append(gctx, a.record(n)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return errors.Join(err, j.Close())
	}
	return errors.Join(j.MoveCursor(ctx, "log", 0, a.events), j.Close())
}

func (a archive) account(n int64) string { return fmt.Sprintf("%032x", n%archiveAccounts+1) }

func (a archive) object(n int64) string {
	return fmt.Sprintf("%016x%016x", uint64(n)*0x9e3779b97f4a7c15, n)
}

// record is event n as routing would return it: a call, whose content is unique.
func (a archive) record(n int64) event.Record {
	account, object := a.account(n*7919), a.object(n)
	r := event.Record{
		Request: event.Request{
			Source: event.SourceWebhook, ReceivedAt: a.start.Add(time.Duration(n) * archiveEvery), Hook: "channel_create", HookID: hookID,
			HookAccountID: account, Method: "POST", ContentType: "application/x-www-form-urlencoded", RemoteAddr: "192.0.2.7",
			Body: []byte("call_id=" + object + "&account_id=" + account + "&hook_event=channel_create&timestamp=63900000123&cluster_id=" + cluster),
		},
		Event: []string{"channel.create", "channel.answer", "channel.destroy"}[n%3], AccountID: account, ObjectID: object,
	}
	switch {
	case n%rareEvery == 0:
		r.Event = "user.deleted"
	case n%recoveredEvery == 0:
		r.Source, r.Firing = event.SourceRecovered, event.Firing{ID: object[:10], First: r.ReceivedAt, Last: r.ReceivedAt}
	}
	r.Dedupe.Rule = event.RuleContent
	copy(r.Dedupe.Key[:], object)
	return r
}
