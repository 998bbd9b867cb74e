package delivery

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptrace"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// attempt is one running attempt.
type attempt struct {
	it          *item
	dest        *Destination
	sender      *shared
	probe       bool
	resumed     int // runner.resumed when it began
	n           int
	seq         int64
	redelivered bool
	rec         *event.Record   // nil: it must be read
	row         *journal.Judged // what is known of the event without rec; nil: the journal has it

	at     time.Time // when the attempt began
	took   time.Duration
	result Result
	undone error // why no attempt was made, or it doesn't count; it is tried again soon
	lost   bool  // the event is no longer kept
	broken error // why the event can't be written in the format
}

// work makes an attempt, then further ones while any are due.
func (r *runner) work(a *attempt) {
	defer r.attempts.Done()
	for a != nil {
		r.make(a)
		if a.result.Err != nil && r.actx.Err() != nil {
			a.undone = errStopped
		}
		r.ended(a)
		a.sender.users.Done()
		a = r.another()
	}
}

// make makes one attempt.
func (r *runner) make(a *attempt) {
	defer func() {
		if p := recover(); p != nil {
			a.result = Result{Err: fmt.Errorf("the attempt failed within the receiver: panic: %v", p)}
		}
	}()
	if a.rec == nil {
		recs, lost, err := r.e.opt.Journal.Kept(r.actx, []int64{a.seq})
		switch {
		case err != nil:
			a.undone = err
			return
		case len(lost) > 0 || len(recs) == 0:
			a.lost = true
			if a.row == nil {
				a.row, a.undone = r.row(a.seq)
			}
			return
		}
		a.rec = &recs[0]
	}
	e := event.Decode(*a.rec)
	e.Journal = r.e.opt.Journal.Name()
	m, err := a.dest.Message(&e)
	if err != nil {
		a.at, a.broken = time.Now(), err
		return
	}
	ctx := r.actx // the sender applies the timeout
	if r.e.opt.Fence != nil {
		refusals := r.refusals.Load()
		if a.undone = r.e.opt.Fence(); a.undone != nil {
			return
		}
		var stop func()
		ctx, stop = r.fenced(ctx)
		defer stop()
		defer func() { a.undone = r.unfair(a, refusals) }()
	}
	a.at = time.Now()
	m.Destination, m.Attempt, m.Redelivered, m.At = a.dest.Name, a.n, a.redelivered, a.at
	traced := func(Result) {}
	if r.e.opt.Trace != nil {
		ctx, traced = r.e.opt.Trace(ctx, m)
	}
	defer func() { a.took = time.Since(a.at); traced(a.result) }()
	a.result = a.sender.Send(ctx, m)
}

// row reads the row of a delivery; nil if there is none.
func (r *runner) row(seq int64) (*journal.Judged, error) {
	list, err := r.e.opt.Journal.Deliveries(r.actx, seq)
	i := slices.IndexFunc(list, func(d journal.Delivery) bool { return d.Destination == r.name && d.State <= journal.Dead })
	if err != nil || i < 0 {
		return nil, err
	}
	id, err := ulid.ParseStrict(list[i].EventID)
	return &journal.Judged{Seq: seq, ID: id, Event: list[i].Event}, err
}

// fenced returns a context that ends if Fence refuses when a connection is ready.
func (r *runner) fenced(ctx context.Context) (fenced context.Context, stop func()) {
	ctx, refuse := context.WithCancel(ctx)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		if r.e.opt.Fence() != nil {
			r.refusals.Add(1)
			refuse()
			// Canceled alone, the transport may still write the request. Over HTTP/2
			// this also ends the other attempts that use the connection.
			got.Conn.Close() //nolint:errcheck // its end is all that matters
		}
	}}), refuse
}

// errFenced is not the destination's failure: the connection was closed.
var errFenced = errors.New("the fence refused a connection during the attempt")

// unfair returns why the failure of an attempt may be the fence's doing, nil if it is
// not. refusals is how many connections the fence had refused when the attempt began.
func (r *runner) unfair(a *attempt, refusals int64) error {
	switch {
	case a.result.Err == nil, a.result.Answered:
		return nil
	case r.refusals.Load() != refusals:
		return errFenced
	}
	return r.e.opt.Fence()
}

// ended decides what follows an attempt.
func (r *runner) ended(a *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running--
	failed := a.lost || a.broken != nil || a.result.Err != nil
	if a.undone != nil || failed && a.it.ordered {
		a.it.due = time.Now().Add(time.Second)
		if a.probe {
			r.breaker.probeAt = a.it.due
		}
		r.rest(a.it)
		return
	}
	o := finished{it: a.it, at: time.Now(), Outcome: journal.Outcome{
		Seq: a.seq, At: a.at, Took: a.took, Base: a.it.base,
		Status: cut(a.result.Status, 200), Excerpt: cut(a.result.Excerpt, 1024),
	}}
	switch {
	case a.lost:
		o.At, o.Dead, o.Skipped, o.NoBody, o.Error = time.Now(), true, true, true, "the event is no longer in the journal"
	case a.broken != nil:
		o.Dead, o.Skipped, o.Error = true, true, cut(a.broken.Error(), maxError)
	case a.result.Err == nil:
		o.Delivered, o.First = true, a.n == 1 && !a.redelivered
		r.succeeded(a)
	default:
		o.Error = cut(a.result.Err.Error(), maxError)
		r.failed(a, &o.Outcome)
	}
	o.Attempts = a.it.attempts
	if o.Dead {
		o.Report = r.deadLetter(a, &o.Outcome)
	}
	if !o.Skipped {
		r.last = last{o.At, o.Status, o.Excerpt, o.Error}
		r.m.attempted(o.Delivered, a.probe, a.took)
	}
	a.it.done = o.atOnce()
	r.outcomes = append(r.outcomes, o)
	r.unsaved++
	if len(r.outcomes) == 1 || len(a.it.lane.items) > 1 || len(r.outcomes) >= gatherMost { // others are recorded with it
		signal(r.save)
	}
}

// rest lets an item wait again when it is no longer busy; mu is held.
func (r *runner) rest(it *item) {
	switch {
	case it.again:
		r.w.set(it, outdated)
		r.loaded = false
	case it.ordered: // until reload
		r.w.set(it, outdated)
	default:
		r.w.set(it, idle)
	}
}

// maxError bounds last_error, in bytes.
const maxError = 1024

// deadLetter returns the event about a dead letter; nil for one of our own events.
func (r *runner) deadLetter(a *attempt, o *journal.Outcome) *event.Record {
	of := a.rec
	if of == nil && a.row != nil {
		of = &event.Record{ID: a.row.ID.String(), Event: a.row.Event}
	}
	if of == nil || event.IsOwn(of.Event) {
		return nil
	}
	text := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	reason := "the last attempt failed"
	switch {
	case a.lost:
		reason = o.Error
	case o.Skipped:
		reason = "the event can't be brought into the destination's format"
	}
	rec := event.Own{
		Account: of.AccountID, Object: of.ObjectID,
		Payload: &event.DeadLetter{
			Destination: text(r.name), OfEvent: text(of.Event), OfEventID: text(of.ID), OfSeq: integer(a.seq),
			Attempts: integer(int64(a.n) - flagged(o.Skipped)), LastError: text(o.Error), Reason: text(reason),
		},
	}.Record()
	return &rec
}

func integer(n int64) *event.Integer {
	i := event.Integer(n)
	return &i
}

func flagged(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
