package main

import (
	"context"
	"time"

	"kazoohook/handlers"
	"kazoohook/internal/consumer"
	"kazoohook/registration"
)

// hooks returns the answer of /api/hooks. The handlers' types and those of
// registration have the same fields on purpose: the conversion doesn't compile if
// only one side gets a new field.
func (s *service) hooks() handlers.Overview { return overviewOf(s.overview()) }

// overview returns the state of registration; empty if this process doesn't lead.
func (s *service) overview() registration.Overview {
	if t := s.leading(); t != nil {
		return t.engine.Overview()
	}
	return registration.Overview{}
}

// registered returns the result of the last pass over the hooks.
func (s *service) registered() registration.Status { return s.overview().Registration }

// failing returns the objects that can't be read from Kazoo.
func (s *service) failing() []registration.Failing { return s.overview().Resync.Failing }

// recovered returns what was read back from Kazoo's record of failed attempts.
func (s *service) recovered() registration.RecoverStats { return s.overview().Recover }

// consumers returns the consumers of this process.
func (s *service) consumers() []*consumer.Consumer {
	if t := s.leading(); t != nil {
		return t.consumers
	}
	return nil
}

// reconcileNow starts a check of the hooks within a second.
func (s *service) reconcileNow() {
	if t := s.leading(); t != nil {
		t.engine.ReconcileNow()
		return
	}
	s.report(news{Switched: true})
}

// noteRefusal implements Refused of handlers.PublicDeps.
func (s *service) noteRefusal(hookID string) {
	if t := s.leading(); t != nil {
		t.engine.NoteRefusal(hookID)
		return
	}
	s.report(news{Refused: hookID})
}

// previousUsed implements PreviousUsed of handlers.PublicDeps.
func (s *service) previousUsed() {
	s.rotation.used()
	if s.leading() == nil {
		s.report(news{Previous: true})
	}
}

// hookKeys implements Keys of handlers.PublicDeps.
func (s *service) hookKeys(hookID string) (keys [][]byte, since time.Time, signed bool) {
	if t := s.leading(); t != nil {
		return t.engine.Keys(hookID)
	}
	return s.keys.Of(*s.signed.Load(), hookID)
}

func overviewOf(o registration.Overview) handlers.Overview {
	return handlers.Overview{
		Registration: registrationOf(o.Registration), Failures: o.Failures, FailureLimit: o.FailureLimit, LastDelivery: o.LastDelivery,
		Gaps: o.Outages, Recover: handlers.RecoverStats(o.Recover), Resync: resyncOf(o.Resync),
	}
}

func resyncOf(s registration.ResyncStats) handlers.ResyncStats {
	failing := make([]handlers.Failing, len(s.Failing))
	for i, f := range s.Failing {
		failing[i] = handlers.Failing(f)
	}
	return handlers.ResyncStats{
		Runs: s.Runs, Failures: s.Failures, Took: s.Took, Deleted: s.Deleted, Created: s.Created, Unconfirmed: s.Unconfirmed,
		AwaitingConfirm: s.AwaitingConfirm, LastOK: s.LastOK, Failing: failing,
	}
}

func registrationOf(s registration.Status) handlers.Registration {
	hooks := make([]handlers.HookStatus, len(s.Hooks))
	for i, h := range s.Hooks {
		hooks[i] = handlers.HookStatus(h)
	}
	return handlers.Registration{
		AccountID: s.AccountID, AccountName: s.AccountName, CheckedAt: s.CheckedAt, OKAt: s.OKAt, Error: s.Error, Cause: string(s.Cause), Problems: s.Problems,
		Hooks: hooks, Repairs: s.Repairs, Runs: s.Runs, Failures: s.Failures, Took: s.Took,
	}
}

// attempts returns the answer of /api/attempts.
func (s *service) attempts() []handlers.FailureGroup {
	var list []handlers.FailureGroup
	t := s.leading()
	if t == nil {
		return nil
	}
	for _, g := range t.engine.RecentFailures() {
		list = append(list, handlers.FailureGroup(g))
	}
	return list
}

// lags returns the answer of /api/consumers.
func (s *service) lags(ctx context.Context) ([]handlers.Consumer, error) {
	found, err := s.journal.Consumers(ctx)
	list := make([]handlers.Consumer, len(found))
	for i, c := range found {
		list[i] = handlers.Consumer{Name: c.Name, Cursor: c.Cursor, Lag: c.Lag, LagSeconds: c.LagSeconds}
		for _, running := range s.consumers() {
			if running.Name() != c.Name {
				continue
			}
			if since, err := running.Stuck(time.Now(), stuckAfter); err != nil {
				list[i].StuckSince, list[i].Error = since.UTC(), err.Error()
			}
		}
	}
	return list, err
}
