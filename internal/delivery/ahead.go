package delivery

import (
	"context"
	"slices"
	"time"

	"kazoohook/internal/journal"
)

// refillEvery is how often a window that is still half full may be filled up: that reads
// again what it holds.
const refillEvery = time.Second

// refill returns when load must fill the window, 0 if now. missing is false if it need
// not; mu is held.
func (r *runner) refill() (wait time.Duration, missing bool) {
	switch {
	case !r.loaded, r.partly && len(r.w.items) < r.e.opt.ahead/2:
		return 0, true
	case !r.partly || len(r.w.items) >= r.e.opt.ahead:
		return 0, false
	}
	if wait = refillEvery - time.Since(r.filled); wait > 0 {
		return wait, true
	}
	return 0, r.wantsMore()
}

func (r *runner) hasRoom() bool {
	return r.loaded && !r.partly && len(r.w.items) < r.e.opt.ahead && r.wantsMore()
}

// wantsMore reports whether few deliveries in the window are due, or none can be made.
func (r *runner) wantsMore() bool {
	return r.paused != journal.NotPaused || r.w.startable(time.Now(), lowWater) < lowWater
}

// load fills the window with waiting deliveries, redelivered ones first; mu is held.
// Items that are in the window stay.
func (r *runner) load(ctx context.Context) error {
	list, err := r.e.opt.Journal.WaitingDeliveries(ctx, r.name, r.handed, r.e.opt.ahead)
	if err != nil {
		return err
	}
	for _, it := range r.w.items {
		if it.phase == outdated {
			r.w.remove(it)
		}
	}
	now, wall := time.Now(), time.Now().Round(0)
	most := longestWait(r.dest)
	for i := range list {
		if len(r.w.items) >= r.e.opt.ahead {
			break
		}
		d := &list[i]
		it := &item{seq: d.Seq, key: d.Key, redelivered: d.Redelivered, attempts: d.Attempts, base: d.Base, due: now, ordered: r.ordered[d.Seq]}
		// Times of day are compared only here, where a process starts or reads on. So a
		// clock that was set back can't delay an attempt by more than its wait.
		if !d.Due.IsZero() {
			it.due = now.Add(max(0, min(d.Due.Sub(wall), max(d.Wait, 0), most)))
		}
		if d.State == journal.Undecided {
			it.phase, it.until = undecided, now.Add(max(0, min(d.Due.Sub(wall), lookUpFor)))
		}
		r.w.add(it)
	}
	r.partly = len(r.w.items) >= r.e.opt.ahead
	r.loaded, r.filled = true, now
	signal(r.resolve)
	return nil
}

// order lets failures of attempts at these events, which are to be redelivered, no longer
// count: they must not end the new delivery or delay it. reload follows.
func (r *runner) order(ctx context.Context, rows []journal.Judged) error {
	if err := r.pausing.Lock(ctx); err != nil { // so no outcome is being written
		return err
	}
	defer r.pausing.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ordered = make(map[int64]bool, len(rows))
	for i := range rows {
		r.ordered[rows[i].Seq] = true
		if it := r.w.items[rows[i].Seq]; it != nil {
			it.ordered = true
		}
	}
	r.looked = 0
	r.outcomes = slices.DeleteFunc(r.outcomes, func(o finished) bool {
		if o.Delivered || !o.it.ordered {
			return false
		}
		r.unsaved--
		r.rest(o.it)
		return true
	})
	return nil
}

// reload loads again after an order has changed rows; moving is held. If it fails,
// dispatch loads.
func (r *runner) reload(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer signal(r.wake)
	r.w.clear()
	r.ordered = nil
	r.loaded, r.partly = false, true
	return r.load(ctx)
}
