package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/config"
	"kazoohook/handlers"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/registration"
)

const readTimeout = 10 * time.Second

// offline is the admin side of a service that doesn't run, over its data
// directory.
func (e *env) offline(ctx context.Context, cfg *config.Config, token string) (http.Handler, func() error, error) {
	log := zerolog.New(e.stderr).Level(zerolog.WarnLevel).Hook(timestamp{})
	j, err := journal.Open(ctx, journal.Options{Dir: cfg.DataDir, Log: log})
	if err != nil {
		return nil, nil, err
	}
	keeper := registration.NewKeeper(nil, j, nil, log, time.Now) // only for the names it knows
	_, admin := handlers.New(handlers.Deps{
		History: j, AdminToken: token, Log: log,
		Enrich: func(ev *event.Event) { keeper.Enrich(ctx, ev) },
		Replay: func(ctx context.Context, q handlers.ReplayRequest) (handlers.ReplayResult, error) {
			if q.Consumer != logConsumer {
				return handlers.ReplayResult{}, handlers.ErrNoConsumer
			}
			plan, err := planReplay(ctx, j, q)
			if err != nil || q.DryRun {
				return plan, err
			}
			return plan, j.MoveCursor(ctx, q.Consumer, plan.Cursor, plan.From-1)
		},
		Resync: func(ctx context.Context, q handlers.ResyncRequest, progress func(handlers.ResyncProgress)) (handlers.ResyncResult, error) {
			if cfg.KazooAPIURL == nil {
				return handlers.ResyncResult{}, fmt.Errorf("this command has no Kazoo settings")
			}
			api, err := newCrossbar(cfg, log)
			if err != nil {
				return handlers.ResyncResult{}, err
			}
			defer api.Close()
			account, err := api.Login(ctx)
			if err != nil {
				return handlers.ResyncResult{}, err
			}
			if cfg.KazooAccountID != "" {
				account.ID = cfg.KazooAccountID
			}
			return runResync(ctx, registration.NewResyncer(api, j, resyncOptions(cfg, log)), account.ID, q, progress)
		},
	})
	return admin, j.Close, nil
}

// logConsumer is the consumer that prints the event lines.
const logConsumer = "log"

// replayJournal is what planning a replay needs of the journal.
type replayJournal interface {
	Cursor(ctx context.Context, consumer string) (int64, error)
	First(ctx context.Context) (int64, error)
	Query(ctx context.Context, q event.Query) ([]event.Record, error)
}

// planReplay finds the first event of a replay and how many there are.
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
		found, err := j.Query(ctx, event.Query{Since: q.Since, OldestFirst: true, Limit: 1})
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

// runResync runs a comparison at a person's word.
func runResync(ctx context.Context, r *registration.Resyncer, account string, q handlers.ResyncRequest, progress func(handlers.ResyncProgress),
) (handlers.ResyncResult, error) {
	report, err := r.Run(ctx, account, registration.Request{DryRun: q.DryRun, Confirm: q.Confirm, Progress: func(p registration.Progress) {
		progress(handlers.ResyncProgress{Type: p.Type, Account: p.Account, Listed: p.Listed, Expected: p.Expected})
	}})
	out := handlers.ResyncResult{DryRun: q.DryRun, Baseline: report.Baseline, Held: report.Held, Limit: report.Limit, Listed: report.Listed,
		Deleted: []handlers.ResyncObject{}, Created: []handlers.ResyncObject{}}
	for _, o := range report.Deleted {
		out.Deleted = append(out.Deleted, handlers.ResyncObject{Type: o.Type, ID: o.ID, AccountID: o.AccountID, Name: o.Name})
	}
	for _, o := range report.Created {
		out.Created = append(out.Created, handlers.ResyncObject{Type: o.Type, ID: o.ID, AccountID: o.AccountID, Name: o.Name})
	}
	return out, err
}
