package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/config"
	"kazoohook/handlers"
	"kazoohook/internal/consumer"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/internal/snapshot"
	"kazoohook/registration"
)

func (s *service) lastDelivery() time.Time {
	if ns := s.delivered.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// replay moves a consumer back; see handlers.AdminDeps.
func (s *service) replay(ctx context.Context, q handlers.ReplayRequest) (handlers.ReplayResult, error) {
	if q.Consumer != logConsumer {
		return handlers.ReplayResult{}, fmt.Errorf("%w: %q; there is %q", handlers.ErrNoConsumer, q.Consumer, logConsumer)
	}
	plan, err := planReplay(ctx, s.journal, q)
	if err != nil || q.DryRun {
		return plan, err
	}
	_, err = led(s, func(t *turn) (struct{}, error) { return struct{}{}, t.log.Rewind(ctx, plan.From-1) })
	return plan, err
}

// resync runs a requested comparison.
func (s *service) resync(ctx context.Context, q handlers.ResyncRequest, progress func(handlers.ResyncProgress)) (handlers.ResyncResult, error) {
	return led(s, func(t *turn) (handlers.ResyncResult, error) {
		account := t.engine.Reconciler.Status().AccountID
		if account == "" {
			return handlers.ResyncResult{}, errors.New("there was no login to Kazoo yet; the log says why")
		}
		return runResync(ctx, t.engine.Resyncer, account, q, progress)
	})
}

// held returns the answer of GET /api/resync.
func (s *service) held() handlers.HeldDeletions {
	t := s.leading()
	if t == nil {
		return handlers.HeldDeletions{}
	}
	h := t.engine.Resyncer.Held()
	return handlers.HeldDeletions{ID: h.ID, Since: h.Since, Count: len(h.Objects), Limit: h.Limit, Objects: resyncObjects(h.Objects)}
}

// about returns the answer of /api/about.
func (s *service) about(ctx context.Context) (handlers.About, error) {
	stats, err := s.journal.Stats(ctx)
	v := version()
	a := handlers.About{
		Version: v.Version, Commit: v.Commit, Go: v.Go, StartedAt: s.started.UTC(), Uptime: time.Since(s.started).Seconds(),
		Journal: s.journal.Name(), First: stats.First, Last: stats.Last, Bytes: stats.Bytes,
	}
	if room, err := diskOf(s.cfg.DataDir); err == nil {
		a.Disk = &handlers.Disk{Free: room.free, Total: room.total}
	}
	if s.cfg.Clustered() {
		c := s.clusterStatus(ctx)
		a.Cluster = &handlers.AboutCluster{Node: c.Node, Leader: c.Leader, Nodes: alive(c), Size: c.Size, Lag: self(c).Lag, Problem: c.Problem}
	}
	return a, err
}

// deliveries stores requests and records the time of the last one.
type deliveries struct {
	*journal.Journal
	service *service
	specs   []registration.Spec // what HOOKS names
}

// Append stores a request. It decides first whether the event is hidden.
func (d deliveries) Append(ctx context.Context, r event.Record) (event.Appended, error) {
	d.service.delivered.Store(r.ReceivedAt.UnixNano())
	r.Hidden = registration.Hidden(d.specs, &r)
	if registration.IsSwitchedOff(&r) {
		d.service.reconcileNow()
	}
	return d.Journal.Append(ctx, r)
}

// logConsumer is the consumer that prints the event lines.
const logConsumer = "log"

// replayJournal is the part of the journal that planning a replay needs.
type replayJournal interface {
	Cursor(ctx context.Context, consumer string) (int64, error)
	First(ctx context.Context) (int64, error)
	Query(ctx context.Context, q event.Query) ([]event.Record, int64, error)
}

// planReplay finds the first event of a replay and the number of events.
func planReplay(ctx context.Context, j replayJournal, q handlers.ReplayRequest) (handlers.ReplayResult, error) {
	out := handlers.ReplayResult{Consumer: q.Consumer, DryRun: q.DryRun, From: q.Seq}
	var err error
	if out.Cursor, err = j.Cursor(ctx, q.Consumer); err != nil {
		return out, err
	}
	first, err := j.First(ctx)
	if err != nil {
		return out, err
	}
	if out.From == 0 {
		found, _, err := j.Query(ctx, event.Query{Since: q.Since, OldestFirst: true, Limit: 1})
		if err != nil {
			return out, err
		}
		out.From = out.Cursor + 1
		if len(found) > 0 {
			out.From = found[0].Seq
		}
	}
	out.From = min(max(out.From, first, 1), out.Cursor+1)
	out.Events = out.Cursor - out.From + 1
	return out, nil
}

// runResync runs a requested comparison.
func runResync(ctx context.Context, r *registration.Resyncer, account string, q handlers.ResyncRequest, progress func(handlers.ResyncProgress),
) (handlers.ResyncResult, error) {
	report, err := r.Run(ctx, account, registration.Request{DryRun: q.DryRun, Confirm: q.Confirm, Held: q.Held, Progress: func(p registration.Progress) {
		progress(handlers.ResyncProgress{Type: p.Type, Account: p.Account, Listed: p.Listed, Expected: p.Expected})
	}})
	out := handlers.ResyncResult{DryRun: q.DryRun, Baseline: report.Baseline, Held: report.Held, Limit: report.Limit, Listed: report.Listed,
		Deleted: resyncObjects(report.Deleted), Created: resyncObjects(report.Created)}
	return out, err
}

func resyncObjects(list []snapshot.Object) []handlers.ResyncObject {
	out := make([]handlers.ResyncObject, len(list))
	for i := range list {
		o := &list[i]
		out[i] = handlers.ResyncObject{Type: o.Type, ID: o.ID, AccountID: o.AccountID, Name: o.Name}
	}
	return out
}

// announce writes the first log line: version, addresses and settings.
func (s *service) announce() {
	settings := zerolog.Dict()
	for _, v := range s.cfg.Settings() {
		if v.Origin != config.FromDefault {
			settings.Str(v.Name, v.Value)
		}
	}
	line := s.logs.Log.Info().Str("version", version().Version).Str("listen", s.server.Addr().String())
	if a := s.server.AdminAddr(); a != nil {
		line.Str("admin", a.String())
	}
	line.Str("kazoo", s.cfg.KazooAPIURL.Redacted()).Str("public_url", s.cfg.PublicURL.String()).
		Str("hooks", s.cfg.Hooks.String()).Str("data_dir", s.cfg.DataDir).Dict("settings", settings).
		Msg("kazoohook is listening")
	warnings := s.cfg.Warnings
	for _, w := range []string{s.cfg.OpenToOthers(), commonPassword(s.cfg)} {
		if w != "" {
			warnings = append(slices.Clip(warnings), w)
		}
	}
	for _, w := range warnings {
		s.logs.Log.Warn().Msg(w)
	}
}

// numbered adds the journal's name to an event before it is printed.
func numbered(j *journal.Journal) consumer.Enricher {
	return func(_ context.Context, e *event.Event) { e.Journal = j.Name() }
}

// named completes an event for display, also with the current name of its object.
func named(j *journal.Journal) consumer.Enricher {
	enrich := registration.Enrich(j)
	return func(ctx context.Context, e *event.Event) {
		enrich(ctx, e)
		e.Journal = j.Name()
	}
}
