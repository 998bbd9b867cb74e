package delivery

import (
	"context"
	"time"

	"kazoohook/internal/journal"
)

// decideSoon wakes decide after a look-up.
func (r *runner) decideSoon(string) { signal(r.resolve) }

// decide settles events whose account was looked up, or waited too long for that, until
// ctx ends.
func (r *runner) decide(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		wait, err := r.decideNow(ctx)
		if err != nil && ctx.Err() == nil {
			r.log.Warn().Err(err).Msg("events that wait for the look-up of their account could not be decided; will try again")
			wait = time.Second
		}
		timer.Stop()
		if wait > 0 {
			timer.Reset(wait)
		}
		select {
		case <-ctx.Done():
		case <-r.resolve:
		case <-timer.C:
		}
	}
}

// decideNow decides what it can. It returns when the next event must be decided, 0 if
// none waits.
func (r *runner) decideNow(ctx context.Context) (wait time.Duration, err error) {
	if err := r.moving.Lock(ctx); err != nil {
		return 0, err
	}
	defer r.moving.Unlock()
	if err := r.findAccounts(ctx); err != nil {
		return 0, err
	}
	r.mu.Lock()
	now := time.Now()
	var match, drop []int64
	for _, it := range r.w.items {
		if it.phase != undecided || !it.read || len(match)+len(drop) >= journal.MaxOutcomes {
			continue
		}
		if it.unreadable { // its attempt makes it a dead letter, which is reported
			match = append(match, it.seq)
			continue
		}
		within, known := r.e.accounts.within(it.account, r.dest.Accounts)
		switch {
		case known && within:
			match = append(match, it.seq)
		case known, r.e.accounts.unknown(it.account), !it.until.After(now):
			drop = append(drop, it.seq)
		default:
			r.e.accounts.want(it.account)
			if left := it.until.Sub(now); wait == 0 || left < wait {
				wait = left
			}
		}
	}
	r.mu.Unlock()
	if len(match)+len(drop) == 0 {
		return wait, nil
	}
	if err := r.e.opt.Journal.Decide(ctx, r.name, match, drop); err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, seq := range match {
		it := r.w.items[seq]
		it.due = now
		r.w.set(it, idle)
	}
	for _, seq := range drop {
		it := r.w.items[seq]
		if within, known := r.e.accounts.within(it.account, r.dest.Accounts); !known || within {
			r.m.unknownAccounts.Inc()
			r.log.Warn().Int64("seq", seq).Str("account_id", it.account).
				Msg("an event is not delivered: Kazoo doesn't say where its account is in the tree, and accounts of the destination doesn't name it")
		}
		r.w.remove(it)
	}
	signal(r.wake)
	signal(r.resolve) // there may be more
	return wait, nil
}

// findAccounts reads the accounts of undecided events that were loaded from the
// journal. It reads some of them, and wakes decide again while there are more: no event
// is decided before its account is read.
func (r *runner) findAccounts(ctx context.Context) error {
	r.mu.Lock()
	var seqs []int64
	for _, it := range r.w.items {
		if it.phase == undecided && !it.read {
			if seqs = append(seqs, it.seq); len(seqs) == judgeBatch {
				break
			}
		}
	}
	r.mu.Unlock()
	if len(seqs) == 0 {
		return nil
	}
	recs, lost, err := r.e.opt.Journal.Kept(ctx, seqs)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range recs {
		if it := r.w.items[recs[i].Seq]; it != nil {
			it.account, it.read = accountOf(&recs[i]), true
		}
	}
	for _, seq := range lost {
		if it := r.w.items[seq]; it != nil {
			it.unreadable, it.read = true, true
		}
	}
	if len(recs)+len(lost) < len(seqs) || len(seqs) == judgeBatch {
		signal(r.resolve)
	}
	return nil
}
